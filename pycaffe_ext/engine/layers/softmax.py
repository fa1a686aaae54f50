"""Softmax: scores along an axis as probabilities."""

from __future__ import annotations

import torch

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.layers.base import Layer, register


@register("Softmax")
class Softmax(Layer):
    exact_bottoms = exact_tops = 1
    in_place = True
    reads_bottoms, reads_tops = False, True

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        self._axis = self.axis(self.param.softmax_param.axis, bottom[0])
        top[0].reshape(bottom[0].shape)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        top[0].data = torch.softmax(bottom[0].data, self._axis)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if propagate_down[0]:
            y, gradient = top[0].data, top[0].diff
            bottom[0].diff = y * (gradient - (gradient * y).sum(self._axis, keepdim=True))
