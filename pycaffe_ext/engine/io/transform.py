"""transform_param: crop, mirror, mean and scale in Caffe's order (facts: DataTransformer)."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch

from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import caffe_pb2, read_mean
from pycaffe_ext.strings import native

Place = tuple[int, int, bool]  # top and left of a crop in the stored image, whether it is mirrored afterwards
Shape = tuple[int, int, int]


def mean_of(param: caffe_pb2.TransformationParameter) -> np.ndarray | None:
    """The mean image (C, H, W) of transform_param's mean_file, None without one; UserError if it can't be read."""
    if param.HasField("mean_file") and param.mean_value:
        raise UserError("transform_param has both mean_file and mean_value; keep one of them")
    return read_mean(native(param.mean_file)) if param.HasField("mean_file") else None


class Transformer:
    """Caffe's DataTransformer: (value - mean) * scale, the mean_file taken at the crop's own position.

    Crops are random in TRAIN and centred in TEST, mirrors are random in both phases.  What is random is drawn by
    `draw`, image by image, so that the work on the images may be shared out.  Raises UserError for settings that
    contradict each other or the images.
    """

    def __init__(self, param: Any, phase: int, rng: np.random.Generator) -> None:
        self.mean = mean_of(param)
        if param.force_color and param.force_gray:
            raise UserError("transform_param has both force_color and force_gray; keep one of them")
        self.crop = param.crop_size
        self.mirror = param.mirror
        self.scale = param.scale
        self.random_crop = phase == caffe_pb2.TRAIN
        self.color = True if param.force_color else False if param.force_gray else None
        self.rng = rng
        self.mean_values = np.array(param.mean_value, np.float32)
        self._whole: dict[Any, Any] = {}  # means as large as the stored images, by their shape or device

    def output_shape(self, stored: Shape) -> Shape:
        """(C, H, W) that an image of shape `stored` becomes; refuses what mean or crop do not fit."""
        channels, height, width = stored
        if self.mean is not None and self.mean.shape != stored:
            raise UserError(f"mean_file has shape {self.mean.shape}, the images {stored}; compute it from them")
        if self.mean_values.size not in (0, 1, channels):
            raise UserError(f"{self.mean_values.size} mean_value given for {channels} channels; give 1 or {channels}")
        if self.crop > min(height, width):
            raise UserError(f"crop_size {self.crop} is larger than the images, {height}x{width}")
        return (channels, self.crop or height, self.crop or width)

    def is_random(self, stored: Shape) -> bool:
        """Whether an image of shape `stored` comes out differently each time."""
        return bool(self.mirror or (self.random_crop and self.output_shape(stored) != stored))

    def draw(self, count: int, stored: Shape) -> list[Place]:
        """The places of the next `count` images, all of shape `stored`."""
        shape = self.output_shape(stored)
        return [self._place(stored, shape) for _ in range(count)]

    def _place(self, stored: Shape, shape: Shape) -> Place:
        mirrored = bool(self.mirror and self.rng.integers(2))
        top, left = (self._offset(full, part) for full, part in zip(stored[1:], shape[1:], strict=True))
        return top, left, mirrored

    def _offset(self, full: int, part: int) -> int:
        if full == part:
            return 0
        return int(self.rng.integers(full - part + 1)) if self.random_crop else (full - part) // 2

    def apply(self, image: np.ndarray, place: Place, out: np.ndarray) -> None:
        """Write a stored (C, H, W) image, uint8 or float32, into `out`, (C, h, w) float32."""
        top, left, mirrored = place
        height, width = out.shape[1:]
        part = image[:, top : top + height, left : left + width]
        means = self._means(image.shape)
        if means is None:
            np.copyto(out, part[:, :, ::-1] if mirrored else part)
        else:
            start = image.shape[2] - width - left if mirrored else left
            mean = means[mirrored][:, top : top + height, start : start + width]
            for plane, mean_plane, result in zip(part, mean, out, strict=True):
                _subtract(plane, mirrored, mean_plane, result)
        if self.scale != 1:
            out *= self.scale

    def _means(self, stored: Shape) -> tuple[np.ndarray, np.ndarray] | None:
        """The mean of the size of a stored image, as it is and mirrored; None without a mean."""
        if self.mean is None and not self.mean_values.size:
            return None
        if stored not in self._whole:
            mean = self.mean
            if mean is None:
                mean = np.broadcast_to(self.mean_values.reshape(-1, 1, 1), stored)
            self._whole[stored] = np.ascontiguousarray(mean), np.ascontiguousarray(mean[:, :, ::-1])
        return self._whole[stored]

    def apply_to_batch(self, images: torch.Tensor, places: list[Place]) -> torch.Tensor:
        """Stored images (N, C, H, W), uint8 or float32 on any device -> (N, C, h, w) float32 there, as `apply`."""
        _, c, h, w = images.shape
        stored = c, h, w
        channels, height, width = self.output_shape(stored)
        device = images.device
        tops, lefts, mirrored = torch.tensor(places).t().to(device)  # int64, one transfer
        rows = tops[:, None] + torch.arange(height, device=device)
        columns = torch.arange(width, device=device).expand(len(places), width)
        columns = lefts[:, None] + torch.where(mirrored[:, None] > 0, width - 1 - columns, columns)
        rows, columns = rows[:, None, :, None], columns[:, None, None, :]
        items = torch.arange(len(places), device=device)[:, None, None, None]
        planes = torch.arange(channels, device=device)[:, None, None]
        out = images[items, planes, rows, columns].float()
        means = self._means(stored)
        if means is not None:
            out -= self._on(device, stored, means[0])[planes, rows, columns]
        return out.mul_(self.scale) if self.scale != 1 else out

    def _on(self, device: torch.device, stored: Shape, mean: np.ndarray) -> torch.Tensor:
        if (device, stored) not in self._whole:
            self._whole[device, stored] = torch.from_numpy(mean).to(device)
        return self._whole[device, stored]


def _subtract(plane: np.ndarray, mirrored: bool, mean: np.ndarray, out: np.ndarray) -> None:
    """plane (h, w), mirrored if asked, minus mean, into `out`, in one pass over the memory of each."""
    if plane.strides[1] != plane.itemsize:
        plane = np.ascontiguousarray(plane)  # of an image that was decoded with its colours interleaved
    cv2.subtract(cv2.flip(plane, 1) if mirrored else plane, mean, dst=out, dtype=cv2.CV_32F)
