"""LSTM and RNN: layers that walk through time (facts: RecurrentLayer, LSTMLayer, LSTMUnitLayer, RNNLayer).

The genuine layers unroll themselves into a net of small layers; here each step is a few products, and the products
that need no earlier step (of the input, and of every parameter's gradient) are done for all steps at once.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch

from pycaffe_ext import glog
from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.layers.base import Layer, register
from pycaffe_ext.proto import caffe_pb2

Tensor = torch.Tensor


class Recurrent(Layer):
    """What LSTM and RNN share.  T steps of N streams, D = num_output.

    Bottoms: x (T, N, ...), cont (T, N), perhaps x_static (N, ...), and with expose_hidden the first states (1, N, D).
    Tops: the output (T, N, D), and with expose_hidden the last states (1, N, D).
    cont multiplies what comes from the step before: 0 begins a new sequence.  Without expose_hidden the states at the
    end of a pass are where the next one begins.  As in Caffe, gradients reach neither cont nor any exposed state, and
    what comes back to the exposed last states is not used.
    Blobs: of x (weight, bias), of x_static (weight) if there is one, then those of the recurrence.
    """

    states = 1
    gates = 1  # widths of D that each step needs
    blob_names: tuple[str, ...] = ("W_xh", "b_h", "W_xh_static")

    def __init__(self, param: caffe_pb2.LayerParameter, phase: caffe_pb2.Phase, device: torch.device) -> None:
        super().__init__(param, phase, device)
        self.min_bottoms, self.max_bottoms, self.exact_tops = (n + self._exposed for n in (2, 3, 1))

    @property
    def _exposed(self) -> int:
        return self.states if self.param.recurrent_param.expose_hidden else 0

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        param = self.param.recurrent_param
        self.check(param.num_output > 0, "needs recurrent_param.num_output > 0")
        self.size = param.num_output
        x = bottom[0].shape
        self.check(len(x) >= 3, f"its first bottom needs axes (steps, streams, ...), not shape {x}")
        self.steps = x[0]
        self.static = len(bottom) > 2 + self._exposed
        self._check_bottoms(bottom)
        self._memory: list[Tensor] = []  # states at the end of the last pass, for the most streams there were
        glog.info(
            "recurrent_layer.cpp:20",
            "Initializing recurrent layer: assuming input batch contains "
            f"{x[0]} timesteps of {x[1]} independent streams.",
        )
        self._add_blobs(bottom)
        self._unrolled = self._unroll(bottom) if param.debug_info else None

    def _unroll(self, bottom: list[Blob]) -> Any:
        """The same layer as a net of small ones, whose lines debug_info logs."""
        from pycaffe_ext.engine.unrolled import Unrolled  # needs nets, and with them all layers

        shapes = [blob.shape for blob in bottom[: 2 + self.static]]
        return Unrolled(self.type, self.name, self.size, shapes, self.phase, self.device)

    def _names(self) -> list[str]:
        return [name for name in self.blob_names if self.static or not name.endswith("_static")]

    def _add_blobs(self, bottom: list[Blob]) -> None:
        param, width = self.param.recurrent_param, self.gates * self.size
        shapes: list[tuple[int, ...]] = [(width, math.prod(bottom[0].shape[2:])), (width,)]
        if self.static:
            shapes.append((width, math.prod(bottom[2].shape[1:])))
        shapes += self.recurrent_shapes()
        for i, (shape, name) in enumerate(zip(shapes, self._names(), strict=True)):
            self.add_blob(shape, param.weight_filler if len(shape) > 1 else param.bias_filler)
            glog.info("recurrent_layer.cpp:150", f"Adding parameter {i}: {name}")

    def _check_bottoms(self, bottom: list[Blob]) -> None:
        x, cont = bottom[0].shape, bottom[1].shape
        self.check(x[0] == self.steps, f"was made for {self.steps} steps and can't be given {x[0]}")
        self.check(cont == x[:2], f"its second bottom, cont, needs shape {x[:2]}, not {cont}")
        if self.static:
            static = bottom[2].shape
            fits = len(static) >= 2 and static[0] == x[1]
            self.check(fits, f"its static bottom needs shape ({x[1]}, ...), not {static}")
        for blob in bottom[len(bottom) - self._exposed :]:
            state = (1, x[1], self.size)
            self.check(blob.shape == state, f"exposed states need shape {state}, not {blob.shape}")

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        self._check_bottoms(bottom)
        streams = bottom[0].shape[1]
        top[0].reshape((self.steps, streams, self.size))
        for blob in top[1:]:
            blob.reshape((1, streams, self.size))

    def operations(self, bottom: list[Blob], top: list[Blob]) -> int:
        return math.prod(bottom[0].shape[:2]) * sum(blob.count for blob in self.blobs)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self._cont = bottom[1].data.unsqueeze(2)
        states = self._first_states(bottom)
        if self._unrolled is None:
            top[0].data, last = self.run(self._inputs(bottom), states)
        else:
            self._unrolled.use(dict(zip(self._names(), self.blobs, strict=True)))
            top[0].data, last = self._unrolled.forward([blob.data for blob in bottom[: 2 + self.static]], states)
        if self._exposed:
            for blob, state in zip(top[1:], last, strict=True):
                blob.data = state.unsqueeze(0)
            return
        for memory, state in zip(self._memory, last, strict=True):
            memory[: len(state)] = state

    def _inputs(self, bottom: list[Blob]) -> Tensor:
        """(T, N, gates D): what x and x_static contribute to each step."""
        x = bottom[0].data.reshape(-1, self.blobs[0].shape[1])
        out = torch.addmm(self.blobs[1].data, x, self.blobs[0].data.t()).view(self.steps, -1, self.gates * self.size)
        if self.static:
            out += bottom[2].data.reshape(out.shape[1], -1) @ self.blobs[2].data.t()
        return out

    def _first_states(self, bottom: list[Blob]) -> list[Tensor]:
        """(N, D) each.  Streams that come back find their old states, as in Caffe's memory; more than ever, zeros."""
        if self._exposed:
            return [blob.data[0] for blob in bottom[-self._exposed :]]
        streams = bottom[0].shape[1]
        if not self._memory or len(self._memory[0]) < streams:
            self._memory = [torch.zeros(streams, self.size, device=self.device) for _ in range(self.states)]
        return [memory[:streams].clone() for memory in self._memory]

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        above = top[0].diff.view(self.steps, -1, self.size)  # MVN in place makes it four axes
        if self._unrolled is not None:
            for i, gradient in self._unrolled.backward(above).items():
                bottom[i].diff = gradient
            return
        above = self.run_back(above).view(-1, self.gates * self.size)
        weight, bias = self.blobs[:2]
        weight.accumulate_product(above.t(), bottom[0].data.reshape(len(above), -1))
        bias.accumulate(above.sum(0))
        if propagate_down[0]:
            bottom[0].diff = (above @ weight.data).view(bottom[0].shape)
        if self.static:
            above = above.view(self.steps, -1, self.gates * self.size).sum(0)
            self.blobs[2].accumulate_product(above.t(), bottom[2].data.reshape(len(above), -1))
            if propagate_down[2]:
                bottom[2].diff = (above @ self.blobs[2].data).view(bottom[2].shape)

    def allow_force_backward(self, bottom_index: int) -> bool:
        return bottom_index != 1

    def recurrent_shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the blobs that follow those of x and x_static."""
        raise NotImplementedError

    def run(self, inputs: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """(T, N, gates D) and states (N, D) -> output (T, N, D) and the last states; keeps what run_back needs."""
        raise NotImplementedError

    def run_back(self, above: Tensor) -> Tensor:
        """Gradient of the output (T, N, D) -> of the inputs (T, N, gates D); adds to the recurrent blobs' own."""
        raise NotImplementedError


