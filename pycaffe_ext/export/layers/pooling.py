"""Pooling and LRN."""

from __future__ import annotations

import numpy as np

from pycaffe_ext.export.graph import Graph, Shape, Value
from pycaffe_ext.export.layers.registry import emits, refuse
from pycaffe_ext.export.source import LayerParameter
from pycaffe_ext.proto import caffe_pb2
from pycaffe_ext.windows import pooled_size

P = caffe_pb2.PoolingParameter


@emits("Pooling")
def pooling(graph: Graph, layer: LayerParameter) -> None:
    p, bottom = layer.pooling_param, graph.bottom(layer)
    if p.pool == P.STOCHASTIC or len(layer.top) > 1 or len(bottom.shape) != 4:
        raise refuse(layer, "only MAX and AVE of (N, C, H, W) blobs, without a mask, can be exported")
    kind = "Max" if p.pool == P.MAX else "Average"
    if p.global_pooling:
        out = graph.node(f"Global{kind}Pool", [bottom], (*bottom.shape[:2], 1, 1))
    else:
        out = _windows(graph, layer, bottom, kind)
    graph.top(layer, out)


def _windows(graph: Graph, layer: LayerParameter, bottom: Value, kind: str) -> Value:
    """Padded at the end so that rounding down gives Caffe's size, which is rounded up and then cut.

    Caffe's AVE divides by the window's size clipped to the image with its padding: these zeros are put into the
    image, the further ones at its end are left uncounted.
    """
    kernel, stride, pad = (_pair(layer, name) for name in ("kernel", "stride", "pad"))
    size = bottom.shape[2:]
    out = pooled_size(size, kernel, stride, pad, floor=layer.pooling_param.round_mode == P.FLOOR)
    for each in zip(size, kernel, stride, pad, out, strict=True):
        _check_inside(layer, *each)
    end = [max((o - 1) * s + k - n - b, 0) for n, k, s, b, o in zip(size, kernel, stride, pad, out, strict=True)]
    begin, more = list(pad), {}
    if kind == "Average":
        more = {"count_include_pad": 0}
        if any(pad):
            size = tuple(n + 2 * b for n, b in zip(size, pad, strict=True))
            bottom = _zero_padded(graph, bottom, pad, (*bottom.shape[:2], *size))
            begin, end = [0, 0], [max(e - b, 0) for e, b in zip(end, pad, strict=True)]
    return graph.node(
        f"{kind}Pool",
        [bottom],
        (*bottom.shape[:2], *out),
        kernel_shape=kernel,
        strides=stride,
        pads=[*begin, *end],
        **more,
    )


def _zero_padded(graph: Graph, value: Value, pad: list[int], shape: Shape) -> Value:
    pads = graph.constant(np.array([0, 0, *pad, 0, 0, *pad], np.int64), "pads")
    return graph.node("Pad", [value, pads, graph.number(0)], shape)


def _pair(layer: LayerParameter, name: str) -> list[int]:
    p, default = layer.pooling_param, {"kernel": 0, "stride": 1, "pad": 0}[name]
    if p.HasField(f"{name}_h") or p.HasField(f"{name}_w"):
        return [getattr(p, f"{name}_h"), getattr(p, f"{name}_w")]
    field = "kernel_size" if name == "kernel" else name
    value = getattr(p, field) if p.HasField(field) else default
    if name == "kernel" and not value:
        raise refuse(layer, "kernel_size is missing")
    return [value, value]


def _check_inside(layer: LayerParameter, size: int, kernel: int, stride: int, pad: int, out: int) -> None:
    """Refuse windows along one axis that have no value of the image."""
    if pad >= kernel or (out - 1) * stride - pad >= size or out < 1:
        raise refuse(layer, f"a window of {kernel}, stride {stride}, pad {pad} lies outside an image of {size}")


@emits("LRN")
def lrn(graph: Graph, layer: LayerParameter) -> None:
    p, bottom = layer.lrn_param, graph.bottom(layer)
    if p.local_size % 2 == 0:
        raise refuse(layer, f"local_size must be odd, not {p.local_size}")
    if p.norm_region == caffe_pb2.LRNParameter.ACROSS_CHANNELS:
        out = graph.node("LRN", [bottom], bottom.shape, size=p.local_size, alpha=p.alpha, beta=p.beta, bias=p.k)
    else:
        out = _within_channel(graph, bottom, p)
    graph.top(layer, out)


def _within_channel(graph: Graph, bottom: Value, p: caffe_pb2.LRNParameter) -> Value:
    """x * (1 + alpha * mean of squares in the window)^-beta; the window counts the padding, and k plays no part."""
    shape, half = bottom.shape, (p.local_size - 1) // 2
    square = graph.node("Mul", [bottom, bottom], shape)
    mean = graph.node(
        "AveragePool", [square], shape, kernel_shape=[p.local_size] * 2, pads=[half] * 4, count_include_pad=1
    )
    scale = graph.node("Add", [graph.node("Mul", [mean, graph.number(p.alpha)], shape), graph.number(1)], shape)
    factor = graph.node("Pow", [scale, graph.number(-p.beta)], shape)
    return graph.node("Mul", [bottom, factor], shape)
