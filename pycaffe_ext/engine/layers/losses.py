"""Losses other than the softmax's: EuclideanLoss, SigmoidCrossEntropyLoss, HingeLoss."""

from __future__ import annotations

import torch
from torch.nn import functional

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.layers.base import AutogradLayer, register
from pycaffe_ext.engine.layers.labelled import normalization, normalizer
from pycaffe_ext.proto import caffe_pb2

Tensors = list[torch.Tensor]
HINGE = caffe_pb2.HingeLossParameter


class _Loss(AutogradLayer):
    """Two bottoms, predictions and targets; one number."""

    exact_bottoms = 2
    exact_tops = 1
    auto_top_blobs = True
    is_loss = True

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.check(
            bottom[0].shape[:1] == bottom[1].shape[:1],
            f"predictions and targets must be as many: {bottom[0].shape}, {bottom[1].shape}",
        )
        top[0].reshape(())

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        self.check(not propagate_down[1], "can't send a gradient to its targets")
        super().backward(top, propagate_down, bottom)


@register("EuclideanLoss")
class EuclideanLoss(_Loss):
    """Sum of squared differences over twice the batch; both bottoms get a gradient."""

    def allow_force_backward(self, bottom_index: int) -> bool:
        return True

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        super().reshape(bottom, top)
        self.check(bottom[0].count == bottom[1].count, f"shapes differ: {bottom[0].shape}, {bottom[1].shape}")

    def compute(self, bottoms: Tensors, params: Tensors) -> Tensors:
        a, b = bottoms
        return [(a - b.view(a.shape)).square().sum() / (2 * a.shape[0])]

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        AutogradLayer.backward(self, top, propagate_down, bottom)


@register("SigmoidCrossEntropyLoss")
class SigmoidCrossEntropyLoss(_Loss):
    """Cross entropy of sigmoid(x) and targets in 0..1, over the batch unless normalization says otherwise."""

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        super().reshape(bottom, top)
        self.check(bottom[0].count == bottom[1].count, f"shapes differ: {bottom[0].shape}, {bottom[1].shape}")

    def compute(self, bottoms: Tensors, params: Tensors) -> Tensors:
        loss, x = self.param.loss_param, bottoms[0]
        target = bottoms[1].view(x.shape)
        mode = (
            normalization(loss)
            if loss.HasField("normalization") or loss.HasField("normalize")
            else (caffe_pb2.LossParameter.BATCH_SIZE)
        )
        losses = functional.relu(x) - x * target + torch.log1p(torch.exp(-x.abs()))
        valid = target != loss.ignore_label if loss.HasField("ignore_label") else None
        if valid is not None:
            losses = losses.where(valid, 0)
        outer = x.shape[0]
        return [losses.sum() / normalizer(mode, outer, x.numel() // outer, valid)]


@register("HingeLoss")
class HingeLoss(_Loss):
    """max(0, 1 - score of the true class, 1 + score of the others), summed (or its square) over the batch."""

    def compute(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x = bottoms[0].reshape(bottoms[0].shape[0], -1)
        sign = torch.ones_like(x).scatter_(1, bottoms[1].long().view(-1, 1), -1)
        margins = functional.relu(1 + sign * x)
        if self.param.hinge_loss_param.norm == HINGE.L2:
            margins = margins.square()
        return [margins.sum() / x.shape[0]]
