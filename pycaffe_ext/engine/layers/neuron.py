"""Element-wise layers with hand-written passes: ReLU, Dropout, Sigmoid, TanH, Clip, Swish."""

from __future__ import annotations

import torch

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.core.random import dropout_mask
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


@register("Dropout")
class Dropout(NeuronLayer):
    """In training each value is dropped with probability dropout_ratio, the others divided by 1 - dropout_ratio."""

    reads_bottoms = False

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        self._ratio = self.param.dropout_param.dropout_ratio
        self.check(0 < self._ratio < 1 or self._ratio == 0, f"dropout_ratio {self._ratio} is not in [0, 1)")
        self.changes_values = self.training and self._ratio > 0

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        x = bottom[0].data
        if not self.changes_values:
            if top[0] is not bottom[0]:
                top[0].data = x.clone()
            return
        self._mask = dropout_mask(x, self._ratio)
        top[0].data = x.mul_(self._mask) if top[0] is bottom[0] and self.may_overwrite else x * self._mask

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if not propagate_down[0]:
            return
        gradient = top[0].diff
        if not self.changes_values:
            bottom[0].diff = gradient if top[0] is bottom[0] else gradient.clone()
        else:
            bottom[0].diff = gradient.mul_(self._mask) if top[0] is bottom[0] else gradient * self._mask


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
