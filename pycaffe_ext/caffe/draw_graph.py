"""A net as a graph of layers and blobs, with the labels and colours of Caffe's drawings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pycaffe_ext.caffe.mistakes import BadValue
from pycaffe_ext.proto import caffe_pb2, upgrade_net

LAYER_STYLE_DEFAULT = {"shape": "record", "fillcolor": "#6495ED", "style": "filled"}
NEURON_LAYER_STYLE = {"shape": "record", "fillcolor": "#90EE90", "style": "filled"}
BLOB_STYLE = {"shape": "octagon", "fillcolor": "#E0E0E0", "style": "filled"}
COLOURS = {"Convolution": "#FF5050", "Deconvolution": "#FF5050", "Pooling": "#FF9900", "InnerProduct": "#CC33FF"}
LEARNING = ("Convolution", "Deconvolution", "InnerProduct")


@dataclass
class Node:
    """lines : text, one line each;  style : shape and fillcolor, in graphviz's words."""

    lines: list[str]
    style: dict[str, str]


@dataclass
class Graph:
    """edges : (from, to, label), indices of nodes.

    A layer that works in place stands between its blob and the layers that read the blob after it.
    """

    name: str
    nodes: list[Node] = field(default_factory=list)
    edges: list[tuple[int, int, str]] = field(default_factory=list)

    def add(self, lines: list[str], style: dict[str, str]) -> int:
        self.nodes.append(Node(lines, style))
        return len(self.nodes) - 1


def graph_of(
    net: caffe_pb2.NetParameter, rankdir: str, label_edges: bool, phase: int | None, display_lrm: bool
) -> Graph:
    """The graph of a net of any age; `phase` leaves out what is not in it."""
    upgraded = caffe_pb2.NetParameter()
    upgraded.CopyFrom(net)
    upgrade_net(upgraded)
    graph = Graph(net.name or "Net")
    blobs: dict[str, int] = {}  # name -> its node
    latest: dict[str, int] = {}  # name of a blob -> the node that readers connect to
    for layer in upgraded.layer:
        if phase is None or in_phase(layer, phase):
            _add_layer(graph, layer, rankdir, display_lrm, label_edges, blobs, latest)
    return graph


def _add_layer(
    graph: Graph,
    layer: caffe_pb2.LayerParameter,
    rankdir: str,
    display_lrm: bool,
    label_edges: bool,
    blobs: dict[str, int],
    latest: dict[str, int],
) -> None:
    in_place = len(layer.bottom) == len(layer.top) == 1 and layer.bottom[0] == layer.top[0]
    colour = {"fillcolor": choose_color_by_layertype(layer.type)}
    style = NEURON_LAYER_STYLE if in_place else LAYER_STYLE_DEFAULT | colour
    node = graph.add(label_lines(layer, rankdir, display_lrm), style)
    for name in layer.bottom:
        if name not in latest:
            blobs[name] = latest[name] = graph.add([name], BLOB_STYLE)
        graph.edges.append((latest[name], node, ""))
    text = edge_text(layer) if label_edges else ""
    for name in layer.top:
        if name in layer.bottom:
            latest[name] = node
            continue
        if name not in blobs:
            blobs[name] = graph.add([name], BLOB_STYLE)
        latest[name] = blobs[name]
        graph.edges.append((node, blobs[name], text))
        text = ""  # once is enough


def in_phase(layer: caffe_pb2.LayerParameter, phase: int) -> bool:
    """Whether the layer's rules admit the phase (stages and levels are not looked at)."""
    if layer.include and layer.exclude:
        raise BadValue(f"layer {layer.name!r} has both include and exclude rules; give one kind")
    if layer.include:
        return any(not rule.HasField("phase") or rule.phase == phase for rule in layer.include)
    return not any(rule.HasField("phase") and rule.phase == phase for rule in layer.exclude)


def choose_color_by_layertype(layertype: str) -> str:
    """Colour of a layer's box."""
    return COLOURS.get(layertype, LAYER_STYLE_DEFAULT["fillcolor"])


def edge_text(layer: caffe_pb2.LayerParameter) -> str:
    """What a layer's tops carry: batch size or number of channels."""
    if layer.type == "Data":
        return f"Batch {layer.data_param.batch_size}"
    if layer.type in ("Convolution", "Deconvolution"):
        return str(layer.convolution_param.num_output)
    return str(layer.inner_product_param.num_output) if layer.type == "InnerProduct" else ""


def get_layer_lr_mult(layer: caffe_pb2.LayerParameter) -> tuple[float, float]:
    """(lr_mult of the weights, of the biases); BadValue for a layer that has no weights and biases."""
    if layer.type not in LEARNING:
        raise BadValue(f"layer {layer.name!r}: {layer.type} layers have no weights and biases that learn")
    if len(layer.param) > 2:
        raise BadValue(f"layer {layer.name!r}: has {len(layer.param)} param blocks; weights and biases make two")
    weights, biases = [*(param.lr_mult for param in layer.param), 1.0, 1.0][:2]
    return weights, biases


def get_pooling_types_dict() -> dict[int, str]:
    """Number of a pooling method -> its name."""
    return {number: name for name, number in caffe_pb2.PoolingParameter.PoolMethod.items()}


def spatial_text(layer: caffe_pb2.LayerParameter) -> list[str]:
    """Kernel, stride and pad of a Convolution, Deconvolution or Pooling."""
    if layer.type == "Pooling" and layer.pooling_param.global_pooling:
        return ["global"]
    param = layer.pooling_param if layer.type == "Pooling" else layer.convolution_param
    shown = (("kernel size", "kernel_size", 1), ("stride", "stride", 1), ("pad", "pad", 0))
    return [f"{label}: {_spatial(param, field, default)}" for label, field, default in shown]


def _spatial(param: Any, field: str, default: int) -> str:
    """A size as text: one number, or height x width where they are given apart."""
    prefix = field.removesuffix("_size")
    if param.HasField(f"{prefix}_h") or param.HasField(f"{prefix}_w"):
        return f"{getattr(param, f'{prefix}_h')}x{getattr(param, f'{prefix}_w')}"
    value = getattr(param, field)
    values = [value] if isinstance(value, int) else list(value)
    return "x".join(map(str, values or [default]))


def label_lines(layer: caffe_pb2.LayerParameter, rankdir: str, display_lrm: bool) -> list[str]:
    """A layer's text: in vertical drawings wide and flat, in horizontal ones narrow and high."""
    kind = layer.type
    if kind == "Pooling":
        kind = f"{kind} {get_pooling_types_dict()[layer.pooling_param.pool]}"
    groups = [[layer.name, f"({kind})"]]
    if layer.type in ("Convolution", "Deconvolution", "Pooling"):
        groups.append(spatial_text(layer))
    if display_lrm and layer.type in LEARNING and any(get_layer_lr_mult(layer)):
        groups.append([f"lr mult: {', '.join(f'{rate:.1f}' for rate in get_layer_lr_mult(layer))}"])
    if rankdir in ("TB", "BT"):
        return [" ".join(group) for group in groups]
    return [line for group in groups for line in group]
