"""SoftmaxWithLoss: the cross entropy of the softmax."""

from __future__ import annotations

import torch

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.layers.base import register
from pycaffe_ext.engine.layers.labelled import Labelled, normalization, normalizer

SMALLEST = torch.finfo(torch.float32).tiny  # Caffe's floor under a probability


@register("SoftmaxWithLoss")
class SoftmaxWithLoss(Labelled):
    """Mean of -log(probability of the true class); a second top gives the probabilities."""

    exact_bottoms = 2
    min_tops = 1
    max_tops = 2
    auto_top_blobs = True
    is_loss = True
    reads_bottoms, reads_tops = False, True  # the second top is the probabilities that are kept

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        self._read(bottom, self.param.softmax_param.axis, one_each=True)
        top[0].reshape(())
        if len(top) > 1:
            top[1].reshape(bottom[0].shape)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        loss = self.param.loss_param
        ignore = loss.ignore_label if loss.HasField("ignore_label") else None
        self._prob = torch.softmax(bottom[0].data, self._axis)
        self._target, self._valid = self._labels(bottom[1], ignore)
        self._normalizer = normalizer(normalization(loss), self._outer, self._inner, self._valid)
        losses = -self._rows(self._prob).gather(1, self._target).clamp(min=SMALLEST).log()
        if self._valid is not None:
            losses = losses.where(self._valid, 0)
        top[0].data = losses.sum() / self._normalizer
        if len(top) > 1:
            top[1].data = self._prob

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        self.check(not propagate_down[1], "can't send a gradient to its labels")
        if not propagate_down[0]:
            return
        gradient = self._rows(self._prob).clone()
        gradient.scatter_add_(1, self._target, torch.full_like(gradient[:, :1], -1))
        if self._valid is not None:
            gradient *= self._valid
        gradient *= top[0].diff / self._normalizer
        bottom[0].diff = gradient.view(bottom[0].shape)
