"""BatchNorm, Scale, Bias, MVN, Softmax."""

from __future__ import annotations

import numpy as np

from pycaffe_ext.export.graph import Graph, Shape, Value
from pycaffe_ext.export.layers.registry import axis_of, emits, refuse
from pycaffe_ext.export.source import LayerParameter


@emits("BatchNorm")
def batch_norm(graph: Graph, layer: LayerParameter) -> None:
    """By the running statistics, which Caffe stores as sums beside the factor that they are to be divided by."""
    p, bottom = layer.batch_norm_param, graph.bottom(layer)
    if p.HasField("use_global_stats") and not p.use_global_stats:
        raise refuse(layer, "use_global_stats: false, statistics of the batch, can't be exported")
    if len(bottom.shape) < 2:
        raise refuse(layer, f"a blob of shape {bottom.shape} has no channels")
    channels = (bottom.shape[1],)
    mean, variance, factor = graph.source.learned(layer, [channels, channels, (1,)])
    scale = np.float32(0) if factor[0] == 0 else 1 / factor[0]
    numbers = (np.ones(channels, np.float32), np.zeros(channels, np.float32), mean * scale, variance * scale)
    constants = [graph.constant(array, layer.name) for array in numbers]
    graph.top(layer, graph.node("BatchNormalization", [bottom, *constants], bottom.shape, epsilon=p.eps))


@emits("Scale")
def scale(graph: Graph, layer: LayerParameter) -> None:
    p, bottom = layer.scale_param, graph.bottom(layer)
    axis, shape = _part(graph, layer, p.axis, p.num_axes)
    own = len(layer.bottom) == 1
    blobs = graph.source.learned(layer, [shape] * own + [shape] * p.bias_term)
    factor = _spread(graph, layer, axis, blobs[0] if own else graph.bottom(layer, 1), bottom)
    out = graph.node("Mul", [bottom, factor], bottom.shape)
    if p.bias_term:
        out = graph.node("Add", [out, _spread(graph, layer, axis, blobs[-1], bottom)], bottom.shape)
    graph.top(layer, out)


@emits("Bias")
def bias(graph: Graph, layer: LayerParameter) -> None:
    p, bottom = layer.bias_param, graph.bottom(layer)
    axis, shape = _part(graph, layer, p.axis, p.num_axes)
    own = len(layer.bottom) == 1
    term = graph.source.learned(layer, [shape])[0] if own else graph.bottom(layer, 1)
    graph.top(layer, graph.node("Add", [bottom, _spread(graph, layer, axis, term, bottom)], bottom.shape))


def _part(graph: Graph, layer: LayerParameter, axis: int, axes: int) -> tuple[int, Shape]:
    """(axis, shape) of the part of the bottom's axes that the factor spans."""
    shape = graph.bottom(layer).shape
    if len(layer.bottom) > 1:
        axes = len(graph.bottom(layer, 1).shape)
        axis = 0 if axes == 0 else axis
    axis = axis_of(layer, axis, shape)
    part = shape[axis:] if axes == -1 else shape[axis : axis + axes]
    if len(layer.bottom) > 1 and graph.bottom(layer, 1).shape != part:
        raise refuse(layer, f"bottoms of shape {shape} and {graph.bottom(layer, 1).shape} do not fit at axis {axis}")
    return axis, part


def _spread(graph: Graph, layer: LayerParameter, axis: int, part: np.ndarray | Value, whole: Value) -> Value | str:
    """`part` with as many axes of one behind it as it needs to lie at `axis` of `whole`."""
    shape = (*part.shape, *(1,) * (len(whole.shape) - axis - len(part.shape)))
    if isinstance(part, Value):
        return graph.reshape(part, shape)
    return graph.constant(part.reshape(shape), layer.name)


@emits("MVN")
def mvn(graph: Graph, layer: LayerParameter) -> None:
    """(x - mean) / (sqrt(mean of squares) + eps), over each channel or over all of an image."""
    p, x = layer.mvn_param, graph.bottom(layer)
    axes = list(range(1 if p.across_channels else 2, len(x.shape)))
    shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    out = graph.node("Sub", [x, graph.node("ReduceMean", [x], shape, axes=axes)], x.shape)
    if p.normalize_variance:
        square = graph.node("Mul", [out, out], x.shape)
        deviation = graph.node("Sqrt", [graph.node("ReduceMean", [square], shape, axes=axes)], shape)
        out = graph.node("Div", [out, graph.node("Add", [deviation, graph.number(p.eps)], shape)], x.shape)
    graph.top(layer, out)


@emits("Softmax")
def softmax(graph: Graph, layer: LayerParameter) -> None:
    x = graph.bottom(layer)
    axis = axis_of(layer, layer.softmax_param.axis, x.shape)
    graph.top(layer, graph.node("Softmax", [x], x.shape, axis=axis))
