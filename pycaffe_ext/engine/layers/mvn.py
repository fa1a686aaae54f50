"""MVN: mean and variance normalisation of each channel, or of each item."""

from __future__ import annotations

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.layers.base import Layer, register


@register("MVN")
class MVN(Layer):
    """(x - mean) / (standard deviation + eps) over each channel, or over each item with across_channels.

    The top has four axes (N, C, H, W) whatever the bottom has, as Caffe's has.  The gradient takes eps for zero, as
    Caffe's does, and is computed from the top's values.  In place it is the same as out of place; Caffe's own mixes
    it with values that it has just overwritten.
    """

    exact_bottoms = exact_tops = 1
    in_place = True
    reads_bottoms, reads_tops = False, True

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        shape = self.legacy_shape(bottom[0])
        self._rows = shape[0] if self.param.mvn_param.across_channels else shape[0] * shape[1]
        top[0].reshape(shape)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        rows, shape = bottom[0].data.reshape(self._rows, -1), top[0].shape
        out = rows - rows.mean(1, keepdim=True)
        if self.param.mvn_param.normalize_variance:
            self._deviation = out.square().mean(1, keepdim=True).sqrt_().add_(self.param.mvn_param.eps)
            out /= self._deviation
        top[0].data = out.view(shape)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if not propagate_down[0]:
            return
        gradient = top[0].diff.view(self._rows, -1)
        below = gradient - gradient.mean(1, keepdim=True)
        if self.param.mvn_param.normalize_variance:
            out = top[0].data.view(self._rows, -1)
            below -= out * (out * gradient).mean(1, keepdim=True)
            below /= self._deviation
        bottom[0].diff = below.view(bottom[0].shape)
