"""Local response normalisation, across channels (AlexNet's) and within a channel."""

from __future__ import annotations

import torch
from torch.nn.functional import avg_pool2d

from pycaffe_ext.engine.blob import Blob
from pycaffe_ext.engine.layers.base import AutogradLayer, Layer, register
from pycaffe_ext.proto import caffe_pb2

REGION = caffe_pb2.LRNParameter


def channel_sums(x: torch.Tensor, size: int) -> torch.Tensor:
    """Sum over the `size` (odd) channels around each one; x is (N, C, ...)."""
    half, channels = size // 2, x.shape[1]
    out = x.clone()
    for shift in range(1, min(half, channels - 1) + 1):
        out[:, shift:] += x[:, :-shift]
        out[:, :-shift] += x[:, shift:]
    return out


def power(x: torch.Tensor, beta: float) -> torch.Tensor:
    """x ** -beta for positive x; for Caffe's 0.75 by roots, which are several times faster than pow."""
    return (x.sqrt().mul_(x)).rsqrt_() if beta == 0.75 else x.pow(-beta)


class AcrossChannels(Layer):
    """y = x * scale ** -beta with scale = k + alpha / size * (sum of squares over `size` channels)."""

    exact_bottoms = exact_tops = 1

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.check(len(bottom[0].shape) == 4, f"bottom must have 4 axes (N, C, H, W), not shape {bottom[0].shape}")
        top[0].reshape(bottom[0].shape)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        param, x = self.param.lrn_param, bottom[0].data
        self._scale = torch.empty_like(x)
        out = torch.empty_like(x)
        for image, scale, y in zip(x, self._scale, out, strict=True):  # an image at a time: it stays in the cache
            scale.copy_(channel_sums(image.square()[None], param.local_size)[0])
            scale.mul_(param.alpha / param.local_size).add_(param.k)
            torch.mul(image, power(scale, param.beta), out=y)
        top[0].data = out

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if not propagate_down[0]:
            return
        param, out = self.param.lrn_param, torch.empty_like(bottom[0].data)
        factor = -2 * param.alpha * param.beta / param.local_size
        parts = zip(bottom[0].data, top[0].data, top[0].diff, self._scale, out, strict=True)
        for x, y, gradient, scale, result in parts:
            ratio = (gradient * y).div_(scale)
            torch.mul(gradient, power(scale, param.beta), out=result)
            result.addcmul_(x, channel_sums(ratio[None], param.local_size)[0], value=factor)
        bottom[0].diff = out


class WithinChannel(AutogradLayer):
    """y = x * (1 + alpha * mean of squares over a size x size window, zeros counted) ** -beta."""

    exact_bottoms = exact_tops = 1

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.check(len(bottom[0].shape) == 4, f"bottom must have 4 axes (N, C, H, W), not shape {bottom[0].shape}")
        top[0].reshape(bottom[0].shape)

    def compute(self, bottoms: list[torch.Tensor], params: list[torch.Tensor]) -> list[torch.Tensor]:
        param, x = self.param.lrn_param, bottoms[0]
        mean = avg_pool2d(x.square(), param.local_size, 1, (param.local_size - 1) // 2, count_include_pad=True)
        return [x * (1 + param.alpha * mean).pow(-param.beta)]


@register("LRN")
def lrn(param: caffe_pb2.LayerParameter, phase: int, device: torch.device) -> Layer:
    """The layer of the region that the parameters ask for."""
    across = param.lrn_param.norm_region == REGION.ACROSS_CHANNELS
    layer = (AcrossChannels if across else WithinChannel)(param, phase, device)
    layer.check(param.lrn_param.local_size % 2 == 1, f"local_size must be odd, not {param.lrn_param.local_size}")
    return layer
