"""Softmax, its loss, and the accuracy."""

from __future__ import annotations

import torch

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.layers.base import Layer, register
from pycaffe_ext.proto import caffe_pb2

MODES = caffe_pb2.LossParameter
SMALLEST = torch.finfo(torch.float32).tiny  # Caffe's floor under a probability


def normalization(param: caffe_pb2.LossParameter) -> int:
    """The mode of normalisation; the old `normalize` flag counts where the mode is not given."""
    if param.HasField("normalization") or not param.HasField("normalize"):
        return param.normalization
    return MODES.VALID if param.normalize else MODES.BATCH_SIZE


def normalizer(mode: int, outer: int, inner: int, valid: torch.Tensor | None) -> float | torch.Tensor:
    """What a summed loss is divided by; never less than 1.

    valid : mask of the labels that count, None for all; counted where it lies, so that nobody waits for a GPU.
    """
    if mode == MODES.VALID and valid is not None:
        return valid.sum().clamp(min=1).float()
    by_mode = {MODES.FULL: outer * inner, MODES.VALID: outer * inner, MODES.BATCH_SIZE: outer, MODES.NONE: 1}
    return max(1.0, float(by_mode[mode]))


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


class Labelled(Layer):
    """Scores along an axis and, for each position off that axis, the index of the true class."""

    def _read(self, bottom: list[Blob], axis: int, one_each: bool = False) -> None:
        """Take the sizes; `one_each`: labels must come item by item, as Caffe's losses insist."""
        scores, labels = bottom[0].shape, bottom[1].count
        self._axis = self.axis(axis, bottom[0])
        self._outer = torch.Size(scores[: self._axis]).numel()
        self._inner = torch.Size(scores[self._axis + 1 :]).numel()
        self._classes = scores[self._axis]
        self.check(
            labels == self._outer * self._inner,
            f"{self._outer * self._inner} labels are needed for scores of"
            f" shape {scores} with axis {self._axis}, not {labels}",
        )
        self.check(
            not one_each or bottom[1].shape[:1] == scores[:1],
            f"scores and labels must be as many: {scores}, {bottom[1].shape}",
        )

    def _rows(self, scores: torch.Tensor) -> torch.Tensor:
        """(outer, classes, inner)."""
        return scores.reshape(self._outer, self._classes, self._inner)

    def _labels(self, blob: Blob, ignore: int | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Labels (outer, 1, inner), and a mask of those that count, or None for all of them."""
        labels = blob.data.long().view(self._outer, 1, self._inner)
        valid = None if ignore is None else labels != ignore
        if valid is not None:
            labels = labels.where(valid, 0)
        if labels.is_cpu and labels.numel() and not 0 <= int(labels.min()) <= int(labels.max()) < self._classes:
            self.fail(
                f"labels must lie in 0..{self._classes - 1}, there are {int(labels.min())}"
                f" to {int(labels.max())}; check the data or num_output"
            )
        return labels, valid


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
