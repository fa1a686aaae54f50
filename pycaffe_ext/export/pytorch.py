"""A trained net as a PyTorch module and as a program of torch.export, which loads where only PyTorch is installed.

The module runs the graph that is written as ONNX: one function here for each operator that the emitters use.  This
is the one module of the room that imports torch; import it inside a function.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from onnx import NodeProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from pycaffe_ext.errors import UserError
from pycaffe_ext.export.graph import Graph
from pycaffe_ext.export.onnx import graph_of
from pycaffe_ext.export.source import Preparation, Source
from pycaffe_ext.files import writing

ABOUT = "about.json"  # the metadata's name in a .pt2 file
OPERATORS: dict[str, Callable[..., Any]] = {
    "Abs": torch.abs,
    "Add": lambda x, y: x + y,
    "Cast": lambda x, **_: x.to(torch.float32),
    "Clip": torch.clamp,
    "Concat": lambda *values, axis: torch.cat(values, axis),
    "Div": lambda x, y: x / y,
    "Elu": lambda x, alpha: functional.elu(x, alpha),
    "Exp": torch.exp,
    "Flatten": lambda x, axis: x.reshape(math.prod(x.shape[:axis]), -1),
    "GlobalAveragePool": lambda x: x.mean((2, 3), keepdim=True),
    "GlobalMaxPool": lambda x: x.amax((2, 3), keepdim=True),
    "Greater": lambda x, y: x > y,
    "Identity": lambda x: x,
    "LRN": lambda x, size, alpha, beta, bias: functional.local_response_norm(x, size, alpha, beta, bias),
    "LeakyRelu": lambda x, alpha: functional.leaky_relu(x, alpha),
    "Log": torch.log,
    "Max": torch.maximum,
    "Mul": lambda x, y: x * y,
    "PRelu": lambda x, slope: torch.where(x > 0, x, slope * x),
    "Pow": torch.pow,
    "ReduceL1": lambda x, axes, keepdims: x.abs().sum(axes, keepdim=bool(keepdims)),
    "ReduceMean": lambda x, axes, keepdims=1: x.mean(axes, keepdim=bool(keepdims)),
    "ReduceSum": lambda x, axes, keepdims: x.sum(axes, keepdim=bool(keepdims)),
    "ReduceSumSquare": lambda x, axes, keepdims: x.square().sum(axes, keepdim=bool(keepdims)),
    "Relu": torch.relu,
    "Reshape": lambda x, shape: x.reshape([x.shape[i] if n == 0 else n for i, n in enumerate(shape)]),
    "Sigmoid": torch.sigmoid,
    "Softmax": lambda x, axis: torch.softmax(x, axis),
    "Softplus": functional.softplus,
    "Split": lambda x, sizes, axis: x.split(sizes, axis),
    "Sqrt": torch.sqrt,
    "Sub": lambda x, y: x - y,
    "Tanh": torch.tanh,
    "Tile": lambda x, times: x.repeat(times),
}
CONVOLUTIONS: dict[str, dict[int, Callable[..., Tensor]]] = {
    "Conv": {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d},
    "ConvTranspose": {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d},
}


def _operator(name: str) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    def register(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        OPERATORS[name] = function
        return function

    return register


def _convolution(op: str, x: Tensor, weight: Tensor, bias: Tensor | None = None, **attributes: Any) -> Tensor:
    """The emitters pad both ends of an axis alike.  UserError for more axes than PyTorch's convolutions have."""
    axes = x.dim() - 2
    if axes not in CONVOLUTIONS[op]:
        raise UserError(f"a convolution over {axes} axes has no form in PyTorch, which has 1 to 3; write .onnx")
    return CONVOLUTIONS[op][axes](
        x,
        weight,
        bias,
        stride=attributes["strides"],
        padding=attributes["pads"][:axes],
        dilation=attributes["dilations"],
        groups=attributes["group"],
    )


OPERATORS |= {op: partial(_convolution, op) for op in CONVOLUTIONS}


@_operator("Gemm")
def _gemm(x: Tensor, weight: Tensor, bias: Tensor | None = None, *, transB: int) -> Tensor:  # noqa: N803  ONNX's name
    return functional.linear(x, weight if transB else weight.T, bias)


@_operator("BatchNormalization")
def _batch_norm(x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, epsilon: float) -> Tensor:
    return functional.batch_norm(x, mean, variance, scale, bias, eps=epsilon)


@_operator("Pad")
def _pad(x: Tensor, pads: list[int], value: float) -> Tensor:
    """ONNX gives the begins of all axes, then their ends; PyTorch begin and end of each axis, the last axis first."""
    ends = zip(pads[: x.dim()], pads[x.dim() :], strict=True)
    return functional.pad(x, [n for pair in reversed(list(ends)) for n in pair], value=value)


def _padded(x: Tensor, pads: list[int], value: float) -> Tensor:
    return _pad(x, [0, 0, *pads[:2], 0, 0, *pads[2:]], value) if any(pads) else x


