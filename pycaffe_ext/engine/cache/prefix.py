"""The frozen prefix: layers below the first that learns, whose outputs for a record are computed once and read back.

A layer belongs to it when it neither learns nor counts as a loss, when its forward pass treats each item of the batch
by itself and gives the same values every time, and when everything that it reads comes from the prefix.  The values
that other layers read of it, its boundary, are stored as one row for each record of the database (see
engine.cache.rows), for as long as the prefix's weights and the database stay what they are.  A batch whose rows are
all there is read back instead of computed, and the layers of the prefix do not run, the Data layer included.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import torch

from pycaffe_ext import glog
from pycaffe_ext.engine import devices
from pycaffe_ext.engine.cache import content
from pycaffe_ext.engine.cache.rows import Piece, Rows, available_memory, pieces
from pycaffe_ext.engine.cache.shared import Shared, SharedRows
from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.core.net import Net
from pycaffe_ext.engine.layers import Layer
from pycaffe_ext.engine.layers.data import DataLayer
from pycaffe_ext.engine.solver.solver import Solver
from pycaffe_ext.proto import caffe_pb2
from pycaffe_ext.sizes import size_text

ITEM_BY_ITEM = frozenset(
    (
        "AbsVal",
        "BNLL",
        "BatchNorm",
        "Bias",
        "Clip",
        "Concat",
        "Convolution",
        "Crop",
        "Deconvolution",
        "Dropout",
        "ELU",
        "Eltwise",
        "Embed",
        "Exp",
        "Flatten",
        "InnerProduct",
        "LRN",
        "Log",
        "MVN",
        "PReLU",
        "Pooling",
        "Power",
        "ReLU",
        "Reshape",
        "SPP",
        "Scale",
        "Sigmoid",
        "Silence",
        "Slice",
        "Softmax",
        "Split",
        "Swish",
        "TanH",
        "Threshold",
        "Tile",
    )
)
SAME_MEMORY = ("Flatten", "Reshape", "Split")
AXES = ("axis", "concat_dim", "slice_dim")
MEMORY_SHARE = 0.25  # of the available memory, where the user names no bound
MOST_MEMORY = 0.5  # of the available memory, where the user does; what is beyond goes to a temporary file
SAMPLES = 3  # batches computed before reading is compared with computing; the first of them warms up


@dataclass
class Boundary:
    """Where a net's frozen prefix ends.

    layers : indices of the layers of the prefix;  rest : of those that run in every pass
    blobs : what is stored of each record;  sources : the Data layers, which all walk in step
    """

    layers: list[int]
    rest: list[int]
    blobs: list[Blob]
    sources: list[DataLayer]

    @property
    def records(self) -> int:
        return self.sources[0].records or 0

    @property
    def batch(self) -> int:
        return self.sources[0].param.data_param.batch_size

    @property
    def row_bytes(self) -> int:
        return sum(4 * blob.count // self.batch for blob in self.blobs)


def find_boundary(net: Net, end: int | None = None) -> Boundary | None:
    """The boundary of a net's frozen prefix; None if nothing below the layers that learn can be stored.

    end : of a net that does not learn, the first layer that is taken for one that does.
    """
    sources = [layer for layer in net.layers if isinstance(layer, DataLayer) and layer.repeats and layer.records]
    walks = {(source.records, source.param.data_param.batch_size) for source in sources}
    if len(walks) != 1:
        return None
    last: dict[int, int] = {}  # id of a blob -> the layer that has written it last
    layers: dict[int, None] = {}  # of the prefix, in their order
    moving = {id(blob) for blob, rate in zip(net.learnable_params, net.params_lr, strict=True) if rate}
    read: dict[int, int] = {}  # id of a boundary blob -> the layer of the prefix that wrote it
    for i, layer in enumerate(net.layers):
        inside = all(last[id(blob)] in layers for blob in net.bottoms[i])
        fixed = _is_fixed(net, i, moving) if end is None else i < end and not any(layer.loss_weights)
        if inside and fixed and (layer in sources or (net.bottoms[i] and _is_item_by_item(net, i))):
            layers[i] = None
        else:
            read.update({id(blob): last[id(blob)] for blob in net.bottoms[i] if last[id(blob)] in layers})
        last.update({id(blob): i for blob in net.tops[i]})
    shown = (net.blobs[name] for name in net.outputs)
    read.update({id(blob): last[id(blob)] for blob in shown if last[id(blob)] in layers})
    computes = any(net.layers[i] not in sources and net.layers[i].type not in SAME_MEMORY for i in layers)
    if not read or not computes or _memory_is_shared(net, list(layers)):
        return None  # Data alone is read ahead anyway, and its rows would be large
    return _without_splits(net, list(layers), read, sources)


def _is_fixed(net: Net, i: int, moving: set[int]) -> bool:
    """Whether a layer has neither parameters that move (`moving`: ids of their blobs) nor a part in the loss."""
    layer = net.layers[i]
    own = {id(getattr(blob, "owner", blob)) for blob in layer.blobs}
    return not (net.needs_backward(i) or any(layer.loss_weights) or own & moving)


def _is_item_by_item(net: Net, i: int) -> bool:
    layer, items = net.layers[i], net.bottoms[i][0].shape[:1]
    blobs = [*net.bottoms[i], *net.tops[i]]
    if layer.type not in ITEM_BY_ITEM or _varies(layer) or any(blob.shape[:1] != items for blob in blobs):
        return False
    settings = [value for kind, value in layer.param.ListFields() if kind.message_type and not kind.is_repeated]
    axes = [getattr(value, name) for value in settings for name in AXES if hasattr(value, name)]
    return layer.type == "Reshape" or all(axis % max(1, len(blobs[0].shape)) for axis in axes)


def _varies(layer: Layer) -> bool:
    """Whether a forward pass draws random numbers or changes a state."""
    if layer.type == "Dropout":
        return layer.training and layer.param.dropout_param.dropout_ratio > 0
    if layer.type == "BatchNorm":
        param = layer.param.batch_norm_param
        return not (param.use_global_stats if param.HasField("use_global_stats") else not layer.training)
    if layer.type == "SPP":
        return layer.param.spp_param.pool == caffe_pb2.SPPParameter.STOCHASTIC
    return layer.type == "Pooling" and layer.param.pooling_param.pool == caffe_pb2.PoolingParameter.STOCHASTIC


def _memory_is_shared(net: Net, layers: list[int]) -> bool:
    """Whether a layer above the prefix writes in place to memory that layers of the prefix share."""
    written = {id(blob) for i in _others(net, layers) for blob in net.tops[i] if blob in net.bottoms[i]}
    sharing = (i for i in layers if net.layers[i].type in SAME_MEMORY)
    return any(id(blob) in written for i in sharing for blob in [*net.bottoms[i], *net.tops[i]])


def _others(net: Net, layers: list[int]) -> list[int]:
    """The layers outside `layers`, in their order."""
    return sorted(set(range(len(net.layers))) - set(layers))


def _without_splits(net: Net, layers: list[int], read: dict[int, int], sources: list[DataLayer]) -> Boundary:
    """Store what a Split copies instead of its copies, and run it in every pass: it only binds memory."""
    writers: dict[int, list[int]] = {}  # id of a blob -> the layers of the prefix that write it, in their order
    for i in layers:
        for blob in net.tops[i]:
            writers.setdefault(id(blob), []).append(i)
    rest = _others(net, layers)
    for i in reversed(layers):
        if net.layers[i].type == "Split" and any(read.get(id(blob)) == i for blob in net.tops[i]):
            read = {key: writer for key, writer in read.items() if writer != i}
            bottom = net.bottoms[i][0]
            read[id(bottom)] = max(j for j in writers[id(bottom)] if j < i)
            rest.append(i)
    made = {id(blob): blob for i in layers for blob in net.tops[i]}
    return Boundary(layers, sorted(rest), [made[key] for key in read], sources)


@dataclass
class _Tier:
    """Rows in one place, and what is known of the time that they save."""

    rows: Rows
    computed: list[float] = field(default_factory=list)  # seconds of each batch that was computed and kept here
    oldest: list[Piece] = field(default_factory=list)
    chosen: bool = False


class FrozenPrefix:
    """Brings a net's boundary up to date, from rows or by computing; a `Net.planner`.

    tiers : where rows are kept.  Each is used once reading a batch from it has been measured to take less time than
    computing it, and is dropped otherwise.
    shared : where processes share rows; where there is room, they take the place of the tiers.
    """

    def __init__(self, name: str, boundary: Boundary, tiers: list[Rows], shared: Shared | None = None) -> None:
        self._name, self._boundary, self._shared = name, boundary, shared
        self._shapes = [blob.shape for blob in boundary.blobs]
        self._tiers = [_Tier(rows) for rows in tiers]
        self._versions: list[object] | None = None
        self._weights: list[torch.Tensor] = []
        self._digest = b""

    def advance(self, net: Net) -> Iterator[int]:
        """Make the boundary that of the next batch; yields the layers that are still to run, in their order."""
        boundary = self._boundary
        now = pieces(boundary.sources[0].position, boundary.batch, boundary.records)
        self._check(net)
        if all(self._holder(piece) for piece in now):
            self._read(now)
            for source in boundary.sources:
                source.skip()
        else:
            seconds = self._compute(net)
            self._keep(net, now, seconds)
        yield from boundary.rest

    def _check(self, net: Net) -> None:
        """Forget the rows if the prefix's weights, or the database, are not those that they were computed with."""
        weights = [blob.data for i in self._boundary.layers for blob in net.layers[i].blobs]
        state = [source.state for source in self._boundary.sources]
        changes = (weight._version for weight in weights)  # noqa: SLF001 - torch's count of writes to a tensor
        versions = [*(weight.data_ptr() for weight in weights), *changes, *state]
        if versions == self._versions:
            return
        digest = hashlib.blake2b(repr(state).encode())
        for weight in weights:
            digest.update(weight.cpu().contiguous().numpy().data)
        if digest.digest() != self._digest:
            self._forget(net)
        self._versions, self._digest = versions, digest.digest()
        self._weights = weights  # held, so that their addresses are not used again

    def _forget(self, net: Net) -> None:
        """Be without rows of other weights or records; those of these ones may be there already."""
        private = [tier for tier in self._tiers if not isinstance(tier.rows, SharedRows)]
        for tier in private:
            tier.rows.forget()
        self._tiers = private
        if self._shared and (rows := open_rows(self._shared, net, self._boundary)):
            self._tiers = [_Tier(rows, chosen=rows.pays)]

    def _holder(self, piece: Piece) -> Rows | None:
        """The rows that hold all of a piece, if reading them pays."""
        return next((tier.rows for tier in self._tiers if tier.chosen and tier.rows.kept(piece)), None)

    def _read(self, now: list[Piece], rows: Rows | None = None) -> None:
        boundary = self._boundary
        for blob in boundary.blobs:
            blob.data = torch.empty((boundary.batch, *blob.shape[1:]), device=blob.device)
        values = [blob.data for blob in boundary.blobs]
        for piece in now:
            holder = rows or self._holder(piece)
            assert holder is not None, "a batch is read where its rows are kept"
            holder.read(piece, values)

    def _compute(self, net: Net) -> float:
        start = self._clock()
        for i in self._boundary.layers:
            net.run_layer(i)
        return self._clock() - start

    def _clock(self) -> float:
        """The time at which the device has done all that it was given; nothing is waited for once all is chosen."""
        if not all(tier.chosen for tier in self._tiers):
            devices.wait(self._boundary.blobs[0].device)
        return perf_counter()

    def _keep(self, net: Net, now: list[Piece], seconds: float) -> None:
        """Store a batch that was computed, and choose between reading and computing once enough is known."""
        values = [blob.data for blob in self._boundary.blobs]
        if [blob.shape for blob in self._boundary.blobs] != self._shapes:
            self._give_up(self._tiers)  # images of several sizes
        for tier in list(self._tiers):
            for piece in now:
                tier.rows.keep(piece, values)
            if not tier.chosen and all(map(tier.rows.covers, now)):
                tier.oldest = tier.oldest or now
                tier.computed.append(seconds)
                if len(tier.computed) == SAMPLES:
                    self._choose(tier, now)
        if not self._tiers and not self._shared:
            net.planner = None

    def _choose(self, tier: _Tier, now: list[Piece]) -> None:
        tier.rows.send_to_disk()
        start = self._clock()
        self._read(tier.oldest, tier.rows)
        reading, computing = self._clock() - start, min(tier.computed[1:])
        self._read(now, tier.rows)
        tier.chosen = reading < computing
        if tier.chosen and isinstance(tier.rows, SharedRows):
            tier.rows.confirm()
        if not tier.chosen:
            self._give_up([tier])
        self._log(tier.rows, reading, computing, tier.chosen)

    def _give_up(self, tiers: list[_Tier]) -> None:
        devices.wait(self._boundary.blobs[0].device)  # it may still read the rows
        for tier in tiers:
            tier.rows.unpin()
        self._tiers = [tier for tier in self._tiers if tier not in tiers]

    def _log(self, rows: Rows, reading: float, computing: float, chosen: bool) -> None:
        boundary = self._boundary
        outcome = (
            f"{rows.count} of {boundary.records} records are kept in {rows.place} ({size_text(rows.bytes)})"
            if chosen
            else f"nothing is kept in {rows.place}"
        )
        glog.info(
            "data_layer.cpp:101",
            f"Frozen prefix of {self._name} ({len(boundary.layers)} layers): a batch takes"
            f" {glog.number(1000 * computing)} ms to compute, {glog.number(1000 * reading)} ms to read: {outcome}",
        )


