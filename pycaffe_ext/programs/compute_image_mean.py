"""The mean image of a database, as Caffe computes and subtracts it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from pycaffe_ext import glog, proto
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import write_json
from pycaffe_ext.progress import bar
from pycaffe_ext.records import Value
from pycaffe_ext.records.cursor import datum_image
from pycaffe_ext.records.database import Record, window
from pycaffe_ext.records.datum import AGAIN, parse
from pycaffe_ext.records.raw_datums import RawDatums
from pycaffe_ext.threads import cores, one_thread_each

BATCH = 64  # Datums that are added at a time
EXACT = (2**24 - 1) // 255  # images of bytes whose sum float32 holds exactly, in whatever order
SMALL = 1 << 14  # pixels that are not worth sharing between threads
REPORT = 10_000  # Datums between two lines of the log


def compute(database: str | Path, output: str | Path | None = None, backend: str = "lmdb") -> None:
    """Log the mean of each channel and write the mean image to `output`: the work of Caffe's compute_image_mean.

    The bytes of `output` are the genuine program's.  Raises UserError as `sum_images` does.
    """
    glog.info("compute_image_mean.cpp:70", "Starting iteration")
    total, count = sum_images(database, backend, report=True)
    mean = total / np.float32(count)
    if output is not None:
        glog.info("compute_image_mean.cpp:108", f"Write to {output}")
        proto.write_mean(output, mean)
    glog.info("compute_image_mean.cpp:114", f"Number of channels: {len(mean)}")
    for channel, values_ in enumerate(mean.reshape(len(mean), -1)):
        value = np.add.accumulate(values_)[-1] / np.float32(values_.size)  # one after the other, as Caffe adds them
        glog.info("compute_image_mean.cpp:119", f"mean_value channel [{channel}]: {glog.number(value)}")


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

    Each pixel's sum is that of float32 additions in the order of the keys, as Caffe makes them; the cores share them.
    Encoded Datums count as Caffe decodes them.  `progress` shows a bar, `report` logs as Caffe does.  Raises UserError
    if the database is missing, empty or damaged, or images differ in shape.
    """
    workers, count, last, more = cores(), 0, None, True
    shown = bar(title="mean", unit="image", progress=progress)
    with ThreadPoolExecutor(workers) as pool, one_thread_each(), shown:
        adding = _Sum(pool, workers)
        while more:
            with window(database, backend, last) as entries, adding:
                more = False
                for batch in _batches(entries):
                    adding.add([content for _, content in batch])
                    last, more = bytes(batch[-1][0]), True
                    before, count = count, count + len(batch)
                    shown.update(len(batch))
                    if report and count // REPORT > before // REPORT:
                        glog.info("compute_image_mean.cpp:95", f"Processed {count // REPORT * REPORT} files.")
    if not count:
        raise UserError(f"{database}: no patch in it; pack the patches first")
    if report and count % REPORT:
        glog.info("compute_image_mean.cpp:101", f"Processed {count} files.")
    return adding.total.reshape(adding.pixels.shape), count


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


class _Sum:
    """The sum so far, made by the `workers` threads of `pool` while the next batch is read.

    As a context it is left when all additions are done: the database has to stay open for them.

    As long as every sum is exact, whole batches go to the threads in turns, each with a total of its own; from then on
    the order of the additions matters, and each thread adds its part of the pixels of every image.
    """

    def __init__(self, pool: ThreadPoolExecutor, workers: int) -> None:
        self.pixels = _Pixels()
        self._workers, self._pool = workers, pool
        self._totals: list[np.ndarray] = []
        self._pending: list[Future[None]] = []
        self._count, self._exact = 0, True

    def __enter__(self) -> _Sum:
        return self

    def __exit__(self, *_: object) -> None:
        wait(self._pending)
        self._wait(0)

    @property
    def total(self) -> np.ndarray:
        """(C * H * W,) float32, once all additions are done; no value without an image."""
        if not self._totals:
            return np.zeros(0, np.float32)
        return np.asarray(np.sum(self._totals, axis=0, dtype=np.float32))

    def add(self, batch: list[Value]) -> None:
        """Add the images of a batch; UserError if they can't be read or differ in shape from those before."""
        images = self._images(batch)
        self._totals = self._totals or [np.zeros(images[0].size, np.float32) for _ in range(self._workers)]
        self._count += len(images)
        if self._exact and self._count <= EXACT and all(image.dtype == np.uint8 for image in images):
            self._wait(self._workers - 1)
            self._totals.append(self._totals.pop(0))  # the one that has waited longest
            self._pending.append(self._pool.submit(_add, images, self._totals[-1], slice(None)))
        else:
            self._add_in_order(images)

    def _add_in_order(self, images: list[np.ndarray]) -> None:
        self._wait(0)
        self._exact, self._totals = False, [self.total]
        parts = _parts(images[0].size, self._workers)
        self._pending = [self._pool.submit(_add, images, self._totals[0], part) for part in parts]

    def _images(self, batch: list[Value]) -> list[np.ndarray]:
        """Images of a batch in order; threads share the work while no raw Datum was met: pictures take time."""
        if self.pixels.raw.known:
            return self.pixels.all(batch)
        shares = _shares(batch, self._workers) if self.pixels.shape else [batch]
        return [image for part in self._pool.map(self.pixels.all, shares) for image in part]

    def _wait(self, most: int) -> None:
        """Block until at most `most` additions are pending."""
        while len(self._pending) > most:
            self._pending.pop(0).result()


class _Pixels:
    """Flat images of serialised Datums, all of the first one's shape."""

    def __init__(self) -> None:
        self.shape: tuple[int, ...] = ()
        self.raw = RawDatums()

    def all(self, contents: list[Value]) -> list[np.ndarray]:
        """Each (C * H * W,), uint8 or float32; UserError for anything but a Datum, or an image of another shape."""
        look = self.raw.look
        return [found[1] if (found := look(content)) else self._decoded(content) for content in contents]

    def _decoded(self, content: Value) -> np.ndarray:
        datum = parse(content)
        try:
            image = datum_image(datum)
        except ValueError as error:
            raise UserError(f"a Datum {error}; {AGAIN}") from None
        self.shape = self.shape or image.shape
        if image.shape != self.shape:
            raise UserError(f"images of shape {self.shape} and {image.shape}: a mean needs one shape")
        self.raw.learn(datum, image)
        return image.ravel()


def _batches(entries: Iterator[Record]) -> Iterator[list[Record]]:
    while batch := list(islice(entries, BATCH)):
        yield batch


def _shares(batch: list[Value], workers: int) -> list[list[Value]]:
    """The batch in order, in at most `workers` pieces."""
    step = -(-len(batch) // workers)
    return [batch[i : i + step] for i in range(0, len(batch), step)]


def _parts(size: int, workers: int) -> list[slice]:
    """`size` pixels in at most `workers` equal pieces, none of which is small."""
    step = -(-size // max(1, min(workers, size // SMALL)))
    return [slice(i, i + step) for i in range(0, size, step)]


def _add(images: list[np.ndarray], total: np.ndarray, part: slice) -> None:
    """Add a part of the pixels of each image to that of the total, one after the other in float32."""
    for image in images:
        cv2.accumulate(image[part], total[part])
