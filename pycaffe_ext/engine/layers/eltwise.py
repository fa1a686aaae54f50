"""Eltwise: the sum, the product or the maximum of blobs, value by value."""

from __future__ import annotations

import torch

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.layers.base import AutogradLayer, register
from pycaffe_ext.proto import caffe_pb2

ELTWISE = caffe_pb2.EltwiseParameter


@register("Eltwise")
class Eltwise(AutogradLayer):
    """Sum (with coefficients), product or maximum of bottoms of one shape; a NaN among them makes the maximum NaN."""

    min_bottoms = 2
    exact_tops = 1
    in_place = True

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        param = self.param.eltwise_param
        self.check(len(param.coeff) in (0, len(bottom)), f"coeff must be given for each of {len(bottom)} bottoms")
        self.check(not (param.operation == ELTWISE.PROD and param.coeff), "coeff goes with SUM only")
        self._coeff = list(param.coeff) or [1.0] * len(bottom)
        self.reads_bottoms = param.operation != ELTWISE.SUM

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        for blob in bottom[1:]:
            self.check(blob.shape == bottom[0].shape, f"bottoms differ in shape: {bottom[0].shape}, {blob.shape}")
        top[0].reshape(bottom[0].shape)

    def compute(self, bottoms: list[torch.Tensor], params: list[torch.Tensor]) -> list[torch.Tensor]:
        operation = self.param.eltwise_param.operation
        if operation == ELTWISE.MAX:
            first, second, *others = bottoms
            out = torch.where((first > second) | first.isnan(), first, second)  # a tie belongs to the second,
            for x in others:
                out = torch.where((x > out) | x.isnan(), x, out)  # with those that follow to the earlier one
            return [out]
        if operation == ELTWISE.PROD:
            out = bottoms[0] * bottoms[1]
            for x in bottoms[2:]:
                out = out * x
            return [out]
        out = bottoms[0] * self._coeff[0]
        for x, coeff in zip(bottoms[1:], self._coeff[1:], strict=True):
            out = torch.add(out, x, alpha=coeff)
        return [out]

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if self.param.eltwise_param.operation != ELTWISE.SUM:
            super().backward(top, propagate_down, bottom)
            return
        gradient = top[0].diff  # read before a bottom in place replaces it
        for blob, wanted, coeff in zip(bottom, propagate_down, self._coeff, strict=True):
            if wanted:
                blob.diff = gradient * coeff