def attach(solver: Solver, cache_gb: float | None, cache_dir: str = "") -> None:
    """Have the solver's nets keep what their frozen prefixes compute, in `cache_gb` GB together.

    With None the bound is a quarter of the available memory; of a bound that is given, what exceeds half of the
    available memory goes to a temporary file.  Rows that do not fit are computed each time.  Nothing is kept with
    debug_info, which logs every layer.  Only for training whose blobs are not read: those below the boundary go stale.
    cache_dir : folder in which rows are shared with other processes, as many as fit into the memory of the bound; on a
    CPU only.
    """
    if cache_gb == 0 or solver.param.debug_info:
        return
    named = {"the training net": solver.net, **{f"test net #{i}": net for i, net in enumerate(solver.test_nets)}}
    found = [(name, net, find_boundary(net)) for name, net in named.items()]
    usable = [(name, net, boundary) for name, net, boundary in found if boundary is not None]
    memory, disk = _bounds(cache_gb)
    shared = _shared(cache_dir, memory, solver.net)
    for name, net, boundary in sorted(usable, key=lambda one: one[2].row_bytes):  # cheap rows save most for a byte
        tiers = _allot(boundary, memory, disk)
        memory -= sum(rows.bytes for rows in tiers if rows.place == "memory")
        disk -= sum(rows.bytes for rows in tiers if rows.place != "memory")
        for rows in tiers:
            rows.pin_for(net.device)
        if tiers:
            net.planner = FrozenPrefix(name, boundary, tiers, shared)