@_operator("MaxPool")
def _max_pool(x: Tensor, kernel_shape: list[int], strides: list[int], pads: list[int]) -> Tensor:
    return functional.max_pool2d(_padded(x, pads, -math.inf), kernel_shape, strides)


@_operator("AveragePool")
def _average_pool(
    x: Tensor,
    kernel_shape: list[int],
    pads: list[int],
    strides: list[int] | None = None,
    count_include_pad: int = 0,
) -> Tensor:
    """Windows that are cut by the padding are divided by what they hold of `x`, unless the padding counts.  ONNX's
    default stride is 1, PyTorch's the window."""
    strides = strides or [1, 1]
    if count_include_pad or not any(pads):
        return functional.avg_pool2d(_padded(x, pads, 0), kernel_shape, strides)
    total, held = (
        functional.avg_pool2d(_padded(values, pads, 0), kernel_shape, strides, divisor_override=1)
        for values in (x, torch.ones_like(x[:1, :1]))
    )
    return total / held


@_operator("Slice")
def _slice(x: Tensor, starts: list[int], ends: list[int], axes: list[int]) -> Tensor:
    for axis, start, end in zip(axes, starts, ends, strict=True):
        x = x.narrow(axis, start, end - start)
    return x


@dataclass(frozen=True)
class _Step:
    """One operator: its function without what is fixed, and the names of the values that it reads and makes."""

    function: Callable[..., Any]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


class Net(nn.Module):
    """A graph as a module: float32 inputs -> its output, or a tuple of several, in the order of `graph.outputs()`.

    Weights are parameters called LAYER_NUMBER, every character that Python has not in names replaced by _; they are
    created without gradients.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        arrays = {constant.name: numpy_helper.to_array(constant) for constant in graph.constants}
        self._numbers = {
            name: array.tolist() for name, array in arrays.items() if array.dtype == np.int64 or not array.ndim
        }
        self._weights = {name: re.sub(r"\W", "_", name) for name in arrays if name not in self._numbers}
        for name, attribute in self._weights.items():
            self.register_parameter(attribute, nn.Parameter(torch.tensor(arrays[name]), requires_grad=False))
        self._steps = [_step(node) for node in graph.nodes]
        self._inputs = [value.name for value in graph.inputs]
        self._outputs = [value.name for value in graph.outputs()]

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        values: dict[str, Any] = {**self._numbers, **dict(zip(self._inputs, inputs, strict=True))}
        values |= {name: self.get_parameter(attribute) for name, attribute in self._weights.items()}
        for step in self._steps:
            made = step.function(*(values[name] for name in step.inputs), **step.attributes)
            values |= zip(step.outputs, made if len(step.outputs) > 1 else [made], strict=True)
        outputs = tuple(values[name] for name in self._outputs)
        return outputs[0] if len(outputs) == 1 else outputs


def _step(node: NodeProto) -> _Step:
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    attributes.pop("kernel_shape" if node.op_type.startswith("Conv") else "", None)
    return _Step(OPERATORS[node.op_type], tuple(node.input), tuple(node.output), attributes)


def module(source: Source) -> Net:
    """The net as a module; UserError as `onnx.graph_of`."""
    return Net(graph_of(source)).eval()


def program(source: Source, any_batch: bool = False) -> torch.export.ExportedProgram:
    """The net as a program of PyTorch's own operators.

    any_batch : the inputs' first axis takes any size, the same for all; else it is the prototxt's.
    """
    graph = graph_of(source)
    shapes = [(2, *value.shape[1:]) if any_batch else value.shape for value in graph.inputs]
    batch = {0: torch.export.Dim("N")} if any_batch else None
    examples = tuple(torch.zeros(shape) for shape in shapes)
    return torch.export.export(Net(graph).eval(), examples, dynamic_shapes=(tuple(batch for _ in examples),))


def write(
    source: Source,
    path: str | Path,
    preparation: Preparation,
    about: Mapping[str, str] | None = None,
    any_batch: bool = False,
) -> None:
    """Write the program as a .pt2 file, whole or not at all; torch.export.load(PATH).module() is the net.

    The metadata, those of the other formats, lie in the file as about.json: see `read_about`.
    """
    made = program(source, any_batch)
    text = json.dumps({**preparation.metadata(), **(about or {})})
    with writing(path, "wb") as file:
        torch.export.save(made, file, extra_files={ABOUT: text})


def load(path: str | Path) -> Callable[[np.ndarray], np.ndarray]:
    """What the program in a .pt2 file computes on the CPU: the input's float32 values -> the output's."""
    return runs(torch.export.load(os.fspath(path)).module())


def runs(net: nn.Module) -> Callable[[np.ndarray], np.ndarray]:
    """A module of one input and one output as a function of arrays, without gradients."""

    def run(values: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            result: Tensor = net(torch.from_numpy(values))
        return result.numpy()

    return run


def read_about(path: str | Path) -> dict[str, str]:
    """The metadata in a .pt2 file."""
    files = {ABOUT: ""}
    torch.export.load(os.fspath(path), extra_files=files)
    found: dict[str, str] = json.loads(files[ABOUT])
    return found
