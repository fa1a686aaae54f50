"""Neuron layers with hand-written passes: ReLU, Sigmoid, TanH, Clip, Swish."""

from __future__ import annotations

import torch

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.layers.base import NeuronLayer, register

aten = torch.ops.aten


@register("ReLU")
class ReLU(NeuronLayer):
    """max(x, 0) + negative_slope * min(x, 0)."""

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        self._slope = self.param.relu_param.negative_slope
        self.reads_tops = top[0] is bottom[0] and self._slope >= 0  # the signs are the bottom's
        self.reads_bottoms = not self.reads_tops

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        x = bottom[0].data
        if self._slope:
            top[0].data = torch.nn.functional.leaky_relu(x, self._slope)
        elif top[0] is bottom[0] and self.may_overwrite:
            x.relu_()
        else:
            top[0].data = x.relu()

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if not propagate_down[0]:
            return
        x, gradient = (top if self.reads_tops else bottom)[0].data, top[0].diff
        if self._slope:
            bottom[0].diff = torch.where(x > 0, gradient, gradient * self._slope)
        elif top[0] is bottom[0]:
            aten.threshold_backward.grad_input(gradient, x, 0, grad_input=gradient)
        else:
            bottom[0].diff = aten.threshold_backward(gradient, x, 0)


@register("Sigmoid")
class Sigmoid(NeuronLayer):
    reads_bottoms, reads_tops = False, True

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        top[0].data = torch.sigmoid(bottom[0].data)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if propagate_down[0]:
            bottom[0].diff = aten.sigmoid_backward(top[0].diff, top[0].data)


@register("TanH")
class TanH(NeuronLayer):
    reads_bottoms, reads_tops = False, True

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        top[0].data = torch.tanh(bottom[0].data)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if propagate_down[0]:
            bottom[0].diff = aten.tanh_backward(top[0].diff, top[0].data)


@register("Clip")
class Clip(NeuronLayer):
    """x, but min below min and max above max; NaN stays NaN.

    The gradient passes where min <= x <= max, in place too: Caffe's own then passes everywhere.
    """

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        param = self.param.clip_param
        self.check(self.param.HasField("clip_param"), "needs clip_param { min max }")
        self.check(param.min <= param.max, f"min {param.min:g} is above max {param.max:g}")

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        top[0].data = bottom[0].data.clamp(self.param.clip_param.min, self.param.clip_param.max)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if propagate_down[0]:
            x, param = bottom[0].data, self.param.clip_param
            bottom[0].diff = top[0].diff * ((x >= param.min) & (x <= param.max))


@register("Swish")
class Swish(NeuronLayer):
    """x * sigmoid(beta * x)."""

    reads_bottoms, reads_tops = False, True

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        x = bottom[0].data
        self._sigmoid = torch.sigmoid(self.param.swish_param.beta * x)
        top[0].data = x * self._sigmoid

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if propagate_down[0]:
            scaled = self.param.swish_param.beta * top[0].data
            bottom[0].diff = top[0].diff * (scaled + self._sigmoid * (1 - scaled))