def attach_stored(net: Net, cache_gb: float | None, cache_dir: str) -> None:
    """Have a net that only scores read the outputs of its first layers that trainings store in the folder, and store
    them for its own records; of several such prefixes the longest."""
    shared = None if cache_gb == 0 else _shared(cache_dir, _bounds(cache_gb)[0], net)
    if shared is None or not shared.place.is_dir():
        return
    longest = find_boundary(net, len(net.layers))
    computed = content.layer_digests(net, longest.layers) if longest else {}
    for end in range(len(net.layers), 0, -1):
        boundary = find_boundary(net, end)
        if boundary and shared.has(_function(boundary, content.blob_digests(net, boundary.layers, computed))):
            net.planner = FrozenPrefix("the net", boundary, [], shared)
            return


def _shared(cache_dir: str, bound: int, net: Net) -> Shared | None:
    """The folder that is shared, None without one; a GPU reads pinned memory, which each process has for itself."""
    return Shared(Path(cache_dir), bound) if cache_dir and net.device.type == "cpu" else None


def open_rows(shared: Shared, net: Net, boundary: Boundary) -> SharedRows | None:
    """The shared rows of a boundary with its present weights; None if there is no room."""
    source = boundary.sources[0]
    if len(boundary.sources) > 1 or source.param.data_param.backend != caffe_pb2.DataParameter.LMDB:
        return None
    computed = content.layer_digests(net, boundary.layers)
    digests = content.blob_digests(net, boundary.layers, computed)
    order = sorted(range(len(boundary.blobs)), key=lambda i: digests[id(boundary.blobs[i])])
    shapes = [blob.shape[1:] for blob in boundary.blobs]
    return shared.open(_function(boundary, digests), source, boundary.records, shapes, order)


