"""Where a blob's coordinates lie in another blob of the same net, and the Crop layer that aligns the two.

A map is (axis, scale, shift): coordinate x of the output lies at scale * x + shift of the input, from `axis` on;
(None, 1, 0) is the identity of layers that work point by point.  Works on the Tops of net_spec.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pycaffe_ext.caffe.mistakes import NotAligned, RunError
from pycaffe_ext.caffe.net_spec import Function, Top
from pycaffe_ext.caffe.net_spec import layers as L

Map = tuple[int | None, Any, Any]

IDENTITY: Map = (None, 1, 0)
PASS_THROUGH_LAYERS = [
    "AbsVal",
    "BatchNorm",
    "Bias",
    "BNLL",
    "Dropout",
    "Eltwise",
    "ELU",
    "Log",
    "LRN",
    "Exp",
    "MVN",
    "Power",
    "ReLU",
    "PReLU",
    "Scale",
    "Sigmoid",
    "Split",
    "TanH",
    "Threshold",
    "Clip",
    "Swish",
]


class UndefinedMapException(Exception):
    """A layer does not relate coordinates of its bottom to those of its top."""


class AxisMismatchException(Exception):
    """Two maps begin at different axes."""


def conv_params(fn: Function) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
    """(axis, stride, size of the kernel with its dilation, pad) of a Convolution, Deconvolution, Im2col or Pooling."""
    params = fn.params.get("convolution_param", fn.params.get("pooling_param", fn.params))
    legacy = {f"{name}_{side}" for name in ("pad", "kernel", "stride") for side in "hw"} & set(params)
    if legacy:
        raise NotAligned(f"{fn.type_name}: {', '.join(sorted(legacy))} cannot be mapped; use kernel_size, stride, pad")
    if "kernel_size" not in params:
        raise UndefinedMapException(f"{fn.type_name} without kernel_size does not relate coordinates")
    kernel, dilation, stride, pad = (
        np.array(params.get(name, default), ndmin=1)
        for name, default in (("kernel_size", 1), ("dilation", 1), ("stride", 1), ("pad", 0))
    )
    return params.get("axis", 1), stride, (kernel - 1) * dilation + 1, pad


def crop_params(fn: Function) -> tuple[int, np.ndarray]:
    """(axis, offsets) of a Crop."""
    params = fn.params.get("crop_param", fn.params)
    return params.get("axis", 2), np.array(params.get("offset", 0), ndmin=1)


def coord_map(fn: Function) -> Map:
    """The map of one layer; raises UndefinedMapException for a layer that has none."""
    if fn.type_name in ("Convolution", "Pooling", "Im2col"):
        axis, stride, kernel, pad = conv_params(fn)
        return axis, 1 / stride, (pad - (kernel - 1) / 2) / stride
    if fn.type_name == "Deconvolution":
        axis, stride, kernel, pad = conv_params(fn)
        return axis, stride, (kernel - 1) / 2 - pad
    if fn.type_name == "Crop":
        axis, offset = crop_params(fn)
        return axis - 1, 1, -offset
    if fn.type_name in PASS_THROUGH_LAYERS:
        return IDENTITY
    raise UndefinedMapException(f"{fn.type_name} does not relate coordinates")


def compose(base_map: Map, next_map: Map) -> Map:
    """`base_map` after `next_map`; raises AxisMismatchException if both have an axis and these differ."""
    (axis, scale, shift), (further, next_scale, next_shift) = base_map, next_map
    if None not in (axis, further) and axis != further:
        raise AxisMismatchException(f"maps begin at axis {axis} and at axis {further}")
    return further if axis is None else axis, scale * next_scale, scale * next_shift + shift


def inverse(coord_map: Map) -> Map:
    """The way back."""
    axis, scale, shift = coord_map
    return axis, 1 / scale, -shift / scale


def coord_map_from_to(top_from: Top, top_to: Top) -> Map:
    """The map from blob `top_from` to blob `top_to`, through a blob that both are made from.

    Raises RunError if no layers with a map connect them.
    """
    from_maps = _upwards(top_from)
    for top, way in _upwards(top_to).items():
        if top in from_maps:
            return compose(way, inverse(from_maps[top]))
    raise RunError("the two blobs are not connected by layers that relate coordinates")


def _upwards(top: Top) -> dict[Top, Map]:
    """Every blob that `top` is made from by layers with a map (itself first, the nearest next), with the map to it."""
    maps: dict[Top, Map] = {top: IDENTITY}
    frontier = [top]
    for current in frontier:
        bottoms = current.fn.inputs[:1] if current.fn.type_name == "Crop" else current.fn.inputs
        try:
            way = coord_map(current.fn) if bottoms else IDENTITY
        except UndefinedMapException:
            continue
        for bottom in bottoms:
            if bottom not in maps:
                maps[bottom] = compose(maps[current], way)
                frontier.append(bottom)
    return maps


def crop(top_from: Top, top_to: Top) -> Top:
    """A Crop layer that cuts `top_from` to what lies over `top_to`.

    Raises NotAligned if their scales differ or the offset is negative or no whole number.
    """
    axis, scale, shift = coord_map_from_to(top_from, top_to)
    _check(np.all(scale == 1), f"scale mismatch on crop (a = {scale})")
    _check(np.all(shift <= 0), f"cannot crop negative offset (b = {shift})")
    _check(np.all(np.round(shift) == shift), f"cannot crop noninteger offset (b = {shift})")
    offset = (-np.round(np.atleast_1d(shift))).astype(int).tolist()
    return L.Crop(top_from, top_to, crop_param={"axis": 2 if axis is None else axis + 1, "offset": offset})


def _check(condition: bool | np.bool, message: str) -> None:
    if not condition:
        raise NotAligned(message)
