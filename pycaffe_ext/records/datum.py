"""Caffe's Datum, and the LMDB that holds them in Caffe's layout."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import lmdb
import numpy as np
from google.protobuf.message import DecodeError

from pycaffe_ext.errors import UserError, known
from pycaffe_ext.pictures import opencv
from pycaffe_ext.proto.caffe_pb2 import Datum
from pycaffe_ext.records import ENCODINGS, Value

QUALITY = 95
AGAIN = "remove the database and make it again"
REPACK = "remove its folder to have the patches packed again"


def to_bytes(patch: np.ndarray, label: int, encoding: str = "raw", quality: int = QUALITY) -> bytes:
    """A serialised Datum of a (C, H, W) uint8 patch (BGR where C is 3).

    raw keeps the pixels, png is lossless and smaller, jpg (quality 1..100) is lossy. An encoded Datum has no
    channels, height and width of its own; Caffe reads them from the picture.
    """
    if known(encoding, ENCODINGS, "encoding") == "raw":
        channels, height, width = patch.shape
        datum = Datum(channels=channels, height=height, width=width, data=patch.tobytes(), label=int(label))
        return datum.SerializeToString()
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if encoding == "jpg" else []
    picture = cv2.imencode(f".{encoding}", np.ascontiguousarray(patch.transpose(1, 2, 0)), options)[1]
    return Datum(data=picture.tobytes(), label=int(label), encoded=True).SerializeToString()


def from_bytes(content: Value) -> tuple[np.ndarray, int]:
    """((C, H, W) uint8 patch, label) of a serialised Datum, encoded or not; float_data is not for patches.

    Raises UserError if the bytes are not a Datum, or its pixels can't be decoded or do not fill its shape.
    """
    datum = parse(content)
    if datum.encoded:
        image = opencv.decode(datum.data, cv2.IMREAD_COLOR)
        if image is None:
            raise UserError(f"a Datum's encoded picture can't be decoded; {AGAIN}")
        return np.ascontiguousarray(image.transpose(2, 0, 1)), datum.label
    shape = (datum.channels, datum.height, datum.width)
    if not datum.data or len(datum.data) != np.prod(shape):
        raise UserError(f"a Datum of shape {shape} holds {len(datum.data)} bytes; {AGAIN}")
    return np.frombuffer(datum.data, np.uint8).reshape(shape), datum.label


def parse(content: Value) -> Datum:
    """The Datum in `content`; raises UserError if it is not one."""
    try:
        return Datum.FromString(content)  # type: ignore[arg-type]  # its stubs know no views, protobuf does
    except DecodeError:
        raise UserError(f"a value of the database is not a Datum; {AGAIN}") from None


@contextmanager
def open_database(folder: str | Path, buffers: bool = False) -> Iterator[lmdb.Transaction]:
    """A read-only transaction on the LMDB in `folder`; with `buffers` it gives memoryviews, valid within the block.

    Raises UserError if it is missing, cut off (reading beyond the end of a mapped file would kill the process),
    or no LMDB, and names the folder in whatever UserError comes up while it is read.
    """
    folder = Path(folder)
    file = folder / "data.mdb"
    if not file.is_file():
        raise UserError(f"{folder}: no LMDB in it (data.mdb is missing); pack the patches first")
    try:
        with lmdb.open(os.fsencode(folder), readonly=True, lock=False, create=False, readahead=True) as database:
            pages = database.info()["last_pgno"] + 1
            needed = pages * database.stat()["psize"]
            if file.stat().st_size < needed:
                raise UserError(f"cut off at {file.stat().st_size} of {needed} bytes; {REPACK}")
            with database.begin(buffers=True) if buffers else database.begin() as transaction:
                yield transaction
    except lmdb.Error as error:
        raise UserError(f"{folder}: not a readable LMDB ({error}); {REPACK}") from None
    except UserError as error:
        raise UserError(f"{folder}: {error}") from None


def read(folder: str | Path) -> Iterator[tuple[str, np.ndarray, int]]:
    """(key, (C, H, W) uint8 patch, label) of every entry in key order; raises UserError as open_database does."""
    with open_database(folder) as transaction:
        for key, content in transaction.cursor():
            patch, label = from_bytes(content)
            yield os.fsdecode(bytes(key)), patch, label
