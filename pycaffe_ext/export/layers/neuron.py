"""Layers that change each value by itself."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from pycaffe_ext.export.graph import Graph, Value
from pycaffe_ext.export.layers.registry import emits
from pycaffe_ext.export.source import LayerParameter

Function = Callable[[Graph, LayerParameter, Value], Value]


def _each(name: str) -> Callable[[Function], Function]:
    """Register a function (graph, layer, value) -> value for a layer with one bottom and one top."""

    def register(function: Function) -> Function:
        emits(name)(lambda graph, layer: graph.top(layer, function(graph, layer, graph.bottom(layer))))
        return function

    return register


def _plain(op: str) -> Function:
    """An operator of ONNX without attributes."""
    return lambda graph, _layer, x: graph.node(op, [x], x.shape)


for _type, _op in {"TanH": "Tanh", "Sigmoid": "Sigmoid", "AbsVal": "Abs", "BNLL": "Softplus"}.items():
    _each(_type)(_plain(_op))


@_each("Dropout")
def dropout(_graph: Graph, _layer: LayerParameter, x: Value) -> Value:
    return x


@_each("ReLU")
def relu(graph: Graph, layer: LayerParameter, x: Value) -> Value:
    slope = layer.relu_param.negative_slope
    return graph.node("LeakyRelu", [x], x.shape, alpha=slope) if slope else graph.node("Relu", [x], x.shape)


@_each("PReLU")
def prelu(graph: Graph, layer: LayerParameter, x: Value) -> Value:
    shape = () if layer.prelu_param.channel_shared else (x.shape[1],)
    (slope,) = graph.source.learned(layer, [shape])
    spread = slope.reshape((-1,) + (1,) * (len(x.shape) - 2)) if shape else slope
    return graph.node("PRelu", [x, graph.constant(spread, layer.name)], x.shape)


@_each("ELU")
def elu(graph: Graph, layer: LayerParameter, x: Value) -> Value:
    return graph.node("Elu", [x], x.shape, alpha=layer.elu_param.alpha)


@_each("Power")
def power(graph: Graph, layer: LayerParameter, x: Value) -> Value:
    p = layer.power_param
    x = _line(graph, x, p.scale, p.shift)
    return x if p.power == 1 else graph.node("Pow", [x, graph.number(p.power)], x.shape)


@_each("Exp")
def exp(graph: Graph, layer: LayerParameter, x: Value) -> Value:
    p = layer.exp_param
    rate = 1.0 if p.base == -1 else math.log(p.base)
    return graph.node("Exp", [_line(graph, x, rate * p.scale, rate * p.shift)], x.shape)


@_each("Log")
def log(graph: Graph, layer: LayerParameter, x: Value) -> Value:
    p = layer.log_param
    found = graph.node("Log", [_line(graph, x, p.scale, p.shift)], x.shape)
    return found if p.base == -1 else _line(graph, found, 1 / math.log(p.base), 0)


@_each("Threshold")
def threshold(graph: Graph, layer: LayerParameter, x: Value) -> Value:
    above = graph.node("Greater", [x, graph.number(layer.threshold_param.threshold)], x.shape)
    return graph.node("Cast", [above], x.shape, to=1)


@_each("Clip")
def clip(graph: Graph, layer: LayerParameter, x: Value) -> Value:
    p = layer.clip_param
    return graph.node("Clip", [x, graph.number(p.min), graph.number(p.max)], x.shape)


@_each("Swish")
def swish(graph: Graph, layer: LayerParameter, x: Value) -> Value:
    inner = _line(graph, x, layer.swish_param.beta, 0)
    return graph.node("Mul", [x, graph.node("Sigmoid", [inner], x.shape)], x.shape)


def _line(graph: Graph, x: Value, scale: float, shift: float) -> Value:
    """scale * x + shift."""
    for op, number, neutral in (("Mul", scale, 1), ("Add", shift, 0)):
        if np.float32(number) != neutral:
            x = graph.node(op, [x, graph.number(number)], x.shape)
    return x
