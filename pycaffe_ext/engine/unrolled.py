"""LSTM and RNN as the net of small layers that Caffe unrolls them into, for the lines that debug_info logs of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.core.debug_info import DebugInfo
from pycaffe_ext.engine.core.net import Net
from pycaffe_ext.proto import caffe_pb2, parse

Tensors = list[torch.Tensor]
OUTPUTS = {"LSTM": "h", "RNN": "o"}
STATES = {"LSTM": (("h_0", "c_0"), ("h_{0}", "c_T")), "RNN": (("h_0",), ("h_{0}",))}
WITHOUT_BIAS = "bias_term: false"


class Unrolled:
    """The unrolled net of a layer `name` of type `kind` with `size` outputs, with debug_info.

    shapes : of x, cont and perhaps x_static
    """

    def __init__(
        self,
        kind: str,
        name: str,
        size: int,
        shapes: Sequence[tuple[int, ...]],
        phase: caffe_pb2.Phase,
        device: torch.device,
    ) -> None:
        steps, streams = shapes[1]
        self._output = OUTPUTS[kind]
        self._states = STATES[kind][0], [state.format(steps) for state in STATES[kind][1]]
        self._inputs = ("x", "cont", "x_static")[: len(shapes)]
        layers = [_inputs(self._inputs, shapes), *LAYERS[kind](size, steps, streams, len(shapes) > 2)]
        out = self._output
        layers.append(_layer("Reduction", f"{out}_pseudoloss", out, f"{out}_pseudoloss", "loss_weight: 1"))
        described = parse("\n".join(layers), caffe_pb2.NetParameter())
        for layer in described.layer:
            layer.name = f"{name}_{layer.name}"
        self._net = Net(described, phase, device=device)
        self._net.observer = DebugInfo()
        self._last = len(self._net.layers) - 2  # all but the loss that makes the gradients run

    def use(self, params: dict[str, Blob]) -> None:
        """Take the parameters, by Caffe's names, from these blobs and add their gradients there."""
        for layer in self._net.layers:
            for i, spec in enumerate(layer.param.param):
                layer.blobs[i] = params[spec.name]

    def forward(self, bottoms: Tensors, states: Tensors) -> tuple[torch.Tensor, Tensors]:
        """x, cont and perhaps x_static, and first states (N, D) -> the output (T, N, D) and the last states (N, D)."""
        blobs = self._net.blobs
        for name, values in zip(self._inputs, bottoms, strict=True):
            blobs[name].data = values
        for name, values in zip(self._states[0], states, strict=True):
            blobs[name].data = values.unsqueeze(0)
        self._net.forward(end=self._last)
        return blobs[self._output].data.clone(), [blobs[name].data[0] for name in self._states[1]]

    def backward(self, above: torch.Tensor) -> dict[int, torch.Tensor]:
        """Gradient of the output -> gradients of x (0) and x_static (2); adds to those of the parameters."""
        self._net.blobs[self._output].diff = above
        self._net.backward(start=self._last)
        return {i: self._net.blobs[name].diff for i, name in enumerate(self._inputs) if name != "cont"}


def _layer(kind: str, name: str, bottoms: str, tops: str, more: str = "") -> str:
    ends = [f'{end}: "{blob}"' for end, blobs in (("bottom", bottoms), ("top", tops)) for blob in blobs.split()]
    return f'layer {{ type: "{kind}" name: "{name}" {" ".join(ends)} {more} }}'


def _inputs(names: Sequence[str], shapes: Sequence[tuple[int, ...]]) -> str:
    dims = " ".join("shape {" + " ".join(f"dim: {n}" for n in shape) + "}" for shape in shapes)
    return _layer("Input", "", "", " ".join(names), f"input_param {{ {dims} }}")


def _product(name: str, bottom: str, top: str, size: int, params: str, more: str = "axis: 2") -> str:
    specs = " ".join(f'param {{ name: "{param}" }}' for param in params.split())
    return _layer("InnerProduct", name, bottom, top, f"{specs} inner_product_param {{ num_output: {size} {more} }}")


