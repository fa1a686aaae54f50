"""Which function writes which type of layer."""

from __future__ import annotations

from collections.abc import Callable

from pycaffe_ext.errors import LayerError
from pycaffe_ext.export.graph import Graph
from pycaffe_ext.export.source import LayerParameter

Emitter = Callable[[Graph, LayerParameter], None]
EMITTERS: dict[str, Emitter] = {}


def emits(*types: str) -> Callable[[Emitter], Emitter]:
    """Register a function that adds the nodes of a layer of these types and sets the layer's tops."""

    def register(function: Emitter) -> Emitter:
        EMITTERS.update(dict.fromkeys(types, function))
        return function

    return register


def emit(graph: Graph, layer: LayerParameter) -> None:
    """Add a layer to the graph; LayerError, naming it, for a type that has no ONNX form here."""
    if layer.type not in EMITTERS:
        can = ", ".join(sorted(EMITTERS))
        what = f"layer {layer.name!r}: type {layer.type!r} can't be exported to ONNX; a deploy net may use {can}"
        raise LayerError(layer.name, what)
    EMITTERS[layer.type](graph, layer)


def refuse(layer: LayerParameter, what: str) -> LayerError:
    return LayerError(layer.name, f"layer {layer.name!r} ({layer.type}): {what}")


def axis_of(layer: LayerParameter, axis: int, shape: tuple[int, ...]) -> int:
    """`axis`, counted from the end where it is negative; LayerError if the blob has no such axis."""
    if not -len(shape) <= axis < len(shape):
        raise refuse(layer, f"a blob of shape {shape} has no axis {axis}")
    return axis % len(shape)
