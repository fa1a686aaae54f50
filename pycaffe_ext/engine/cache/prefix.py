"""The frozen prefix: layers below the first that learns, whose outputs for a record are computed once and read back.

The values that other layers read of it, its boundary (see engine.cache.boundary), are stored as one row for each record
of the database (see engine.cache.rows), for as long as the prefix's weights and the database stay what they are.  A
batch whose rows are all there is read back instead of computed, and the layers of the prefix do not run, the Data layer
included.  Where processes share rows, a batch is computed from the deepest shallower boundary of which it has been
stored.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import torch

from pycaffe_ext import glog
from pycaffe_ext.engine import devices
from pycaffe_ext.engine.cache import content, stored
from pycaffe_ext.engine.cache.boundary import Boundary, find_boundary
from pycaffe_ext.engine.cache.rows import Piece, Rows, available_memory, pieces
from pycaffe_ext.engine.cache.shared import Shared, SharedRows
from pycaffe_ext.engine.cache.stored import Start
from pycaffe_ext.engine.core.net import Net
from pycaffe_ext.engine.solver.solver import Solver
from pycaffe_ext.sizes import size_text

MEMORY_SHARE = 0.25  # of the available memory, where the user names no bound
MOST_MEMORY = 0.5  # of the available memory, where the user does; what is beyond goes to a temporary file
SAMPLES = 3  # batches computed before reading is compared with computing; the first of them warms up


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
        self._start: Start | None = None
        self._versions: list[object] | None = None
        self._weights: list[torch.Tensor] = []
        self._digest = b""

    def advance(self, net: Net) -> Iterator[int]:
        """Make the boundary that of the next batch; yields the layers that are still to run, in their order."""
        self._check(net)
        now = self._batch()
        if all(self._holder(piece) for piece in now):
            self._read(now)
            self._skip()
        else:
            seconds = self._compute(net)
            self._keep(net, now, seconds)
        yield from self._boundary.rest

    def _batch(self) -> list[Piece]:
        """The batch that comes next."""
        return pieces(self._boundary.sources[0].position, self._boundary.batch, self._boundary.records)

    def _skip(self) -> None:
        for source in self._boundary.sources:
            source.skip()

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
        self._tiers, self._start = private, None
        if self._shared:
            computed = content.layer_digests(net, self._boundary.layers)
            rows = stored.open_rows(self._shared, net, self._boundary, computed)
            if rows:
                self._tiers = [_Tier(rows, chosen=rows.pays)]
            if not (rows and rows.full):
                self._start = stored.find_start(self._shared, net, self._boundary, computed)
                self._log_start()

    def _log_start(self) -> None:
        if self._start:
            first, whole = len(self._start.boundary.layers), len(self._boundary.layers)
            glog.info(
                "data_layer.cpp:101",
                f"Frozen prefix of {self._name} ({whole} layers): begins with what is stored of its first {first}",
            )

    def _holder(self, piece: Piece) -> Rows | None:
        """The rows that hold all of a piece, if reading them pays."""
        return next((tier.rows for tier in self._tiers if tier.chosen and tier.rows.kept(piece)), None)

    def _read(self, now: list[Piece], rows: Rows | None = None) -> None:
        _read(self._boundary, now, (lambda _: rows) if rows else self._holder)

    def _compute(self, net: Net) -> float:
        began = self._clock()
        for i in self._begin():
            net.run_layer(i)
        return self._clock() - began

    def _begin(self) -> list[int]:
        """Read what a shallower prefix has stored of the next batch; the layers of this one that are left."""
        start, now = self._start, self._batch()
        if start is None or not all(map(start.rows.kept, now)):
            return self._boundary.layers
        _read(start.boundary, now, lambda _: start.rows)
        self._skip()
        return start.left

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


def _read(boundary: Boundary, now: list[Piece], holder: Callable[[Piece], Rows | None]) -> None:
    """Fill a boundary's blobs with rows.   holder : piece -> where it is kept."""
    for blob in boundary.blobs:
        blob.data = torch.empty((boundary.batch, *blob.shape[1:]), device=blob.device)
    values = [blob.data for blob in boundary.blobs]
    for piece in now:
        rows = holder(piece)
        assert rows is not None, "a batch is read where its rows are kept"
        rows.read(piece, values)


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
    if boundary := stored.longest(shared, net):
        net.planner = FrozenPrefix("the net", boundary, [], shared)


def _shared(cache_dir: str, bound: int, net: Net) -> Shared | None:
    """The folder that is shared, None without one; a GPU reads pinned memory, which each process has for itself."""
    return Shared(Path(cache_dir), bound) if cache_dir and net.device.type == "cpu" else None


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
