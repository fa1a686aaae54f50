"""Shapes of a net's blobs and parameters, read off its prototxt with Caffe's rules and without an engine."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import caffe_pb2
from pycaffe_ext.proto.forks import known_type
from pycaffe_ext.windows import pooled_size

Shape = tuple[int, ...]
Shapes = list[Shape]


def blob_shapes(
    net: caffe_pb2.NetParameter, phase: int = caffe_pb2.TEST, image: Shape = (3, 227, 227)
) -> dict[str, Shape]:
    """Blob name -> shape in `phase`, in the order of the layers; `image` is what the Data layers' files hold."""
    return _infer(net, phase, image)[0]


def parameter_shapes(
    net: caffe_pb2.NetParameter, phase: int = caffe_pb2.TRAIN, image: Shape = (3, 227, 227)
) -> dict[str, Shapes]:
    """Layer name -> shapes of its learnable blobs (weight, bias), for the layers that have any."""
    return _infer(net, phase, image)[1]


def _infer(net: caffe_pb2.NetParameter, phase: int, image: Shape) -> tuple[dict[str, Shape], dict[str, Shapes]]:
    blobs: dict[str, Shape] = {}
    parameters: dict[str, Shapes] = {}
    for layer in net.layer:
        if not _included(layer, phase):
            continue
        rule = RULES[known_type(layer.name, layer.type, RULES)]
        bottoms = [_bottom(blobs, layer, name) for name in layer.bottom]
        tops, learned = rule(layer, bottoms, image)
        blobs.update(zip(layer.top, tops, strict=False))
        if learned:
            parameters[layer.name] = learned
    return blobs, parameters


def _included(layer: caffe_pb2.LayerParameter, phase: int) -> bool:
    """Caffe's rule for phases: with no include, all but the excluded; else only the included."""
    if layer.include:
        return any(not rule.HasField("phase") or rule.phase == phase for rule in layer.include)
    return not any(not rule.HasField("phase") or rule.phase == phase for rule in layer.exclude)


def _bottom(blobs: Mapping[str, Shape], layer: caffe_pb2.LayerParameter, name: str) -> Shape:
    if name not in blobs:
        raise UserError(f"layer {layer.name!r}: no layer before it makes its bottom {name!r}")
    return blobs[name]


def _data(layer: Any, _bottoms: Shapes, image: Shape) -> tuple[Shapes, Shapes]:
    batch, crop = layer.data_param.batch_size, layer.transform_param.crop_size
    return [(batch, image[0], crop, crop) if crop else (batch, *image), (batch,)], []


def _input(layer: Any, _bottoms: Shapes, _image: Shape) -> tuple[Shapes, Shapes]:
    shapes = [tuple(shape.dim) for shape in layer.input_param.shape]
    return shapes * len(layer.top) if len(shapes) == 1 else shapes, []


