"""An ONNX graph while it is made from a net's layers: values in place of blobs, and their shapes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from pycaffe_ext.errors import LayerError
from pycaffe_ext.export.source import LayerParameter, Source

Shape = tuple[int, ...]


@dataclass
class Value:
    """An ONNX value that stands for a blob: its name in the graph and its shape."""

    name: str
    shape: Shape


@dataclass
class Graph:
    """Nodes and constants so far; `values` maps each blob to what it is after the layers so far."""

    source: Source
    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)
    inputs: list[Value] = field(default_factory=list)
    read: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    left: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.left.update(top for layer in self.source.layers for top in layer.top)

    def add_input(self, blob: str, shape: Shape) -> None:
        self.left[blob] -= 1
        self.values[blob] = Value(self._unused(blob), shape)
        self.inputs.append(self.values[blob])

    def bottom(self, layer: LayerParameter, index: int = 0) -> Value:
        """The value of a bottom; LayerError if the layer lacks it or nothing before makes it."""
        if index >= len(layer.bottom):
            raise LayerError(layer.name, f"layer {layer.name!r}: a {layer.type} layer needs {index + 1} bottom(s)")
        name = layer.bottom[index]
        if name not in self.values:
            raise LayerError(layer.name, f"layer {layer.name!r}: no layer before it makes its bottom {name!r}")
        self.read.add(name)
        return self.values[name]

    def bottoms(self, layer: LayerParameter) -> list[Value]:
        return [self.bottom(layer, i) for i in range(len(layer.bottom))]

    def top(self, layer: LayerParameter, value: Value, index: int = 0) -> None:
        """What the value of a top is from now on; the last one that a blob has bears the blob's name."""
        blob = layer.top[index]
        self.left[blob] -= 1
        self.read.discard(blob)
        name = self._unused(blob if not self.left[blob] else f"{blob}@{layer.name}")
        self._rename(value.name, name, layer.name)
        self.values[blob] = Value(name, value.shape)

    def _rename(self, old: str, new: str, layer: str) -> None:
        """Call the last node's output `new`, and the node as the layer; copy what is not the last node's own."""
        last = self.nodes[-1] if self.nodes else None
        if last is not None and list(last.output) == [old] and old not in {v.name for v in self.values.values()}:
            last.name, last.output[0] = f"{layer}:{len(self.nodes)}", new
        else:
            self.nodes.append(helper.make_node("Identity", [old], [new], name=f"{layer}:{len(self.nodes)}"))

    def node(self, op: str, inputs: Sequence[Value | str], shape: Shape, outputs: int = 1, **attributes: Any) -> Value:
        """Add a node and return its (first) output, of this shape; more outputs are called NAME:1, NAME:2."""
        name = self._unused(f"{op}_{len(self.nodes)}")
        names = [name, *(f"{name}:{i}" for i in range(1, outputs))]
        given = [item if isinstance(item, str) else item.name for item in inputs]
        self.nodes.append(helper.make_node(op, given, names, name=name, **attributes))
        return Value(name, tuple(shape))

    def constant(self, array: np.ndarray, hint: str = "constant") -> str:
        """Add a constant (float32 or int64) and return its name."""
        name = self._unused(f"{hint}_{len(self.constants)}")
        self.constants.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name

    def number(self, value: float) -> str:
        return self.constant(np.array(value, np.float32))

    def reshape(self, value: Value, shape: Shape) -> Value:
        """A first axis that stays is written as 0, "as it is", so that the graph does not fix the batch's size."""
        kept = bool(shape) and shape[:1] == value.shape[:1]
        target = (0, *shape[1:]) if kept else shape
        return self.node("Reshape", [value, self.constant(np.array(target, np.int64), "shape")], shape)

    def outputs(self) -> list[Value]:
        """Blobs that no layer reads, as Caffe's net outputs."""
        return [value for blob, value in self.values.items() if blob not in self.read]

    def _unused(self, name: str) -> str:
        while name in self.names:
            name += "'"
        self.names.add(name)
        return name