def _function(boundary: Boundary, digests: Mapping[int, bytes]) -> bytes:
    """The digest of what the boundary's blobs are."""
    parts = sorted(digests[id(blob)] for blob in boundary.blobs)
    return hashlib.blake2b(b"".join(parts), digest_size=content.SIZE).digest()


def _bounds(cache_gb: float | None) -> tuple[int, int]:
    """Bytes of memory and of a temporary file."""
    available = available_memory()
    if cache_gb is None:
        return int(MEMORY_SHARE * available), 0
    bound = int(cache_gb * 1e9)
    memory = min(bound, int(MOST_MEMORY * available))
    return memory, bound - memory


def _allot(boundary: Boundary, memory: int, disk: int) -> list[Rows]:
    """Rows for the first records in memory and for the next ones in a file, as far as the bounds go."""
    shapes = [blob.shape[1:] for blob in boundary.blobs]
    here = min(boundary.records, memory // boundary.row_bytes)
    there = min(boundary.records - here, disk // boundary.row_bytes)
    tiers = [Rows(0, here, shapes)] if here else []
    if there:
        try:
            tiers.append(Rows(here, there, shapes, tempfile.gettempdir()))
        except OSError as error:
            glog.warning("data_layer.cpp:102", f"Frozen prefix: no temporary file for {there} records: {error}")
    return tiers
