"""Classifier: a net that takes images and gives class probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_ext.caffe import io
from pycaffe_ext.caffe.net import Net
from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import caffe_pb2


class Classifier(Net):
    """Images are resized to image_dims (height, width), cropped to the net's input, prepared as io.Transformer does.

    Without image_dims the whole image is resized to the net's input.
    """

    def __init__(
        self,
        model_file: str,
        pretrained_file: str,
        image_dims: Sequence[int] | None = None,
        mean: np.ndarray | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
    ) -> None:
        super().__init__(model_file, caffe_pb2.TEST, weights=pretrained_file)
        shape = self.blobs[self.inputs[0]].shape
        self.transformer = io.preprocessor(self.inputs[0], shape, mean, input_scale, raw_scale, channel_swap)
        self.crop_dims = np.array(shape[2:])
        self.image_dims = self.crop_dims if image_dims is None or not len(image_dims) else np.array(image_dims)
        if (self.image_dims < self.crop_dims).any():
            raise UserError(
                f"image_dims {tuple(self.image_dims)} are less than the net's input"
                f" {tuple(self.crop_dims)}; give at least these"
            )

    def predict(self, inputs: Sequence[np.ndarray], oversample: bool = True) -> np.ndarray:
        """Probabilities (N, classes) of N images (H, W, K).

        With `oversample` they are means over the four corners, the centre, and their mirror images; else the centre's.
        """
        images = np.stack([io.resize_image(image, self.image_dims.tolist()) for image in inputs])
        crops = io.oversample(list(images), self.crop_dims.tolist()) if oversample else self._centre(images)
        name = self.inputs[0]
        prepared = np.stack([self.transformer.preprocess(name, crop) for crop in crops])
        predictions = self.forward_all(**{name: prepared})[self.outputs[0]]
        return predictions.reshape(len(images), 10, -1).mean(1) if oversample else predictions

    def _centre(self, images: np.ndarray) -> np.ndarray:
        top, left = (self.image_dims / 2 - self.crop_dims / 2).astype(int)
        height, width = self.crop_dims
        return images[:, top : top + height, left : left + width]