class Unit(NamedTuple):
    """One step of an LSTM: its gates in, forget (times cont), out and candidate, and tanh of the new cell; (N, D)."""

    i: Tensor
    f: Tensor
    o: Tensor
    g: Tensor
    squashed: Tensor


def unit_forward(cell: Tensor, gates: Tensor, cont: Tensor) -> tuple[Unit, Tensor, Tensor]:
    """cell (N, D), gates (N, 4 D) in the order in, forget, out, candidate, cont (N, 1) -> unit, new cell, hidden."""
    size = cell.shape[1]
    i, f, o = torch.sigmoid(gates[:, : 3 * size]).split(size, 1)
    g = torch.tanh(gates[:, 3 * size :])
    f = f * cont
    new = torch.addcmul(f * cell, i, g)
    squashed = torch.tanh(new)
    return Unit(i, f, o, g, squashed), new, o * squashed


def unit_backward(unit: Unit, cell: Tensor, above_cell: Tensor, above_hidden: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of the cell before (N, D) and of the gates (N, 4 D), from those of the new cell and of hidden.

    The slope of the forget gate is f (1 - f) with f already times cont, as Caffe has it: exact for cont 0 and 1.
    """
    i, f, o, g, squashed = unit
    total = above_cell + above_hidden * o * (1 - squashed * squashed)
    slopes = (
        total * g * i * (1 - i),
        total * cell * f * (1 - f),
        above_hidden * squashed * o * (1 - o),
        total * i * (1 - g * g),
    )
    return total * f, torch.cat(slopes, 1)


@register("LSTM")
class LSTM(Recurrent):
    """c = cont f c' + i g;  h = o tanh(c);  i, f, o, g from W_xc x + b_c + W_xc_static x_static + W_hc (cont h')."""

    states = 2  # h, c
    gates = 4
    blob_names = ("W_xc", "b_c", "W_xc_static", "W_hc")

    def recurrent_shapes(self) -> list[tuple[int, ...]]:
        return [(4 * self.size, self.size)]

    def run(self, inputs: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        hidden, cell = states
        weight = self.blobs[-1].data.t()
        self._units, self._cells = [], []
        self._before = torch.empty(self.steps, *hidden.shape, device=self.device)  # cont h' of each step
        out = torch.empty_like(self._before)
        for t, cont in enumerate(self._cont):
            torch.mul(hidden, cont, out=self._before[t])
            gates = torch.addmm(inputs[t], self._before[t], weight)
            self._cells.append(cell)
            unit, cell, hidden = unit_forward(cell, gates, cont)
            self._units.append(unit)
            out[t] = hidden
        return out, [hidden, cell]

    def run_back(self, above: Tensor) -> Tensor:
        weight = self.blobs[-1].data
        out = torch.empty(*above.shape[:2], 4 * self.size, device=self.device)
        hidden = cell = torch.zeros_like(above[0])
        for t in reversed(range(self.steps)):
            cell, out[t] = unit_backward(self._units[t], self._cells[t], cell, above[t] + hidden)
            hidden = (out[t] @ weight) * self._cont[t]
        self.blobs[-1].accumulate_product(out.view(-1, 4 * self.size).t(), self._before.view(-1, self.size))
        return out


@register("LSTMUnit")
class LSTMUnit(Layer):
    """One step of an LSTM.  Bottoms: cell (1, N, D), gates (1, N, 4 D), cont (1, N).  Tops: new cell, hidden."""

    exact_bottoms = 3
    exact_tops = 2

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        cell, gates, cont = (blob.shape for blob in bottom)
        self.check(len(cell) == 3 and cell[0] == 1, f"its first bottom needs shape (1, N, D), not {cell}")
        self.check(gates == (1, cell[1], 4 * cell[2]), f"gates need shape {(1, cell[1], 4 * cell[2])}, not {gates}")
        self.check(cont == (1, cell[1]), f"cont needs shape {(1, cell[1])}, not {cont}")
        for blob in top:
            blob.reshape(cell)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self._cell = bottom[0].data[0]
        self._unit, cell, hidden = unit_forward(self._cell, bottom[1].data[0], bottom[2].data[0].unsqueeze(1))
        top[0].data, top[1].data = cell.unsqueeze(0), hidden.unsqueeze(0)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        cell, gates = unit_backward(self._unit, self._cell, top[0].diff[0], top[1].diff[0])
        bottom[0].diff, bottom[1].diff = cell.unsqueeze(0), gates.unsqueeze(0)

    def allow_force_backward(self, bottom_index: int) -> bool:
        return bottom_index != 2


@register("RNN")
class RNN(Recurrent):
    """h = tanh(W_hh (cont h') + W_xh x + b_h + W_xh_static x_static);  output tanh(W_ho h + b_o)."""

    blob_names = ("W_xh", "b_h", "W_xh_static", "W_hh", "W_ho", "b_o")

    def recurrent_shapes(self) -> list[tuple[int, ...]]:
        return [(self.size, self.size), (self.size, self.size), (self.size,)]

    def run(self, inputs: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        weight, out_weight, out_bias = (blob.data for blob in self.blobs[-3:])
        hidden = states[0]
        self._hidden = torch.empty(self.steps, *hidden.shape, device=self.device)
        self._before = torch.empty_like(self._hidden)
        for t, cont in enumerate(self._cont):
            torch.mul(hidden, cont, out=self._before[t])
            hidden = torch.tanh(torch.addmm(inputs[t], self._before[t], weight.t()))
            self._hidden[t] = hidden
        self._out = torch.tanh(torch.addmm(out_bias, self._hidden.view(-1, self.size), out_weight.t()))
        return self._out.clone().view(self._hidden.shape), [hidden]

    def run_back(self, above: Tensor) -> Tensor:
        weight, out_weight, out_bias = self.blobs[-3:]
        above_out = above.reshape(-1, self.size) * (1 - self._out * self._out)
        out_weight.accumulate_product(above_out.t(), self._hidden.view(-1, self.size))
        out_bias.accumulate(above_out.sum(0))
        above_hidden = (above_out @ out_weight.data).view(above.shape)
        out = torch.empty_like(above_hidden)
        later = torch.zeros_like(above_hidden[0])
        for t in reversed(range(self.steps)):
            out[t] = (above_hidden[t] + later) * (1 - self._hidden[t] * self._hidden[t])
            later = (out[t] @ weight.data) * self._cont[t]
        weight.accumulate_product(out.view(-1, self.size).t(), self._before.view(-1, self.size))
        return out
