"""Losses made of logarithms of probabilities: MultinomialLogisticLoss, InfogainLoss."""

from __future__ import annotations

import torch

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.layers.base import register
from pycaffe_ext.engine.layers.labelled import Labelled, normalizer
from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import blob_to_array, caffe_pb2, read_message
from pycaffe_ext.strings import native

SMALLEST = 1e-20  # Caffe's floor under a probability in these two losses


@register("MultinomialLogisticLoss")
class MultinomialLogisticLoss(Labelled):
    """Mean over the items of -log(the true class's value); the first bottom holds probabilities already."""

    exact_bottoms = 2
    exact_tops = 1
    auto_top_blobs = True
    is_loss = True

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        items, *rest = self.legacy_shape(bottom[0])
        labels = self.legacy_shape(bottom[1])
        self.check(labels == (items, 1, 1, 1), f"needs {items} labels, one an item, not a blob of shape {labels}")
        self._outer, self._classes, self._inner = items, torch.Size(rest).numel(), 1
        top[0].reshape(())

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self._target, _ = self._labels(bottom[1], None)
        self._prob = self._rows(bottom[0].data).gather(1, self._target).clamp(min=SMALLEST)
        top[0].data = -self._prob.log().sum() / self._outer

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        self.check(not propagate_down[1], "can't send a gradient to its labels")
        if propagate_down[0]:
            gradient = torch.zeros_like(self._rows(bottom[0].data))
            gradient.scatter_(1, self._target, -top[0].diff / self._outer / self._prob)
            bottom[0].diff = gradient.view(bottom[0].shape)


@register("InfogainLoss")
class InfogainLoss(Labelled):
    """-sum over classes k of H[true class, k] * log(softmax probability of k); a second top gives the probabilities.

    H is the third bottom, or the BlobProto in the file infogain_loss_param.source: as many values as classes squared.
    """

    min_bottoms = 2
    max_bottoms = 3
    min_tops = 1
    max_tops = 2
    auto_top_blobs = True
    is_loss = True
    reads_bottoms, reads_tops = False, True  # the second top is the probabilities that are kept

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.check(not self.param.loss_param.HasField("normalize"), "takes normalization, not the old normalize")
        if len(bottom) < 3:
            self._matrix = self._read_matrix(native(self.param.infogain_loss_param.source))

    def _read_matrix(self, source: str) -> torch.Tensor:
        self.check(bool(source), "needs H: give infogain_loss_param { source } or a third bottom")
        try:
            matrix = blob_to_array(read_message(source, caffe_pb2.BlobProto()))
        except UserError as error:
            self.fail(str(error))
        return torch.from_numpy(matrix.copy()).to(self.device)

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        self._read(bottom, self.param.infogain_loss_param.axis, one_each=True)
        matrix = bottom[2].shape if len(bottom) > 2 else tuple(self._matrix.shape)
        self.check(
            torch.Size(matrix).numel() == self._classes**2,
            f"H has shape {matrix}, {self._classes} classes need {self._classes} x {self._classes}",
        )
        top[0].reshape(())
        if len(top) > 1:
            top[1].reshape(bottom[0].shape)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        loss = self.param.loss_param
        matrix = (bottom[2].data if len(bottom) > 2 else self._matrix).view(self._classes, -1)
        self._prob = torch.softmax(bottom[0].data, self._axis)
        target, self._valid = self._labels(bottom[1], loss.ignore_label if loss.HasField("ignore_label") else None)
        self._gain = matrix[target.squeeze(1)].movedim(-1, 1)  # (outer, classes, inner)
        if self._valid is not None:
            self._gain = self._gain * self._valid
        self._normalizer = normalizer(loss.normalization, self._outer, self._inner, self._valid)
        logs = self._rows(self._prob).clamp(min=SMALLEST).log()
        top[0].data = -(self._gain * logs).sum() / self._normalizer
        if len(top) > 1:
            top[1].data = self._prob

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        self.check(not any(propagate_down[1:]), "can't send a gradient to its labels or to H")
        if propagate_down[0]:
            gradient = self._rows(self._prob) * self._gain.sum(1, keepdim=True) - self._gain
            gradient *= top[0].diff / self._normalizer
            bottom[0].diff = gradient.view(bottom[0].shape)
