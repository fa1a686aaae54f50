"""Detector: a net that classifies windows of images, with some context around them if wanted (as R-CNN does)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from pycaffe_ext.caffe import io
from pycaffe_ext.caffe.net import Net
from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import caffe_pb2

Window = Sequence[int]  # ymin, xmin, ymax, xmax


class Detector(Net):
    """Windows are warped to the net's input; context_pad pixels of it on each side then show what is around them.

    What lies outside the image is filled with the mean.  The other arguments are io.Transformer's.
    """

    def __init__(
        self,
        model_file: str,
        pretrained_file: str,
        mean: np.ndarray | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
        context_pad: int | None = None,
    ) -> None:
        super().__init__(model_file, caffe_pb2.TEST, weights=pretrained_file)
        shape = self.blobs[self.inputs[0]].shape
        self.transformer = io.preprocessor(self.inputs[0], shape, mean, input_scale, raw_scale, channel_swap)
        self.configure_crop(context_pad)

    def detect_windows(self, images_windows: Iterable[tuple[str, Iterable[Window]]]) -> list[dict[str, Any]]:
        """Predictions for windows (ymin, xmin, ymax, xmax) of images, given as (file, windows).

        Returns one {"window", "prediction", "filename"} for each window, in the order given.
        """
        found: list[dict[str, Any]] = []
        prepared = []
        for filename, windows in images_windows:
            image = io.load_image(filename)
            for window in windows:
                prepared.append(self.transformer.preprocess(self.inputs[0], self.crop(image, window)))
                found.append({"window": window, "filename": filename})
        if not found:
            raise UserError("detect_windows needs at least one window")
        predictions = self.forward_all(**{self.inputs[0]: np.stack(prepared)})[self.outputs[0]]
        for detection, prediction in zip(found, predictions, strict=True):
            detection["prediction"] = prediction
        return found

    def detect_selective_search(self, image_fnames: Iterable[str]) -> list[dict[str, Any]]:
        """Not here: selective search is a Matlab program.  Always raises UserError."""
        raise UserError(
            "selective search needs Matlab and is not built in; find the windows otherwise and give them"
            " to detect_windows"
        )

    def crop(self, im: np.ndarray, window: Window) -> np.ndarray:
        """The window of an (H, W, K) image, with context if context_pad is set (then in the net's input size)."""
        top, left, bottom, right = (int(edge) for edge in window)
        if not (0 <= top < bottom <= im.shape[0] and 0 <= left < right <= im.shape[1]):
            raise UserError(
                f"window {(top, left, bottom, right)} (ymin, xmin, ymax, xmax) does not lie in an image"
                f" of {im.shape[0]}x{im.shape[1]}"
            )
        if not self.context_pad:
            return im[top:bottom, left:right]
        rows = self._with_context(top, bottom, im.shape[0])
        columns = self._with_context(left, right, im.shape[1])
        part = im[rows[0] : rows[1], columns[0] : columns[1]]
        crop = np.full(self.crop_dims, self.crop_mean, np.float32)
        (y, height), (x, width) = rows[2:], columns[2:]
        crop[y : y + height, x : x + width] = io.resize_image(part, (height, width))
        return crop

    def _with_context(self, low: int, high: int, size: int) -> tuple[int, int, int, int]:
        """Along one axis: where the part to cut begins and ends in the image, then its place and size in the crop."""
        crop_size = self.blobs[self.inputs[0]].width  # the input is taken to be square
        scale = crop_size / (crop_size - 2 * (self.context_pad or 0))
        half = (high - low + 1) / 2
        first, last = np.round(low + half - scale * half), np.round(low + half + scale * half)
        zoom = crop_size / (last - first + 1)
        pad = round(max(0.0, -first) * zoom)
        first, last = np.clip((first, last), 0, size)
        length = min(round((last - first + 1) * zoom), crop_size - pad)
        return int(first), int(last), pad, length

    def configure_crop(self, context_pad: int | None) -> None:
        """Set the width of the context, in pixels of the net's input, and what fills it outside the image."""
        name = self.inputs[0]
        shape = self.blobs[name].shape[1:]
        self.crop_dims = np.array([*shape[1:], shape[0]])
        self.context_pad = context_pad
        if not context_pad:
            return
        if shape[1] != shape[2] or not 0 < 2 * context_pad < shape[1]:
            raise UserError(
                f"context_pad {context_pad} needs a square input more than twice as wide, not {shape[1]}x{shape[2]}"
            )
        mean = self.transformer.mean.get(name)
        self.crop_mean = np.zeros(self.crop_dims, np.float32) if mean is None else self._unprepared(mean)

    def _unprepared(self, mean: np.ndarray) -> np.ndarray:
        """The mean in the form of images as they are before they are prepared."""
        name = self.inputs[0]
        image = mean.reshape((-1, *mean.shape[-2:])).transpose(1, 2, 0)
        if name in self.transformer.channel_swap and image.shape[2] > 1:
            image = image[:, :, np.argsort(self.transformer.channel_swap[name])]
        return image / self.transformer.raw_scale.get(name, 1.0)
