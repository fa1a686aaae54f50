"""Convolution, Deconvolution, InnerProduct."""

from __future__ import annotations

from math import prod

from pycaffe_ext.export.graph import Graph, Value
from pycaffe_ext.export.layers.registry import axis_of, emits, refuse
from pycaffe_ext.export.source import LayerParameter


@emits("Convolution")
def convolution(graph: Graph, layer: LayerParameter) -> None:
    _each(graph, layer, "Conv")


@emits("Deconvolution")
def deconvolution(graph: Graph, layer: LayerParameter) -> None:
    _each(graph, layer, "ConvTranspose")


def _each(graph: Graph, layer: LayerParameter, op: str) -> None:
    """The same filters on each bottom, as Caffe allows."""
    p, channels = layer.convolution_param, graph.bottom(layer).shape[1]
    axes = len(graph.bottom(layer).shape) - 2
    if p.axis not in (1, -axes - 1) or axes < 1:
        raise refuse(layer, f"only axis 1 of (N, C, ...) blobs can be exported, not axis {p.axis}")
    kernel, stride, pad, dilation = (_spatial(layer, name, axes) for name in ("kernel", "stride", "pad", "dilation"))
    if p.num_output % p.group or channels % p.group:
        raise refuse(layer, f"{channels} -> {p.num_output} channels do not fit {p.group} groups")
    first, second = (p.num_output, channels) if op == "Conv" else (channels, p.num_output)
    shapes = [(first, second // p.group, *kernel)] + [(p.num_output,)] * p.bias_term
    weights = [graph.constant(blob, layer.name) for blob in graph.source.learned(layer, shapes)]
    for i, bottom in enumerate(graph.bottoms(layer)):
        size = []
        for n, k, s, b, d in zip(bottom.shape[2:], kernel, stride, pad, dilation, strict=True):
            reach = d * (k - 1) + 1
            size.append((n + 2 * b - reach) // s + 1 if op == "Conv" else s * (n - 1) + reach - 2 * b)
        out = graph.node(
            op,
            [bottom, *weights],
            (bottom.shape[0], p.num_output, *size),
            group=p.group,
            kernel_shape=kernel,
            strides=stride,
            pads=[*pad, *pad],
            dilations=dilation,
        )
        graph.top(layer, out, i)


def _spatial(layer: LayerParameter, name: str, axes: int) -> list[int]:
    """One number an axis, from a number for all, a number for each, or the _h and _w fields."""
    p = layer.convolution_param
    if name != "dilation" and (p.HasField(f"{name}_h") or p.HasField(f"{name}_w")):
        values = [getattr(p, f"{name}_h"), getattr(p, f"{name}_w")]
    else:
        values = list(getattr(p, "kernel_size" if name == "kernel" else name)) or [0 if name == "pad" else 1]
        if name == "kernel" and not p.kernel_size:
            raise refuse(layer, "kernel_size is missing")
    values = values * axes if len(values) == 1 else values
    if len(values) != axes:
        raise refuse(layer, f"{len(values)} values of {name} for {axes} axes")
    return values


@emits("InnerProduct")
def inner_product(graph: Graph, layer: LayerParameter) -> None:
    p = layer.inner_product_param
    for i, bottom in enumerate(graph.bottoms(layer)):
        axis = axis_of(layer, p.axis, bottom.shape)
        outer, inputs = bottom.shape[:axis], prod(bottom.shape[axis:])
        weight = (inputs, p.num_output) if p.transpose else (p.num_output, inputs)
        shapes: list[tuple[int, ...]] = [weight, *[(p.num_output,)] * p.bias_term]
        blobs = [graph.constant(blob, layer.name) for blob in graph.source.learned(layer, shapes)]
        flat = graph.node("Flatten", [bottom], (prod(outer), inputs), axis=axis)
        out = graph.node("Gemm", [flat, *blobs], (prod(outer), p.num_output), transB=int(not p.transpose))
        graph.top(layer, _unflattened(graph, out, (*outer, p.num_output)), i)


def _unflattened(graph: Graph, value: Value, shape: tuple[int, ...]) -> Value:
    return value if value.shape == shape else graph.reshape(value, shape)
