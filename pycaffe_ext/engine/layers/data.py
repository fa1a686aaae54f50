"""The Data layer: batches of Datums from an LMDB or LevelDB, transformed, read ahead by a thread."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import islice

import numpy as np
import torch

from pycaffe_ext.engine import database, log
from pycaffe_ext.engine.blob import Blob
from pycaffe_ext.engine.layers.base import Layer, register
from pycaffe_ext.engine.prefetch import Prefetcher
from pycaffe_ext.engine.transform import Batch, Transformer
from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import caffe_pb2


@register("Data")
class DataLayer(Layer):
    """Caffe's Data layer over an LMDB or LevelDB: the cursor walks in key order, wraps, never shuffles.

    The first record of each batch gives the batch its shape.  rand_skip is ignored, as Caffe 1.0 does.
    """

    exact_bottoms = 0
    min_tops = 1
    max_tops = 2

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        param = self.param.data_param
        self.check(param.batch_size > 0, "needs data_param.batch_size > 0")
        if param.rand_skip:
            log.warning("data_layer.cpp:45", f"{self.name}: rand_skip is ignored, as Caffe 1.0 ignores it")
        rng = np.random.default_rng(int(torch.randint(2**62, (1,))))  # of its own: the thread draws from it
        try:
            env = database.open_database(param.source, param.backend)
            kind = "leveldb" if param.backend == database.LEVELDB else "lmdb"
            log.info(f"db_{kind}.cpp:{18 if kind == 'leveldb' else 35}", f"Opened {kind} {param.source}")
            transformer = Transformer(self.param.transform_param, self.phase, rng)
            shape = transformer.output_shape(_first_image(env, param.source, transformer).shape)
        except UserError as error:
            self.fail(str(error))
        batches = partial(_batches, env, param.source, param.batch_size, transformer)
        self._transformer = transformer
        self._ahead = Prefetcher(batches, param.prefetch)
        self._shape = (param.batch_size, *shape)
        log.info("data_layer.cpp:45", f"output data size: {','.join(map(str, self._shape))}")

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        top[0].reshape(self._shape)
        if len(top) > 1:
            top[1].reshape(self._shape[:1])

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        try:
            batch = self._ahead.take()
        except UserError as error:
            self.fail(str(error))
        self._shape = batch.pixels.shape
        self.reshape(bottom, top)
        self._transformer.finish(batch, top[0].data)
        if len(top) > 1:
            top[1].data.copy_(torch.from_numpy(batch.labels))

    def close(self) -> None:
        """Stop reading ahead."""
        self._ahead.close()


def _first_image(env: database.Database, source: str, transformer: Transformer) -> np.ndarray:
    key, value = database.first_record(env)
    datum = database.parse_datum(source, key, value)
    return _image(source, key, datum, transformer)


def _image(source: str, key: bytes, datum: caffe_pb2.Datum, transformer: Transformer) -> np.ndarray:
    try:
        return database.datum_image(datum, transformer.color)
    except ValueError as error:
        raise database.bad_record(source, key, str(error)) from error


def _batches(env: database.Database, source: str, size: int, transformer: Transformer) -> Iterator[Batch]:
    records = database.endless_records(env)
    while True:
        yield _assemble(list(islice(records, size)), source, transformer)


def _assemble(records: list[tuple[bytes, bytes]], source: str, transformer: Transformer) -> Batch:
    labels = np.empty(len(records), np.float32)
    places, pixels = [], None
    for i, (key, value) in enumerate(records):
        datum = database.parse_datum(source, key, value)
        image = _image(source, key, datum, transformer)
        if pixels is None:
            stored = image.shape
            pixels = np.empty((len(records), *transformer.output_shape(stored)), image.dtype)
        elif image.shape != stored or image.dtype != pixels.dtype:
            shapes = f"is {image.shape} {image.dtype}, the first of its batch {stored} {pixels.dtype}"
            raise database.bad_record(source, key, shapes + "; all must be alike")
        places.append(transformer.cut(image, pixels[i]))
        labels[i] = datum.label
    return Batch(pixels, labels, places)
