"""Inputs, and layers that join, cut, move or combine blobs."""

from __future__ import annotations

from math import prod

import numpy as np

from pycaffe_ext.export.graph import Graph, Value
from pycaffe_ext.export.layers.registry import axis_of, emits, refuse
from pycaffe_ext.export.source import LayerParameter
from pycaffe_ext.proto import caffe_pb2

E = caffe_pb2.EltwiseParameter
R = caffe_pb2.ReductionParameter


@emits("Input")
def input_(graph: Graph, layer: LayerParameter) -> None:
    shapes = [tuple(shape.dim) for shape in layer.input_param.shape]
    shapes = shapes * len(layer.top) if len(shapes) == 1 else shapes
    if len(shapes) != len(layer.top):
        raise refuse(layer, f"{len(layer.top)} tops but {len(shapes)} shapes")
    for blob, shape in zip(layer.top, shapes, strict=True):
        graph.add_input(blob, shape)


@emits("Split")
def split(graph: Graph, layer: LayerParameter) -> None:
    for i in range(len(layer.top)):
        graph.top(layer, graph.bottom(layer), i)


@emits("Silence")
def silence(graph: Graph, layer: LayerParameter) -> None:
    graph.bottoms(layer)


@emits("Concat")
def concat(graph: Graph, layer: LayerParameter) -> None:
    p, bottoms = layer.concat_param, graph.bottoms(layer)
    first = bottoms[0].shape
    axis = axis_of(layer, p.concat_dim if p.HasField("concat_dim") else p.axis, first)
    if any(b.shape[:axis] + b.shape[axis + 1 :] != first[:axis] + first[axis + 1 :] for b in bottoms):
        raise refuse(layer, f"shapes {[b.shape for b in bottoms]} can't be joined along axis {axis}")
    shape = (*first[:axis], sum(b.shape[axis] for b in bottoms), *first[axis + 1 :])
    graph.top(layer, graph.node("Concat", bottoms, shape, axis=axis))


