"""BatchNorm: channels normalised by their mean and variance."""

from __future__ import annotations

import torch

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.layers.base import Layer, register


@register("BatchNorm")
class BatchNorm(Layer):
    """Each channel less its mean, over its standard deviation: the batch's in training, else the stored ones.

    Parameters: running sums of mean and variance, and their common weight.  They never learn by gradient.
    """

    exact_bottoms = exact_tops = 1
    in_place = True
    reads_bottoms = False

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.reads_tops = not self._stored
        channels = 1 if len(bottom[0].shape) == 1 else bottom[0].shape[1]
        for shape in ((channels,), (channels,), (1,)):
            self.add_blob(shape)
        for spec in self.param.param:
            self.check(
                spec.lr_mult == 0,
                "its statistics can't learn: set lr_mult 0 in each of its param blocks, or give none",
            )
        while len(self.param.param) < 3:
            self.param.param.add(lr_mult=0)

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        shape = bottom[0].shape
        self.check(
            (1 if len(shape) == 1 else shape[1]) == self.blobs[0].count,
            f"bottom of shape {shape} doesn't have {self.blobs[0].count} channels",
        )
        self._sum_axes = [i for i in range(len(shape)) if i != 1 or len(shape) == 1]
        self._spread = (1, -1, *[1] * (len(shape) - 2)) if len(shape) > 1 else (1,)
        top[0].reshape(shape)

    @property
    def _stored(self) -> bool:
        param = self.param.batch_norm_param
        return param.use_global_stats if param.HasField("use_global_stats") else not self.training

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        x, eps = bottom[0].data, self.param.batch_norm_param.eps
        if self._stored:
            weight = self.blobs[2].data
            factor = torch.where(weight == 0, 0.0, 1 / weight)
            mean, var = self.blobs[0].data * factor, self.blobs[1].data * factor
            centred = x - mean.view(self._spread)
        else:
            mean = x.mean(self._sum_axes)
            centred = x - mean.view(self._spread)
            var = centred.square().mean(self._sum_axes).view(-1)
            self._remember(mean.view(-1), var, x.numel() // max(1, self.blobs[0].count))
        self._std = (var + eps).sqrt().view(self._spread)
        top[0].data = centred / self._std

    def _remember(self, mean: torch.Tensor, var: torch.Tensor, items: int) -> None:
        fraction = self.param.batch_norm_param.moving_average_fraction
        unbiased = items / (items - 1) if items > 1 else 1.0
        values: tuple[torch.Tensor | float, ...] = (mean, var * unbiased, 1.0)
        for blob, value in zip(self.blobs, values, strict=True):
            blob.data.mul_(fraction).add_(value)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if not propagate_down[0]:
            return
        gradient = top[0].diff
        if not self._stored:
            normal = top[0].data
            along = (gradient * normal).mean(self._sum_axes, keepdim=True)
            gradient = gradient - gradient.mean(self._sum_axes, keepdim=True) - along * normal
        bottom[0].diff = gradient / self._std