def _slice(name: str, bottom: str, steps: int) -> str:
    tops = " ".join(f"{bottom}_{t}" for t in range(1, steps + 1))
    return _layer("Slice", name, bottom, tops, "slice_param { axis: 0 }")


def _begin(weight: str, bias: str, size: int, steps: int, static: bool) -> Iterator[str]:
    """What x and x_static contribute to each step; `size` is the width of that."""
    yield _slice("cont_slice", "cont", steps)
    top = f"{weight}_x"
    yield _product("x_transform", "x", top, size, f"{weight} {bias}").replace("bottom:", "propagate_down: true bottom:")
    if static:
        fixed = f"{top}_static"
        yield _product(
            fixed, "x_static", f"{fixed}_preshape", size, f"{weight}_static", f"axis: 1 {WITHOUT_BIAS}"
        ).replace("bottom:", "propagate_down: true bottom:")
        yield _layer(
            "Reshape",
            f"{fixed}_reshape",
            f"{fixed}_preshape",
            fixed,
            f"reshape_param {{ shape {{ dim: 1 dim: -1 dim: {size} }} }}",
        )
    yield _slice(f"{top}_slice", top, steps)


def _reset(t: int) -> str:
    """What step t takes over from the step before: nothing where a sequence begins."""
    before = f"h_conted_{t - 1}"
    return _layer("Scale", before, f"h_{t - 1} cont_{t}", before, "scale_param { axis: 0 }")


def _lstm(size: int, steps: int, streams: int, static: bool) -> Iterator[str]:
    yield _inputs(("c_0", "h_0"), [(1, streams, size)] * 2)
    yield from _begin("W_xc", "b_c", 4 * size, steps, static)
    for t in range(1, steps + 1):
        yield _reset(t)
        yield _product(
            f"transform_{t}", f"h_conted_{t - 1}", f"W_hc_h_{t - 1}", 4 * size, "W_hc", f"axis: 2 {WITHOUT_BIAS}"
        )
        gates = f"W_hc_h_{t - 1} W_xc_x_{t}" + (" W_xc_x_static" if static else "")
        yield _layer("Eltwise", f"gate_input_{t}", gates, f"gate_input_{t}")
        yield _layer("LSTMUnit", f"unit_{t}", f"c_{t - 1} gate_input_{t} cont_{t}", f"c_{t} h_{t}")
    yield _layer("Split", "", f"c_{steps}", "c_T")
    yield _layer("Concat", "h_concat", " ".join(f"h_{t}" for t in range(1, steps + 1)), "h", "concat_param { axis: 0 }")


def _rnn(size: int, steps: int, streams: int, static: bool) -> Iterator[str]:
    yield _inputs(("h_0",), [(1, streams, size)])
    yield from _begin("W_xh", "b_h", size, steps, static)
    for t in range(1, steps + 1):
        yield _reset(t)
        yield _product(
            f"W_hh_h_{t - 1}", f"h_conted_{t - 1}", f"W_hh_h_{t - 1}", size, "W_hh", f"axis: 2 {WITHOUT_BIAS}"
        )
        summed = f"W_hh_h_{t - 1} W_xh_x_{t}" + (" W_xh_x_static" if static else "")
        yield _layer("Eltwise", f"h_input_sum_{t}", summed, f"h_neuron_input_{t}")
        yield _layer("TanH", f"h_neuron_{t}", f"h_neuron_input_{t}", f"h_{t}")
        yield _product(f"W_ho_h_{t}", f"h_{t}", f"W_ho_h_{t}", size, "W_ho b_o")
        yield _layer("TanH", f"o_neuron_{t}", f"W_ho_h_{t}", f"o_{t}")
    yield _layer("Concat", "o_concat", " ".join(f"o_{t}" for t in range(1, steps + 1)), "o", "concat_param { axis: 0 }")


LAYERS = {"LSTM": _lstm, "RNN": _rnn}