def _convolution(layer: Any, bottoms: Shapes, _image: Shape) -> tuple[Shapes, Shapes]:
    p, (n, channels, *size) = layer.convolution_param, bottoms[0]
    if p.num_output % p.group or channels % p.group:
        raise UserError(f"layer {layer.name!r}: {channels} -> {p.num_output} channels do not fit {p.group} groups")
    kernel, stride, pad = window(layer, p)
    out = [(x + 2 * b - k) // s + 1 for x, k, s, b in zip(size, reach(p, kernel), stride, pad, strict=True)]
    weight = (p.num_output, channels // p.group, *kernel)
    return [(n, p.num_output, *out)], [weight] + [(p.num_output,)] * p.bias_term


def reach(p: Any, kernel: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns from a dilated kernel's first weight to its last."""
    dilation = list(p.dilation) or [1]
    return (kernel[0] - 1) * dilation[0] + 1, (kernel[1] - 1) * dilation[-1] + 1


def _pooling(layer: Any, bottoms: Shapes, _image: Shape) -> tuple[Shapes, Shapes]:
    p, (n, channels, *size) = layer.pooling_param, bottoms[0]
    if p.global_pooling:
        return [(n, channels, 1, 1)], []
    kernel, stride, pad = window(layer, p)
    floor = p.round_mode == caffe_pb2.PoolingParameter.FLOOR
    return [(n, channels, *pooled_size(size, kernel, stride, pad, floor=floor))], []


def window(layer: Any, p: Any) -> list[tuple[int, int]]:
    """(rows, columns) of kernel, stride and pad, from a number, a list of one or two, or the _h and _w fields."""
    found = []
    for name, letter, default in (("kernel_size", "kernel", 0), ("stride", "stride", 1), ("pad", "pad", 0)):
        if p.HasField(f"{letter}_h") or p.HasField(f"{letter}_w"):
            found.append((getattr(p, f"{letter}_h"), getattr(p, f"{letter}_w")))
            continue
        value = getattr(p, name)
        values = [value] if isinstance(value, int) else list(value) or [default]
        found.append((values[0], values[-1]))
    if min(found[0]) < 1:
        raise UserError(f"layer {layer.name!r}: kernel_size is missing")
    return found


def _inner_product(layer: Any, bottoms: Shapes, _image: Shape) -> tuple[Shapes, Shapes]:
    p, shape = layer.inner_product_param, bottoms[0]
    axis = p.axis % len(shape)
    inputs = math.prod(shape[axis:])
    weight = (inputs, p.num_output) if p.transpose else (p.num_output, inputs)
    return [(*shape[:axis], p.num_output)], [weight] + [(p.num_output,)] * p.bias_term


def _batch_norm(_layer: Any, bottoms: Shapes, _image: Shape) -> tuple[Shapes, Shapes]:
    channels = 1 if len(bottoms[0]) == 1 else bottoms[0][1]
    return bottoms, [(channels,), (channels,), (1,)]


def _scale(layer: Any, bottoms: Shapes, _image: Shape) -> tuple[Shapes, Shapes]:
    p, shape = layer.scale_param, bottoms[0]
    axis = p.axis % len(shape)
    factor = bottoms[1] if len(bottoms) > 1 else shape[axis:] if p.num_axes == -1 else shape[axis : axis + p.num_axes]
    return [shape], [factor] * (len(bottoms) == 1) + [factor] * p.bias_term


def _concat(layer: Any, bottoms: Shapes, _image: Shape) -> tuple[Shapes, Shapes]:
    p, first = layer.concat_param, bottoms[0]
    axis = p.concat_dim if p.HasField("concat_dim") else p.axis % len(first)
    rests = {(*shape[:axis], *shape[axis + 1 :]) for shape in bottoms}
    if len(rests) > 1:
        raise UserError(f"layer {layer.name!r}: {_show(bottoms)} can't be joined along axis {axis}")
    return [(*first[:axis], sum(shape[axis] for shape in bottoms), *first[axis + 1 :])], []


def _slice(layer: Any, bottoms: Shapes, _image: Shape) -> tuple[Shapes, Shapes]:
    p, shape = layer.slice_param, bottoms[0]
    axis, tops = p.axis % len(shape), len(layer.top)
    points = list(p.slice_point) or [part * shape[axis] // tops for part in range(1, tops)]
    ends = [0, *points, shape[axis]]
    if len(points) != tops - 1 or sorted(set(ends)) != ends or (not p.slice_point and shape[axis] % tops):
        raise UserError(f"layer {layer.name!r}: slice_point {points} makes no {tops} parts of {shape[axis]}")
    parts = [end - start for start, end in pairwise(ends)]
    return [(*shape[:axis], part, *shape[axis + 1 :]) for part in parts], []


def _silence(_layer: Any, _bottoms: Shapes, _image: Shape) -> tuple[Shapes, Shapes]:
    return [], []


def _eltwise(layer: Any, bottoms: Shapes, _image: Shape) -> tuple[Shapes, Shapes]:
    if len(set(bottoms)) > 1:
        raise UserError(f"layer {layer.name!r}: {_show(bottoms)} can't be taken element by element")
    return bottoms[:1], []


def _show(shapes: Shapes) -> str:
    return " and ".join("x".join(map(str, shape)) for shape in shapes)


def _same(_layer: Any, bottoms: Shapes, _image: Shape) -> tuple[Shapes, Shapes]:
    return bottoms, []


def _scalar(_layer: Any, _bottoms: Shapes, _image: Shape) -> tuple[Shapes, Shapes]:
    return [()], []


Rule = Callable[[Any, Shapes, Shape], tuple[Shapes, Shapes]]
RULES: dict[str, Rule] = {
    "Data": _data,
    "Input": _input,
    "Convolution": _convolution,
    "Pooling": _pooling,
    "InnerProduct": _inner_product,
    "BatchNorm": _batch_norm,
    "Scale": _scale,
    "Concat": _concat,
    "Slice": _slice,
    "Silence": _silence,
    "Eltwise": _eltwise,
    "ReLU": _same,
    "LRN": _same,
    "Dropout": _same,
    "Softmax": _same,
    "SoftmaxWithLoss": _scalar,
    "Accuracy": _scalar,
}
