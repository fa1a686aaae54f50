"""Blobs of a net over its own data into databases of Datums, as Caffe's extract_features writes them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from pycaffe_ext import caffe, glog
from pycaffe_ext.errors import UserError, known
from pycaffe_ext.proto.caffe_pb2 import Datum
from pycaffe_ext.records.database import Records, creating

REPORT = 1000  # features between two lines of the log


def extract(
    weights: str,
    model: str,
    blobs: Sequence[str],
    databases: Sequence[str | Path],
    batches: int,
    backend: str = "lmdb",
    gpu: int | None = None,
) -> int:
    """Run `batches` batches in the TEST phase and write each blob into its new database; returns how many items.

    Keys count the items in ten digits; a Datum holds an item's float_data with channels, height and width.
    gpu : the device to run on, None for the CPU.
    Raises UserError for other numbers of blobs and databases, an unknown blob, one of more than four axes, a database
    that exists, and whatever keeps the net from running; no database is left then.
    """
    if len(blobs) != len(databases):
        raise UserError(f"{len(blobs)} blob names but {len(databases)} dataset names; give each blob its dataset")
    if len(set(databases)) < len(databases):
        raise UserError("two blobs have the same dataset name; give each blob its own")
    if batches < 1:
        raise UserError(f"the number of mini-batches must be at least 1, not {batches}")
    with ExitStack() as stack:
        puts = [stack.enter_context(creating(database, backend)) for database in databases]
        _choose_device(gpu)
        net = caffe.Net(model, caffe.TEST, weights=weights)
        for blob in blobs:
            known(blob, net.blobs, "feature blob name")
        glog.error("extract_features.cpp:133", "Extracting Features")
        counts = [0] * len(blobs)
        for _ in range(batches):
            net.forward()
            for i, (blob, put) in enumerate(zip(blobs, puts, strict=True)):
                records = _records(blob, net.blobs[blob].data, counts[i])
                put(records)
                before, counts[i] = counts[i], counts[i] + len(records)
                if counts[i] // REPORT > before // REPORT:
                    _report(counts[i] // REPORT * REPORT, blob)
        for blob, count in zip(blobs, counts, strict=True):
            _report(count, blob)
    glog.error("extract_features.cpp:181", "Successfully extracted the features!")
    return sum(counts)


def _choose_device(gpu: int | None) -> None:
    if gpu is None:
        glog.error("extract_features.cpp:62", "Using CPU")
        caffe.set_mode_cpu()
        return
    glog.error("extract_features.cpp:50", "Using GPU", f"Using Device_id={gpu}")
    caffe.set_device(gpu)
    caffe.set_mode_gpu()


def _records(blob: str, values: np.ndarray, first: int) -> Records:
    if values.ndim > 4:
        raise UserError(f"blob {blob!r} has shape {values.shape}: a Datum holds items of at most three axes")
    items = values.reshape(values.shape + (1,) * (4 - values.ndim))
    return [(b"%010d" % (first + i), _datum(item).SerializeToString()) for i, item in enumerate(items)]


def _datum(item: np.ndarray) -> Datum:
    channels, height, width = item.shape
    return Datum(channels=channels, height=height, width=width, float_data=item.ravel().tolist())


def _report(count: int, blob: str) -> None:
    glog.error("extract_features.cpp:176", f"Extracted features of {count} query images for feature blob {blob}")
