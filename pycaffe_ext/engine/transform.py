"""transform_param: crop, mirror, mean and scale in Caffe's order (facts: DataTransformer)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import caffe_pb2, read_mean


@dataclass
class Batch:
    """Images already cropped and mirrored, and what the mean needs to know about each.

    pixels : (N, C, H, W) uint8 or float32;  labels : (N,) float32
    places : per image (top, left, mirrored) of its crop in the stored image
    """

    pixels: np.ndarray
    labels: np.ndarray
    places: list[tuple[int, int, bool]] = field(default_factory=list)


class Transformer:
    """Caffe's DataTransformer: (value - mean) * scale, the mean_file taken at the crop's own position.

    Crops are random in TRAIN and centred in TEST, mirrors are random in both phases.  Raises UserError for settings
    that contradict each other or the images.
    """

    def __init__(self, param: Any, phase: int, rng: np.random.Generator) -> None:
        if param.HasField("mean_file") and param.mean_value:
            raise UserError("transform_param has both mean_file and mean_value; keep one of them")
        if param.force_color and param.force_gray:
            raise UserError("transform_param has both force_color and force_gray; keep one of them")
        self.crop = param.crop_size
        self.mirror = param.mirror
        self.scale = param.scale
        self.random_crop = phase == caffe_pb2.TRAIN
        self.color = True if param.force_color else False if param.force_gray else None
        self.rng = rng
        self.mean_values = np.array(param.mean_value, np.float32)
        self.mean = read_mean(param.mean_file) if param.HasField("mean_file") else None
        self._mean_on: dict[tuple[torch.device, bool], np.ndarray | torch.Tensor] = {}

    def output_shape(self, stored: tuple[int, int, int]) -> tuple[int, int, int]:
        """(C, H, W) that an image of shape `stored` becomes; refuses what mean or crop do not fit."""
        channels, height, width = stored
        if self.mean is not None and self.mean.shape != stored:
            raise UserError(f"mean_file has shape {self.mean.shape}, the images {stored}; compute it from them")
        if self.mean_values.size not in (0, 1, channels):
            raise UserError(f"{self.mean_values.size} mean_value given for {channels} channels; give 1 or {channels}")
        if self.crop > min(height, width):
            raise UserError(f"crop_size {self.crop} is larger than the images, {height}x{width}")
        return (channels, self.crop or height, self.crop or width)

    def cut(self, image: np.ndarray, out: np.ndarray) -> tuple[int, int, bool]:
        """Crop (and mirror) a stored (C, H, W) image into `out`; returns (top, left, mirrored)."""
        mirrored = bool(self.mirror and self.rng.integers(2))
        top, left = (self._offset(full, part) for full, part in zip(image.shape[1:], out.shape[1:], strict=True))
        part = image[:, top : top + out.shape[1], left : left + out.shape[2]]
        out[:] = part[:, :, ::-1] if mirrored else part
        return top, left, mirrored

    def _offset(self, full: int, part: int) -> int:
        if full == part:
            return 0
        return int(self.rng.integers(full - part + 1)) if self.random_crop else (full - part) // 2

    def finish(self, batch: Batch, out: torch.Tensor) -> None:
        """Write (pixels - mean) * scale into `out` (N, C, H, W), a float32 tensor on any device."""
        out.copy_(torch.from_numpy(batch.pixels))
        if self.mean is not None:
            self._subtract_mean(batch.places, out)
        elif self.mean_values.size:
            out -= torch.from_numpy(self.mean_values).to(out.device).view(1, -1, 1, 1)
        if self.scale != 1:
            out *= self.scale

    def _subtract_mean(self, places: list[tuple[int, int, bool]], out: torch.Tensor) -> None:
        if len(set(places)) == 1:
            out -= torch.as_tensor(self._mean_at(places[0], out))
            return
        # On the CPU through numpy: a parallel torch call for each small image costs more than its arithmetic.
        for image, place in zip(out.numpy() if out.device.type == "cpu" else out, places, strict=True):
            image -= self._mean_at(place, out)

    def _mean_at(self, place: tuple[int, int, bool], out: torch.Tensor) -> np.ndarray | torch.Tensor:
        """The mean at a crop's position, mirrored with it: a view, on the device of `out`."""
        top, left, mirrored = place
        mean = self._mean_on.get((out.device, mirrored))
        if mean is None:
            mean = np.ascontiguousarray(self.mean[:, :, ::-1] if mirrored else self.mean)
            mean = mean if out.device.type == "cpu" else torch.from_numpy(mean).to(out.device)
            self._mean_on[(out.device, mirrored)] = mean
        height, width = out.shape[-2:]
        left = mean.shape[-1] - width - left if mirrored else left
        return mean[:, top : top + height, left : left + width]
