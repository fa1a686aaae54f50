"""Where a net's frozen prefix ends: the layers below the first that learns whose outputs can be stored a record.

A layer belongs to it when it neither learns nor counts as a loss, when its forward pass treats each item of the batch
by itself and gives the same values every time, and when everything that it reads comes from the prefix.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.core.net import Net
from pycaffe_ext.engine.layers import Layer
from pycaffe_ext.engine.layers.data import DataLayer
from pycaffe_ext.proto import caffe_pb2

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
ALONG_AN_AXIS = ("Scale", "Bias")  # a second bottom lies along `axis`, even if that is as long as the batch
SAME_MEMORY = ("Flatten", "Reshape", "Split")
AXES = ("axis", "concat_dim", "slice_dim")


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


def find_boundary(net: Net, among: Container[int] | None = None) -> Boundary | None:
    """The boundary of a net's frozen prefix; None if nothing below the layers that learn can be stored.

    among : indices of the layers that may belong to it; by default those that do not learn.
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
        fixed = _is_fixed(net, i, moving) if among is None else i in among
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
    if layer.type in ALONG_AN_AXIS and len(net.bottoms[i]) > 1:
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
