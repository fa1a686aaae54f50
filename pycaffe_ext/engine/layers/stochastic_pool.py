"""The type Pooling; and stochastic pooling (Zeiler and Fergus, 2013) as Caffe's GPU code has it, its CPU code none."""

from __future__ import annotations

import torch
from torch.nn.functional import fold, pad, unfold

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.layers.base import Layer, register
from pycaffe_ext.engine.layers.pool import POOL, Pooling
from pycaffe_ext.proto import caffe_pb2

SMALLEST = torch.finfo(torch.float32).tiny  # Caffe adds it to the sum that it divides by


@register("Pooling")
def pooling(param: caffe_pb2.LayerParameter, phase: caffe_pb2.Phase, device: torch.device) -> Layer:
    """The layer of the method asked for."""
    kind = StochasticPooling if param.pooling_param.pool == POOL.STOCHASTIC else Pooling
    return kind(param, phase, device)


class StochasticPooling(Pooling):
    """In training one value of each window, chosen with probability value / sum; else the mean weighted so.

    Values should not be negative (put a ReLU below); of a window of zeros the first value is chosen.  The gradient
    goes to the chosen value; outside training it is the weighted mean's.  A NaN in a window gives NaN.
    """

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        super().setup(bottom, top)
        self.check(self._pad == (0, 0), f"pad {self._pad} goes with MAX and AVE only")

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        x, count = bottom[0].data, self._kernel[0] * self._kernel[1]
        reach = [(n - 1) * s + k for n, s, k in zip(self._out, self._stride, self._kernel, strict=True)]
        margins = [max(0, r - size) for r, size in zip(reach, x.shape[2:], strict=True)]
        padded = pad(x, (0, margins[1], 0, margins[0]))
        self._size = padded.shape[2:]
        windows = unfold(padded, self._kernel, stride=self._stride).view(*x.shape[:2], count, -1)
        value, self._share = self._choose(windows) if self.training else self._weigh(windows)
        top[0].data = value.view(top[0].shape)

    @staticmethod
    def _choose(windows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Values (N, C, number of windows), and each one's derivative by its window (N, C, place, window)."""
        sums = windows.cumsum(2)
        limit = (1 - torch.rand_like(sums[:, :, :1])) * sums[:, :, -1:]  # a share of the sum, in (0, 1]
        place = (sums >= limit).byte().argmax(2, keepdim=True)  # the first that reaches it
        value = windows.gather(2, place).where(sums[:, :, -1:].isfinite(), torch.nan)
        return value.squeeze(2), torch.zeros_like(windows).scatter_(2, place, 1)

    @staticmethod
    def _weigh(windows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        total = windows.sum(2, keepdim=True) + SMALLEST
        value = windows.square().sum(2, keepdim=True) / total
        return value.squeeze(2), (2 * windows - value) / total

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if not propagate_down[0]:
            return
        items, channels, height, width = bottom[0].shape
        columns = (self._share * top[0].diff.view(items, channels, 1, -1)).view(items, -1, self._share.shape[3])
        padded = fold(columns, self._size, self._kernel, stride=self._stride)
        bottom[0].diff = padded[:, :, :height, :width].contiguous()
