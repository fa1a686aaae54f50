"""What the layers that compare scores with labels share: the labels read, and what a loss is divided by."""

from __future__ import annotations

import torch

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.layers.base import Layer
from pycaffe_ext.proto import caffe_pb2

MODES = caffe_pb2.LossParameter


def normalization(param: caffe_pb2.LossParameter) -> caffe_pb2.LossParameter.NormalizationMode:
    """The mode of normalisation; the old `normalize` flag counts where the mode is not given."""
    if param.HasField("normalization") or not param.HasField("normalize"):
        return param.normalization
    return MODES.VALID if param.normalize else MODES.BATCH_SIZE


def normalizer(
    mode: caffe_pb2.LossParameter.NormalizationMode, outer: int, inner: int, valid: torch.Tensor | None
) -> float | torch.Tensor:
    """What a summed loss is divided by; never less than 1.

    valid : mask of the labels that count, None for all; counted on its own device, so that no GPU is waited for.
    """
    if mode == MODES.VALID and valid is not None:
        return valid.sum().clamp(min=1).float()
    by_mode = {MODES.FULL: outer * inner, MODES.VALID: outer * inner, MODES.BATCH_SIZE: outer, MODES.NONE: 1}
    return max(1.0, float(by_mode[mode]))


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
