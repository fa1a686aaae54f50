"""Batches of a database's records: parsed, decoded, transformed on several threads, into memory that is used again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice

import numpy as np
import torch

from pycaffe_ext.engine.io.transform import Transformer
from pycaffe_ext.engine.lanes import Lane
from pycaffe_ext.records import cursor
from pycaffe_ext.records.raw_datums import RawDatums

Record = tuple[bytes | memoryview, bytes | memoryview]


@dataclass
class Batch:
    """pixels : (N, C, H, W) float32, transformed;  labels : (N,) float32; both on the reader's device"""

    pixels: torch.Tensor
    labels: torch.Tensor

    def on(self, lane: Lane) -> Batch:
        """The same batch on the lane's device; call it within the lane's `carry`."""
        return Batch(lane.bring(self.pixels), lane.bring(self.labels))


class Reader:
    """Reads batches of `size` records from an open database called `source` in messages.

    workers : threads at most.  On a CPU each thread transforms its images; for a GPU they put the stored images into
    pinned memory, and crop, mirror, mean and scale run there on a stream of their own beside the net's.
    """

    def __init__(
        self,
        store: cursor.Database,
        source: str,
        size: int,
        transformer: Transformer,
        device: torch.device,
        workers: int,
    ) -> None:
        self._store, self._source, self._size = store, source, size
        self._transformer, self._device, self._workers = transformer, device, workers
        self._raw = RawDatums()
        self._lane = Lane(device)

    def stored_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the first record's image."""
        return self._image(cursor.first_record(self._store))[1].shape

    def batches(self, start: int) -> Iterator[Batch]:
        """Batch after batch for ever, the first from record `start`; UserError for a record that does not fit."""
        records = cursor.endless_records(self._store, start)
        make = self.transformed if self._device.type == "cpu" else self.transformed_at_once
        while True:
            batch = list(islice(records, self._size))
            yield self._lane.carry(partial(make, batch))

    def transformed(self, records: list[Record]) -> Batch:
        """A batch, each image transformed by the thread that parsed it."""
        stored = self._image(records[0])[1]
        places = self._transformer.draw(len(records), stored.shape)
        pixels = self._lane.arrays.lend((len(records), *self._transformer.output_shape(stored.shape)), np.float32)

        def use(i: int, image: np.ndarray) -> None:
            self._transformer.apply(image, places[i], pixels[i])

        return Batch(torch.from_numpy(pixels), torch.from_numpy(self._read(records, stored, use)))

    def transformed_at_once(self, records: list[Record]) -> Batch:
        """The same batch: the threads gather the stored images, and the device transforms all of them together."""
        stored = self._image(records[0])[1]
        places = self._transformer.draw(len(records), stored.shape)
        images = self._lane.arrays.lend((len(records), *stored.shape), stored.dtype)

        def use(i: int, image: np.ndarray) -> None:
            np.copyto(images[i], image)

        labels = torch.from_numpy(self._read(records, stored, use))
        pixels = self._transformer.apply_to_batch(self._lane.bring(torch.from_numpy(images)), places)
        return Batch(pixels, self._lane.bring(labels))

    def _read(self, records: list[Record], like: np.ndarray, use: Callable[[int, np.ndarray], None]) -> np.ndarray:
        """Hand each record's number and image to `use`, on several threads; returns the labels, (N,) float32."""
        labels = np.empty(len(records), np.float32)

        def read(share: range) -> None:
            for i in share:
                labels[i], image = self._image(records[i])
                if image.shape != like.shape or image.dtype != like.dtype:
                    shapes = f"is {image.shape} {image.dtype}, the first of its batch {like.shape} {like.dtype}"
                    raise cursor.bad_record(self._source, records[i][0], shapes + "; all must be alike")
                use(i, image)

        workers = min(self._workers, len(records))
        shares = [range(i, len(records), workers) for i in range(workers)]
        list(_pool(workers).map(read, shares)) if workers > 1 else read(shares[0])
        return labels

    def _image(self, record: Record) -> tuple[int, np.ndarray]:
        """(label, stored image (C, H, W)) of a record."""
        key, value = record
        found = self._raw.look(value)
        if found is not None:
            return found[0], found[1].reshape(self._raw.shape)
        datum = cursor.parse_datum(self._source, key, value)
        try:
            image = cursor.datum_image(datum, self._transformer.color)
            self._raw.learn(datum, image)
            return datum.label, image
        except ValueError as error:
            raise cursor.bad_record(self._source, key, str(error)) from error


@cache
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, "reading")
