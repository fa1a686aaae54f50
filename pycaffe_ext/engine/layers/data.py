"""The Data layer: batches of Datums from an LMDB or LevelDB, transformed, read ahead by a thread."""

from __future__ import annotations

from functools import partial

import torch

from pycaffe_ext import glog
from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.core.random import own_generator
from pycaffe_ext.engine.io.prefetch import Prefetcher
from pycaffe_ext.engine.io.reading import Reader
from pycaffe_ext.engine.io.transform import Transformer
from pycaffe_ext.engine.layers.base import register
from pycaffe_ext.engine.layers.reading_ahead import ReadingAhead
from pycaffe_ext.errors import UserError
from pycaffe_ext.records import cursor
from pycaffe_ext.strings import native

IN_USE = 2  # batches that exist beside those that wait: the net's own and the one that is being read


@register("Data")
class DataLayer(ReadingAhead):
    """Caffe's Data layer over an LMDB or LevelDB: the cursor walks in key order, wraps, never shuffles.

    The first record of each batch gives the batch its shape.  rand_skip is ignored, as Caffe 1.0 does.  As in Caffe,
    data_param.prefetch is the number of batches in memory; tops are bound to them, nothing is copied.

    records : how many there are, None if unknown;  position : the record that comes next
    repeats : whether each record gives the same values every time it is read
    """

    exact_bottoms = 0
    min_tops = 1
    max_tops = 2

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        param = self.param.data_param
        self.check(param.batch_size > 0, "needs data_param.batch_size > 0")
        if param.rand_skip:
            glog.warning("data_layer.cpp:45", f"{self.name}: rand_skip is ignored, as Caffe 1.0 ignores it")
        try:
            stored, shape = self._open()
        except UserError as error:
            self.fail(str(error))
        self.records = cursor.count_records(self._store)
        self.position = 0
        self.repeats = not self._transformer.is_random(stored)
        self._passed = 0
        self._shape = (param.batch_size, *shape)
        glog.info("data_layer.cpp:45", f"output data size: {','.join(map(str, self._shape))}")

    def _open(self) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """Open the database and prepare to read it; shapes of an image as stored and as it comes out."""
        param = self.param.data_param
        rng = own_generator()
        self._store = cursor.open_database(native(param.source), param.backend)
        kind = "leveldb" if param.backend == cursor.LEVELDB else "lmdb"
        glog.info(f"db_{kind}.cpp:{18 if kind == 'leveldb' else 35}", f"Opened {kind} {param.source}")
        self._transformer = Transformer(self.param.transform_param, self.phase, rng)
        self._reader = Reader(
            self._store, param.source, param.batch_size, self._transformer, self.device, torch.get_num_threads()
        )
        stored = self._reader.stored_shape()
        return stored, self._transformer.output_shape(stored)

    @property
    def state(self) -> tuple[object, ...]:
        """What changes when the records may have changed."""
        return self.param.data_param.source, *cursor.state_of(self._store)

    @property
    def database(self) -> cursor.Database:
        """What is read, open."""
        return self._store

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        top[0].reshape(self._shape)
        if len(top) > 1:
            top[1].reshape(self._shape[:1])

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        if self._ahead is None:
            ahead = self.param.data_param.prefetch - IN_USE
            self._ahead = Prefetcher(partial(self._reader.batches, self.position), ahead)
        batch = self._take()
        n, c, h, w = batch.pixels.shape
        self._shape = n, c, h, w
        for blob, values in zip(top, (batch.pixels, batch.labels), strict=False):
            blob.data = values
        self._advance()

    def skip(self) -> None:
        """Skip a batch; reading ahead stops until the next batch is needed."""
        self.close()
        self._advance()

    def _advance(self) -> None:
        if self.records is None:
            return
        before, self._passed = self._passed, self._passed + self.param.data_param.batch_size
        self.position = self._passed % self.records
        for _ in range(before // self.records, self._passed // self.records):
            cursor.log_restart()