@emits("Slice")
def slice_(graph: Graph, layer: LayerParameter) -> None:
    p, x, count = layer.slice_param, graph.bottom(layer), len(layer.top)
    axis = axis_of(layer, p.slice_dim if p.HasField("slice_dim") else p.axis, x.shape)
    points = list(p.slice_point) or [x.shape[axis] // count * i for i in range(1, count)]
    sizes = [b - a for a, b in zip([0, *points], [*points, x.shape[axis]], strict=True)]
    if len(sizes) != count or min(sizes) < 1 or (not p.slice_point and len(set(sizes)) > 1):
        raise refuse(layer, f"{x.shape[axis]} values of axis {axis} can't be cut into {count} tops of sizes {sizes}")
    if count == 1:
        return graph.top(layer, x)
    out = graph.node("Split", [x, graph.constant(np.array(sizes, np.int64), "sizes")], x.shape, count, axis=axis)
    for i, size in enumerate(sizes):
        name = out.name if i == 0 else f"{out.name}:{i}"
        graph.top(layer, Value(name, (*x.shape[:axis], size, *x.shape[axis + 1 :])), i)
    return None


@emits("Eltwise")
def eltwise(graph: Graph, layer: LayerParameter) -> None:
    p, bottoms = layer.eltwise_param, graph.bottoms(layer)
    shape = bottoms[0].shape
    if any(bottom.shape != shape for bottom in bottoms):
        raise refuse(layer, f"shapes {[b.shape for b in bottoms]} differ")
    if p.coeff and (p.operation != E.SUM or len(p.coeff) != len(bottoms)):
        raise refuse(layer, "coeff needs the operation SUM and one number a bottom")
    if p.operation == E.SUM:
        coefficients = p.coeff or [1] * len(bottoms)
        pairs = zip(bottoms, coefficients, strict=True)
        bottoms = [b if c == 1 else graph.node("Mul", [b, graph.number(c)], shape) for b, c in pairs]
    out = bottoms[0]
    for bottom in bottoms[1:]:
        out = graph.node({E.PROD: "Mul", E.SUM: "Add", E.MAX: "Max"}[p.operation], [out, bottom], shape)
    graph.top(layer, out)


@emits("Flatten")
def flatten(graph: Graph, layer: LayerParameter) -> None:
    p, x = layer.flatten_param, graph.bottom(layer)
    first, last = axis_of(layer, p.axis, x.shape), axis_of(layer, p.end_axis, x.shape)
    shape = (*x.shape[:first], prod(x.shape[first : last + 1]), *x.shape[last + 1 :])
    graph.top(layer, graph.reshape(x, shape))


@emits("Reshape")
def reshape(graph: Graph, layer: LayerParameter) -> None:
    """0 copies the size at the same place of the replaced axes, one -1 takes what is left."""
    p, x = layer.reshape_param, graph.bottom(layer)
    first = p.axis if p.axis >= 0 else len(x.shape) + p.axis + 1
    last = len(x.shape) if p.num_axes == -1 else first + p.num_axes
    if not 0 <= first <= last <= len(x.shape):
        raise refuse(layer, f"axis {p.axis} and num_axes {p.num_axes} do not fit shape {x.shape}")
    dims = [x.shape[first + i] if n == 0 else n for i, n in enumerate(p.shape.dim)]
    known = prod(n for n in (*x.shape[:first], *dims, *x.shape[last:]) if n != -1)
    dims = [prod(x.shape) // known if n == -1 else n for n in dims]
    shape = (*x.shape[:first], *dims, *x.shape[last:])
    if prod(shape) != prod(x.shape):
        raise refuse(layer, f"shape {x.shape} can't become {shape}")
    graph.top(layer, graph.reshape(x, shape))


@emits("Crop")
def crop(graph: Graph, layer: LayerParameter) -> None:
    """From `axis` on the second bottom's sizes, beginning at the offsets (one for all axes, or one each)."""
    p, x, like = layer.crop_param, graph.bottom(layer), graph.bottom(layer, 1)
    axis = axis_of(layer, p.axis, x.shape)
    axes = list(range(axis, len(x.shape)))
    offsets = list(p.offset) or [0]
    offsets = offsets * len(axes) if len(offsets) == 1 else offsets
    ends = [o + like.shape[i] for o, i in zip(offsets, axes, strict=False)]
    if len(offsets) != len(axes) or any(end > x.shape[i] for end, i in zip(ends, axes, strict=True)):
        raise refuse(layer, f"offsets {offsets} and size {like.shape} do not fit shape {x.shape}")
    bounds = [graph.constant(np.array(values, np.int64), "bounds") for values in (offsets, ends, axes)]
    graph.top(layer, graph.node("Slice", [x, *bounds], (*x.shape[:axis], *like.shape[axis:])))


@emits("Tile")
def tile(graph: Graph, layer: LayerParameter) -> None:
    p, x = layer.tile_param, graph.bottom(layer)
    axis = axis_of(layer, p.axis, x.shape)
    times = [p.tiles if i == axis else 1 for i in range(len(x.shape))]
    shape = tuple(n * t for n, t in zip(x.shape, times, strict=True))
    graph.top(layer, graph.node("Tile", [x, graph.constant(np.array(times, np.int64), "times")], shape))


@emits("Reduction")
def reduction(graph: Graph, layer: LayerParameter) -> None:
    """coeff * SUM, ASUM, SUMSQ or MEAN of everything from `axis` on."""
    p, x = layer.reduction_param, graph.bottom(layer)
    axis = axis_of(layer, p.axis, x.shape)
    outer = x.shape[:axis]
    flat = graph.reshape(x, (*outer, prod(x.shape[axis:])))
    op = {R.SUM: "ReduceSum", R.ASUM: "ReduceL1", R.SUMSQ: "ReduceSumSquare", R.MEAN: "ReduceMean"}[p.operation]
    last = len(outer)
    if op == "ReduceSum":
        out = graph.node(op, [flat, graph.constant(np.array([last], np.int64), "axes")], outer, keepdims=0)
    else:
        out = graph.node(op, [flat], outer, keepdims=0, axes=[last])
    if p.coeff != 1:
        out = graph.node("Mul", [out, graph.number(p.coeff)], outer)
    graph.top(layer, out)
