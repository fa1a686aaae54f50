"""Accuracy: how often the true class is among the best scores."""

from __future__ import annotations

import torch

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.layers.base import register
from pycaffe_ext.engine.layers.labelled import Labelled


@register("Accuracy")
class Accuracy(Labelled):
    """Share of positions whose true class is among the top_k scores; a second top gives it class by class.

    A score equal to the true one's counts as better, so a constant output is never right by luck.
    """

    exact_bottoms = 2
    min_tops = 1
    max_tops = 2
    reads_bottoms = False

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        param = self.param.accuracy_param
        self._read(bottom, param.axis)
        self.check(param.top_k <= self._classes, f"top_k {param.top_k} is more than the {self._classes} classes")
        top[0].reshape(())
        if len(top) > 1:
            top[1].reshape((self._classes,))

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        param = self.param.accuracy_param
        target, valid = self._labels(bottom[1], param.ignore_label if param.HasField("ignore_label") else None)
        rows = self._rows(bottom[0].data)
        better = (rows >= rows.gather(1, target)).sum(1, keepdim=True) - 1
        right = better < param.top_k
        chosen = torch.ones_like(right) if valid is None else valid
        right = (right & chosen).float()
        top[0].data = right.sum() / chosen.sum().clamp(min=1)
        if len(top) > 1:
            seen, hits = (
                torch.zeros(self._classes, device=self.device).index_add_(0, target.flatten(), x.flatten())
                for x in (chosen.float(), right)
            )
            top[1].data = hits / seen.clamp(min=1)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        """It has no gradient; Caffe aborts where force_backward asks for one, here nothing is sent down."""
