"""ContrastiveLoss: pairs that belong together are drawn together, others pushed apart."""

from __future__ import annotations

import torch
from torch.nn.functional import relu

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.layers.base import Layer, register

SMALL_DISTANCE = 1e-4  # what Caffe adds to a distance that it divides by


@register("ContrastiveLoss")
class ContrastiveLoss(Layer):
    """Mean of half of d^2 for similar pairs, of max(0, margin - d)^2 for others; legacy: of max(0, margin - d^2).

    Bottoms: a and b, (N, C) or (N, C, 1, 1), and N values, not zero where the pair is similar.  d is the distance.
    """

    exact_bottoms = 3
    exact_tops = 1
    auto_top_blobs = True
    is_loss = True

    def allow_force_backward(self, bottom_index: int) -> bool:
        return bottom_index != 2

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        a, b, similar = (self.legacy_shape(blob) for blob in bottom)
        self.check(
            a == b and a[2:] == (1, 1),
            f"the pairs must have one shape, (N, C) or (N, C, 1, 1), not {bottom[0].shape} and {bottom[1].shape}",
        )
        self.check(similar == (a[0], 1, 1, 1), f"needs {a[0]} values for its pairs, not a blob of shape {similar}")
        top[0].reshape(())

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        param = self.param.contrastive_loss_param
        items = bottom[0].shape[0]
        self._apart = (bottom[0].data - bottom[1].data.view(bottom[0].shape)).view(items, -1)
        self._similar = bottom[2].data.reshape(items).long() != 0
        self._square = self._apart.square().sum(1)
        short = param.margin - (self._square if param.legacy_version else self._square.sqrt())
        others = relu(short) if param.legacy_version else relu(short).square()
        top[0].data = torch.where(self._similar, self._square, others).sum() / items / 2

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        slope = self._slope().view(-1, 1)
        gradient = torch.where(slope == 0, 0, slope * self._apart) * (top[0].diff / bottom[0].shape[0])
        for blob, wanted, sign in zip(bottom, propagate_down, (1, -1), strict=False):
            if wanted:
                blob.diff = (sign * gradient).view(blob.shape)

    def _slope(self) -> torch.Tensor:
        """(N,): half the derivative of each pair's loss by d, over d; Caffe's own near d = 0."""
        param = self.param.contrastive_loss_param
        if param.legacy_version:
            others = -(param.margin - self._square > 0).float()
        else:
            distance = self._square.sqrt()
            others = -relu(param.margin - distance) / (distance + SMALL_DISTANCE)
        return torch.where(self._similar, 1.0, others)
