"""Local response normalisation, across channels (AlexNet's) and within a channel."""

from __future__ import annotations

import torch
from torch.nn.functional import avg_pool2d

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.layers.base import AutogradLayer, Layer, register
from pycaffe_ext.engine.parallel import for_each_item
from pycaffe_ext.proto import caffe_pb2

REGION = caffe_pb2.LRNParameter


def channel_sums(x: torch.Tensor, size: int, out: torch.Tensor) -> torch.Tensor:
    """`out` = sums over `size` (odd) channels; `x` is (N, C + size - 1, ...), with zeros around the C channels."""
    channels = out.shape[1]
    if size == 5:
        pairs = x[:, :-1] + x[:, 1:]
        torch.add(pairs[:, :channels], pairs[:, 2 : channels + 2], out=out)
        return out.add_(x[:, 4:])
    out.copy_(x[:, :channels])
    for shift in range(1, size):
        out += x[:, shift : shift + channels]
    return out


def inverse_power(x: torch.Tensor, beta: float) -> torch.Tensor:
    """x ** -beta for positive x; for Caffe's 0.75 by roots, which are several times faster than pow."""
    return x.sqrt().mul_(x).rsqrt_() if beta == 0.75 else x.pow(-beta)


class AcrossChannels(Layer):
    """y = x * scale ** -beta with scale = k + alpha / size * (sum of squares over `size` channels)."""

    exact_bottoms = exact_tops = 1
    reads_tops = True

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.check(len(bottom[0].shape) == 4, f"bottom must have 4 axes (N, C, H, W), not shape {bottom[0].shape}")
        top[0].reshape(bottom[0].shape)

    def _framed(self, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """A buffer with size // 2 channels of zeros on both sides, and its middle, of the shape of `like`."""
        half, channels = self.param.lrn_param.local_size // 2, like.shape[1]
        frame = like.new_empty((like.shape[0], channels + 2 * half, *like.shape[2:]))
        frame[:, :half] = 0
        frame[:, half + channels :] = 0
        return frame, frame[:, half : half + channels]

    def _scale(self, x: torch.Tensor) -> torch.Tensor:
        """k + alpha / size * (sums of squares)."""
        param = self.param.lrn_param
        frame, middle = self._framed(x)
        torch.mul(x, x, out=middle)
        sums = channel_sums(frame, param.local_size, out=torch.empty_like(x))
        return sums.mul_(param.alpha / param.local_size).add_(param.k)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        x, y = bottom[0].data, torch.empty_like(bottom[0].data)

        def work(part: slice) -> None:
            torch.mul(x[part], inverse_power(self._scale(x[part]), self.param.lrn_param.beta), out=y[part])

        for_each_item(work, x.shape[0], self.device)
        top[0].data = y

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if not propagate_down[0]:
            return
        param = self.param.lrn_param
        x, y, above, result = bottom[0].data, top[0].data, top[0].diff, torch.empty_like(bottom[0].data)
        factor = -2 * param.alpha * param.beta / param.local_size

        def work(part: slice) -> None:
            scale = self._scale(x[part])  # computed again: cheaper than keeping it through the whole pass
            frame, middle = self._framed(x[part])
            torch.mul(above[part], y[part], out=middle)
            middle.div_(scale)
            sums = channel_sums(frame, param.local_size, out=torch.empty_like(x[part]))
            torch.mul(above[part], inverse_power(scale, param.beta), out=result[part])
            result[part].addcmul_(x[part], sums, value=factor)

        for_each_item(work, x.shape[0], self.device)
        bottom[0].diff = result


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
def lrn(param: caffe_pb2.LayerParameter, phase: caffe_pb2.Phase, device: torch.device) -> Layer:
    """The layer of the region that the parameters ask for."""
    across = param.lrn_param.norm_region == REGION.ACROSS_CHANNELS
    layer = (AcrossChannels if across else WithinChannel)(param, phase, device)
    layer.check(param.lrn_param.local_size % 2 == 1, f"local_size must be odd, not {param.lrn_param.local_size}")
    return layer
