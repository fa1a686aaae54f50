"""The WindowData layer: windows of images, for detectors in the manner of R-CNN (facts: WindowDataLayer)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.core.random import own_generator
from pycaffe_ext.engine.io.prefetch import Prefetcher
from pycaffe_ext.engine.io.reading import Batch
from pycaffe_ext.engine.io.transform import Transformer
from pycaffe_ext.engine.lanes import Lane
from pycaffe_ext.engine.layers.base import register
from pycaffe_ext.engine.layers.reading_ahead import ReadingAhead
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import read_words
from pycaffe_ext.pictures import opencv
from pycaffe_ext.proto import caffe_pb2
from pycaffe_ext.strings import native

AHEAD = 2  # batches that wait
CROP_MODES = ("warp", "square")


class Window(NamedTuple):
    """A box in an image, ends included; label 0 is background."""

    image: int
    label: int
    x1: int
    y1: int
    x2: int
    y2: int


class Images(NamedTuple):
    """What a window file lists: paths, channels, and the windows of either kind."""

    paths: list[str]
    channels: int
    foreground: list[Window]
    background: list[Window]


def read_window_file(param: caffe_pb2.WindowDataParameter) -> Images:
    """Read param.source: `# index path channels height width count`, then `label overlap x1 y1 x2 y2` count times.

    overlap >= fg_threshold makes a window foreground, overlap < bg_threshold background; others are left out.
    Raises UserError for a file that is missing, cut off or of another form.
    """
    out = Images([], 0, [], [])
    try:
        words = iter(read_words(native(param.source)))
        for mark in words:
            index, path, channels = int(next(words)), next(words), int(next(words))
            _, _, count = (int(next(words)) for _ in range(3))
            if mark != "#" or index != len(out.paths):
                raise ValueError(f"image {index} follows {len(out.paths)} others")
            out.paths.append(native(param.root_folder) + path)
            out = out._replace(channels=channels)
            for _ in range(count):
                label, overlap = int(next(words)), float(next(words))
                box = [int(next(words)) for _ in range(4)]
                if overlap >= param.fg_threshold:
                    out.foreground.append(Window(index, label, *box))
                elif overlap < param.bg_threshold:
                    out.background.append(Window(index, 0, *box))
    except OSError as error:
        raise UserError(f"{param.source}: cannot read this window file ({error.strerror})") from error
    except (ValueError, StopIteration, RuntimeError) as error:
        raise UserError(
            f"{param.source}: not a window file, or truncated, at image {max(0, len(out.paths) - 1)};"
            " write `# index path channels height width count` and count windows for each"
        ) from error
    if any(window.label <= 0 for window in out.foreground):
        raise UserError(f"{param.source}: foreground windows need labels above 0, which is the background's")
    return out


@register("WindowData")
class WindowData(ReadingAhead):
    """Tops: windows (N, C, crop_size, crop_size) of colour images, background first, and labels (N,).

    fg_fraction of each batch is foreground; both kinds are drawn at random.  A window is warped to crop_size with
    context_pad pixels of its surroundings on each side (crop_mode "square": to its tightest square first); what lies
    outside the image is 0.  As in Caffe, scale is that of window_data_param, and mean, mirror and crop_size those of
    transform_param; cache_images is accepted: the system's file cache does its work.
    """

    exact_bottoms = 0
    exact_tops = 2

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        param, crop = self.param.window_data_param, self.param.transform_param.crop_size
        self.check(param.batch_size > 0, "needs window_data_param.batch_size > 0")
        self.check(crop > 0, "needs transform_param.crop_size > 0")
        self.check(2 * param.context_pad < crop, f"context_pad {param.context_pad} leaves nothing of crop_size {crop}")
        self.check(param.crop_mode in CROP_MODES, f"crop_mode is one of {CROP_MODES}, not {param.crop_mode!r}")
        rng = own_generator()
        try:
            transformer = Transformer(self.param.transform_param, self.phase, rng)
            reader = WindowReader(param, transformer, rng, Lane(self.device))
        except UserError as error:
            self.fail(str(error))
        self._ahead = Prefetcher(reader.batches, AHEAD)
        top[0].reshape((param.batch_size, reader.channels, crop, crop))
        top[1].reshape((param.batch_size,))

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        """The settings gave the shapes."""

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        batch = self._take()
        top[0].data, top[1].data = batch.pixels, batch.labels


class WindowReader:
    """Draws windows and cuts them out, as WindowDataParameter `param` says."""

    def __init__(
        self, param: caffe_pb2.WindowDataParameter, transform: Transformer, rng: np.random.Generator, lane: Lane
    ) -> None:
        self._param, self._transform, self._rng, self._lane = param, transform, rng, lane
        self._images = read_window_file(param)
        self.channels = self._images.channels
        foreground = int(np.float32(param.batch_size) * np.float32(param.fg_fraction))
        self._kinds = ((self._images.background, param.batch_size - foreground), (self._images.foreground, foreground))
        for name, (windows, count) in zip(("background", "foreground"), self._kinds, strict=True):
            if count and not windows:
                raise UserError(f"{param.source}: has no {name} window; check the thresholds and fg_fraction")
        if self.channels != 3:
            raise UserError(f"{param.source}: windows are cut from colour images: 3 channels, not {self.channels}")
        if transform.mean_values.size not in (0, 1, 3):
            raise UserError(f"{transform.mean_values.size} mean_value given for 3 channels; give 1 or 3")
        if transform.mean is not None and (len(transform.mean) != 3 or min(transform.mean.shape[1:]) < transform.crop):
            raise UserError(f"mean_file has shape {transform.mean.shape}, which does not hold 3 x the crop_size")

    def batches(self) -> Iterator[Batch]:
        """Batch after batch, for ever."""
        with ThreadPoolExecutor(torch.get_num_threads(), "reading") as pool:
            while True:
                windows = [
                    kind[int(self._rng.integers(len(kind)))] for kind, count in self._kinds for _ in range(count)
                ]
                mirrored = [bool(self._transform.mirror and self._rng.integers(2)) for _ in windows]
                size = self._transform.crop
                pixels = np.zeros((len(windows), self.channels, size, size), np.float32)
                list(pool.map(self._cut, windows, mirrored, pixels))
                labels = torch.tensor([window.label for window in windows], dtype=torch.float32)
                yield self._lane.carry(partial(Batch(torch.from_numpy(pixels), labels).on, self._lane))

    def _cut(self, window: Window, mirrored: bool, out: np.ndarray) -> None:
        """Write a window into `out`, (C, crop_size, crop_size) zeros."""
        path = self._images.paths[window.image]
        image = opencv.read(path, cv2.IMREAD_COLOR)
        if image is None:
            raise UserError(f"could not load image {path!r}, named in {self._param.source}; check the file")
        box, size, (left, top) = self._place(window, image.shape, mirrored)
        x1, y1, x2, y2 = box
        if not (0 <= x1 <= x2 < image.shape[1] and 0 <= y1 <= y2 < image.shape[0]):
            raise UserError(
                f"{self._param.source}: window {window[2:]} lies outside image {path!r},"
                f" {image.shape[1]}x{image.shape[0]}"
            )
        part = cv2.resize(image[y1 : y2 + 1, x1 : x2 + 1], size, interpolation=cv2.INTER_LINEAR)
        part = (part[:, ::-1] if mirrored else part).transpose(2, 0, 1).astype(np.float32)
        rows, columns = slice(top, top + size[1]), slice(left, left + size[0])
        out[:, rows, columns] = (part - self._mean(rows, columns)) * np.float32(self._param.scale)

    def _mean(self, rows: slice, columns: slice) -> np.ndarray:
        mean = self._transform.mean
        if mean is None:
            return (
                self._transform.mean_values.reshape(-1, 1, 1)
                if self._transform.mean_values.size
                else np.zeros((), np.float32)
            )
        offset = (mean.shape[2] - self._transform.crop) // 2  # Caffe takes the width's for both axes
        return mean[:, rows.start + offset : rows.stop + offset, columns.start + offset : columns.stop + offset]

    def _place(
        self, window: Window, shape: tuple[int, ...], mirrored: bool
    ) -> tuple[tuple[int, ...], tuple[int, int], tuple[int, int]]:
        """(box to cut, its ends included), (width, height) to warp it to, (left, top) of where to put it."""
        crop, box = self._transform.crop, window[2:]
        if not self._param.context_pad and self._param.crop_mode == "warp":
            return box, (crop, crop), (0, 0)
        x1, y1, x2, y2 = self._expanded(*box)
        beyond = (max(0, -x1), max(0, x2 - shape[1] + 1), max(0, -y1), max(0, y2 - shape[0] + 1))
        box = (x1 + beyond[0], y1 + beyond[2], x2 - beyond[1], y2 - beyond[3])
        across, down = (np.float32(crop) / np.float32(n) for n in (x2 - x1 + 1, y2 - y1 + 1))
        left = _round(np.float32(beyond[1] if mirrored else beyond[0]) * across)
        top = _round(np.float32(beyond[2]) * down)
        width = _round(np.float32(box[2] - box[0] + 1) * across)
        height = _round(np.float32(box[3] - box[1] + 1) * down)
        return box, (min(width, crop - left), min(height, crop - top)), (left, top)

    def _expanded(self, x1: int, y1: int, x2: int, y2: int) -> list[int]:
        """The box with its context, which may go beyond the image."""
        crop, one = self._transform.crop, np.float32
        scale = one(crop) / one(crop - 2 * self._param.context_pad)
        half = [one(x2 - x1 + 1) / 2, one(y2 - y1 + 1) / 2]
        centre = [one(x1) + half[0], one(y1) + half[1]]
        if self._param.crop_mode == "square":
            half = [max(half)] * 2
        return [_round(centre[i] + sign * half[i] * scale) for sign in (-1, 1) for i in (0, 1)]


def _round(value: Any) -> int:
    """To the nearest whole number, halves away from zero, as C does."""
    return int(math.copysign(math.floor(abs(value) + 0.5), value))
