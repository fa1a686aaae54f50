"""Dropout: values dropped at random in training."""

from __future__ import annotations

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.core.random import dropout_mask
from pycaffe_ext.engine.layers.base import NeuronLayer, register


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
