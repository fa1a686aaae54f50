"""The mean image of a database, as Caffe computes and subtracts it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from itertools import islice
from math import prod
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from pycaffe_ext import proto
from pycaffe_ext.data.database import values
from pycaffe_ext.data.datum import parse
from pycaffe_ext.data.threads import one_thread_each
from pycaffe_ext.engine import log
from pycaffe_ext.engine.database import datum_image
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import write_json

BATCH = 64  # Datums that are added at a time
LONGEST_TAIL = 16  # bytes of a label and of `encoded` behind the pixels
SMALL = 1 << 15  # pixels that are not worth sharing between threads
REPORT = 10_000  # Datums between two lines of the log


def compute(database: str | Path, output: str | Path | None = None, backend: str = "lmdb") -> None:
    """Log the mean of each channel and write the mean image to `output`: the work of Caffe's compute_image_mean.

    The bytes of `output` are the genuine program's.  Raises UserError as `sum_images` does.
    """
    log.info("compute_image_mean.cpp:70", "Starting iteration")
    total, count = sum_images(database, backend, report=True)
    mean = total / np.float32(count)
    if output is not None:
        log.info("compute_image_mean.cpp:108", f"Write to {output}")
        proto.write_mean(output, mean)
    log.info("compute_image_mean.cpp:114", f"Number of channels: {len(mean)}")
    for channel, values_ in enumerate(mean.reshape(len(mean), -1)):
        value = np.add.accumulate(values_)[-1] / np.float32(values_.size)  # one after the other, as Caffe adds them
        log.info("compute_image_mean.cpp:119", f"mean_value channel [{channel}]: {log.number(value)}")


def mean_image(database: str | Path, progress: bool = True) -> np.ndarray:
    """Mean (C, H, W) float64 of all images in an LMDB; as float32 it is what Caffe computes.

    Raises UserError as `sum_images` does.
    """
    total, count = sum_images(database, progress=progress)
    return total.astype(np.float64) / count


def sum_images(
    database: str | Path, backend: str = "lmdb", *, progress: bool = False, report: bool = False
) -> tuple[np.ndarray, int]:
    """(sum (C, H, W) float32, number) of all images of a database.

    Each pixel is added up in float32 in the order of the keys, as Caffe does (up to 65 793 images of bytes that is
    exact); the cores share the pixels.  Encoded Datums count as Caffe decodes them.  `progress` shows a bar, `report`
    logs as Caffe does.  Raises UserError if the database is missing, empty or damaged, or images differ in shape.
    """
    total, count, workers = None, 0, os.cpu_count() or 1
    with values(database, backend, buffers=True) as contents, ThreadPoolExecutor(workers) as pool, one_thread_each():
        pixels = _Pixels()
        bar = tqdm(contents, "mean", unit="image", disable=not progress, delay=2, leave=False)
        for batch in _batches(bar):
            images = pixels.of(batch, pool, workers)
            if total is None:
                total = np.zeros(images[0].shape, np.float32)
            _check_shapes(images, total.shape, database)
            _each(pool, partial(_add, images, total), _parts(total.size, workers))
            count += len(batch)
            if report and count // REPORT > (count - len(batch)) // REPORT:
                log.info("compute_image_mean.cpp:95", f"Processed {count // REPORT * REPORT} files.")
        if total is None:
            raise UserError(f"{database}: no patch in it; pack the patches first")
        if report and count % REPORT:
            log.info("compute_image_mean.cpp:101", f"Processed {count} files.")
    return total, count


def write_mean(database: str | Path, folder: str | Path, progress: bool = True) -> np.ndarray:
    """Write the mean of an LMDB to `folder` and return it, (C, H, W) float64.

    mean.binaryproto : the mean image (Caffe's mean_file).   mean.json : mean of each channel (Caffe's mean_value),
    {"mean_value": [B, G, R], "order": "BGR"} for colour patches.
    """
    folder = Path(folder)
    mean = mean_image(database, progress)
    channels = [float(value) for value in mean.mean(axis=(1, 2))]
    proto.write_mean(folder / "mean.binaryproto", mean.astype(np.float32))
    write_json(folder / "mean.json", {"order": "BGR" if len(channels) == 3 else "channels", "mean_value": channels})
    return mean


class _Pixels:
    """Images of serialised Datums; those that begin as the first raw one are looked at where they lie, uncopied."""

    def __init__(self) -> None:
        self.layout: tuple[bytes, tuple[int, ...]] | None = None  # what stands before the pixels, their shape

    def of(self, batch: list[memoryview], pool: ThreadPoolExecutor, workers: int) -> list[np.ndarray]:
        """Images of a batch in order; threads share the work while no raw Datum was met: pictures take time."""
        if self.layout:
            return self._all(batch)
        return [image for part in _each(pool, self._all, _shares(batch, workers)) for image in part]

    def _all(self, contents: list[memoryview]) -> list[np.ndarray]:
        return [self(content) for content in contents]

    def __call__(self, content: memoryview) -> np.ndarray:
        """(C, H, W) uint8 or float32; UserError if it is no Datum or can't be decoded."""
        if self.layout:
            head, shape = self.layout
            start, end = len(head), len(head) + prod(shape)
            if content[:start] == head and _is_plain(bytes(content[end:])):
                return np.frombuffer(content, np.uint8, end - start, start).reshape(shape)
        datum = parse(content)
        try:
            image = datum_image(datum)
        except ValueError as error:
            raise UserError(f"a Datum {error}; pack the database again") from None
        if not self.layout and datum.data and not datum.encoded:
            datum.ClearField("label")
            datum.ClearField("encoded")
            self.layout = datum.SerializeToString()[: -image.size], image.shape
        return image


@cache
def _is_plain(tail: bytes) -> bool:
    """Whether a Datum that ends so holds raw pixels in front of it (a value cut short has no such tail)."""
    if not 0 < len(tail) <= LONGEST_TAIL:
        return False
    fields = parse(tail).ListFields()
    return bool(fields) and all(field.name == "label" or (field.name == "encoded" and not on) for field, on in fields)


def _batches(contents: Iterable[memoryview]) -> Iterator[list[memoryview]]:
    contents = iter(contents)
    while batch := list(islice(contents, BATCH)):
        yield batch


def _shares(batch: list[memoryview], workers: int) -> list[list[memoryview]]:
    """The batch in order, in at most `workers` pieces."""
    step = -(-len(batch) // workers)
    return [batch[i : i + step] for i in range(0, len(batch), step)]


def _parts(size: int, workers: int) -> list[slice]:
    """`size` pixels in at most `workers` pieces, none of which is small."""
    step = max(-(-size // workers), SMALL)
    return [slice(i, i + step) for i in range(0, size, step)]


def _each(pool: ThreadPoolExecutor, work: Callable, jobs: list) -> list:
    """Results of `work`, on threads if there is more than one job."""
    return list(pool.map(work, jobs)) if len(jobs) > 1 else [work(job) for job in jobs]


def _add(images: list[np.ndarray], total: np.ndarray, part: slice) -> None:
    """Add a part of the pixels of each image to that of the total, one after the other in float32."""
    target = total.reshape(1, -1)[:, part]
    for image in images:
        cv2.accumulate(image.reshape(1, -1)[:, part], target)


def _check_shapes(images: list[np.ndarray], shape: tuple[int, ...], database: str | Path) -> None:
    for image in images:
        if image.shape != shape:
            raise UserError(f"{database}: images of shape {shape} and {image.shape}: a mean needs one shape")
