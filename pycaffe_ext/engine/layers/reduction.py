"""Reduction: the axes from one on made a single number."""

from __future__ import annotations

import torch

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.layers.base import Layer, register
from pycaffe_ext.proto import caffe_pb2

REDUCTION = caffe_pb2.ReductionParameter


@register("Reduction")
class Reduction(Layer):
    """coeff times the SUM, ASUM (of absolute values), SUMSQ (of squares) or MEAN over the axes from `axis` on.

    The top keeps the axes before `axis`; with axis 0 it is a single number without axes.
    """

    exact_bottoms = exact_tops = 1

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        param, shape = self.param.reduction_param, bottom[0].shape
        axis = self.axis(param.axis, bottom[0])
        top[0].reshape(shape[:axis])
        self._rows, size = torch.Size(shape[:axis]).numel(), torch.Size(shape[axis:]).numel()
        self._coeff = param.coeff / size if param.operation == REDUCTION.MEAN else param.coeff

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        rows, operation = bottom[0].data.reshape(self._rows, -1), self.param.reduction_param.operation
        if operation == REDUCTION.ASUM:
            rows = rows.abs()
        elif operation == REDUCTION.SUMSQ:
            rows = rows.square()
        top[0].data = (rows.sum(1) * self._coeff).view(top[0].shape)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if not propagate_down[0]:
            return
        rows, operation = bottom[0].data.reshape(self._rows, -1), self.param.reduction_param.operation
        gradient = (top[0].diff * self._coeff).view(-1, 1)
        if operation == REDUCTION.ASUM:
            gradient = gradient * rows.sign()
        elif operation == REDUCTION.SUMSQ:
            gradient = 2 * gradient * rows
        bottom[0].diff = gradient.expand_as(rows).reshape(bottom[0].shape).contiguous()
