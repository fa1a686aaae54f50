"""Neuron layers whose gradients are torch's own: AbsVal, BNLL, ELU, Power, Exp, Log, Threshold, PReLU."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.layers.base import AutogradLayer, NeuronLayer, register
from pycaffe_ext.proto import caffe_pb2

Tensors = list[torch.Tensor]


class _Elementwise(AutogradLayer):
    exact_bottoms = exact_tops = 1
    in_place = True

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        top[0].reshape(bottom[0].shape)


@register("AbsVal")
class AbsVal(_Elementwise):
    in_place = False

    def compute(self, bottoms: Tensors, params: Tensors) -> Tensors:
        return [bottoms[0].abs()]


@register("BNLL")
class BNLL(_Elementwise):
    """log(1 + exp(x)); in place too the gradient is the true one, which Caffe's is not."""

    def compute(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x = bottoms[0]
        return [functional.relu(x) + torch.log1p(torch.exp(-x.abs()))]

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if propagate_down[0]:
            bottom[0].diff = top[0].diff * torch.sigmoid(bottom[0].data.clamp(max=50))


@register("ELU")
class ELU(_Elementwise):
    """x above zero, alpha * (exp(x) - 1) below."""

    def compute(self, bottoms: Tensors, params: Tensors) -> Tensors:
        return [functional.elu(bottoms[0], self.param.elu_param.alpha)]


@register("Power")
class Power(_Elementwise):
    """(shift + scale * x) ** power; in place too the gradient is the true one, which Caffe's is not."""

    def compute(self, bottoms: Tensors, params: Tensors) -> Tensors:
        param = self.param.power_param
        x = bottoms[0]
        inner = x * param.scale + param.shift if param.scale else torch.full_like(x, param.shift)  # 0 * inf is NaN
        if param.power == 0:
            return [torch.ones_like(inner)]
        return [inner if param.power == 1 else inner.pow(param.power)]


@register("Exp")
class Exp(_Elementwise):
    """base ** (shift + scale * x), base e where it is -1."""

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        base = self.param.exp_param.base
        self.check(base > 0 or base == -1, f"base must be positive (or -1 for e), not {base:g}")
        self._log_base = 1.0 if base == -1 else math.log(base)

    def compute(self, bottoms: Tensors, params: Tensors) -> Tensors:
        param = self.param.exp_param
        return [torch.exp((bottoms[0] * param.scale + param.shift) * self._log_base)]


@register("Log")
class Log(_Elementwise):
    """Logarithm of shift + scale * x to the given base, e where it is -1."""

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        base = self.param.log_param.base
        self.check(base == -1 or (base > 0 and base != 1), f"base must be positive and not 1 (-1 for e), not {base:g}")
        self._log_base = 1.0 if base == -1 else math.log(base)

    def compute(self, bottoms: Tensors, params: Tensors) -> Tensors:
        param = self.param.log_param
        return [torch.log(bottoms[0] * param.scale + param.shift) / self._log_base]


@register("Threshold")
class Threshold(NeuronLayer):
    """1 where x is above the threshold, else 0; it has no gradient."""

    reads_bottoms = False

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        top[0].data = (bottom[0].data > self.param.threshold_param.threshold).float()


@register("PReLU")
class PReLU(_Elementwise):
    """max(x, 0) + slope * min(x, 0), a learned slope for each channel or one for all."""

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        param = self.param.prelu_param
        self.check(len(bottom[0].shape) >= 2, f"bottom needs at least 2 axes, not shape {bottom[0].shape}")
        shape = () if param.channel_shared else (bottom[0].shape[1],)
        quarter = caffe_pb2.FillerParameter(type="constant", value=0.25)
        self.add_blob(shape, param.filler if param.HasField("filler") else quarter)

    def compute(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x = bottoms[0]
        slope = params[0].view(-1, *[1] * (x.dim() - 2)) if params[0].dim() else params[0]
        return [functional.relu(x) + slope * x.clamp(max=0)]
