"""Reading databases of Datums: opened once in a process, checked before use, walked in key order for ever."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from weakref import WeakValueDictionary

import cv2
import lmdb
import numpy as np
from google.protobuf.message import DecodeError

from pycaffe_ext import glog
from pycaffe_ext.errors import UserError
from pycaffe_ext.pictures import opencv
from pycaffe_ext.proto import caffe_pb2
from pycaffe_ext.records import Value
from pycaffe_ext.records.datum import AGAIN

LEVELDB = caffe_pb2.DataParameter.LEVELDB


class LevelDB:
    """A LevelDB in folder `path`, open for as long as this object lives; no other process can open it meanwhile."""

    def __init__(self, source: str, path: str) -> None:
        import plyvel

        self._error, self._source = plyvel.Error, source
        with self._explained():
            self._db = plyvel.DB(os.fsencode(path), create_if_missing=False)

    def walk(self) -> Iterator[tuple[bytes, bytes]]:
        """Every (key, value) in key order, once."""
        with self._explained():
            yield from self._db.iterator(verify_checksums=True)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except self._error as error:
            reason = error.args[0].decode(errors="replace") if error.args else "no reason given"
            raise UserError(
                f"{self._source}: cannot be read as a LevelDB ({reason}); close whatever else uses it, or pack it again"
            ) from error


Database = lmdb.Environment | LevelDB
_leveldbs: WeakValueDictionary[str, LevelDB] = WeakValueDictionary()
_lmdbs: WeakValueDictionary[str, lmdb.Environment] = WeakValueDictionary()


def open_database(source: str, backend: int) -> Database:
    """The database in folder `source`, of `backend` DataParameter.LMDB or LEVELDB; shared within the process.

    Raises UserError when it is missing, empty, cut short or of another kind, or when its reader is not installed.
    """
    return open_leveldb(source) if backend == LEVELDB else open_lmdb(source)


def open_leveldb(source: str) -> LevelDB:
    """The LevelDB in folder `source`; shared within the process.  Raises UserError as `open_database` says."""
    path = os.path.realpath(source)
    store = _leveldbs.get(path)
    if store is None:
        store = _leveldbs[path] = _open_leveldb(source, path)
    return store


def _open_leveldb(source: str, path: str) -> LevelDB:
    if not os.path.isfile(os.path.join(path, "CURRENT")):
        other = os.path.isfile(os.path.join(path, "data.mdb"))
        remedy = "it holds an LMDB: add backend: LMDB" if other else "check data_param.source and backend"
        raise UserError(f"{source}: no LevelDB there (no CURRENT in that folder); {remedy}")
    try:
        store = LevelDB(source, path)
    except ImportError as error:
        raise UserError(
            f"{source}: reading a LevelDB needs plyvel; pip install 'pycaffe_ext[leveldb]', or convert it to LMDB"
        ) from error
    if next(_walk(store), None) is None:
        raise UserError(f"{source}: LevelDB is empty; pack at least one image")
    return store


def open_lmdb(source: str) -> lmdb.Environment:
    """The LMDB environment in folder `source`, read-only and without locks; shared within the process.

    Raises UserError when it is missing, not an LMDB, empty or shorter than its own bookkeeping says.
    """
    path = os.path.realpath(source)
    env = _lmdbs.get(path)
    if env is None:
        env = _lmdbs[path] = _open_checked(source, path)
    return env


def _open_checked(source: str, path: str) -> lmdb.Environment:
    file = os.path.join(path, "data.mdb")
    if not os.path.isfile(file):
        raise UserError(f"{source}: no LMDB there (no data.mdb in that folder); check data_param.source, or pack it")
    try:
        env = lmdb.open(os.fsencode(path), readonly=True, lock=False, readahead=True, create=False)
    except lmdb.Error as error:
        raise UserError(f"{source}: cannot be read as an LMDB ({error}); pack it again") from error
    stat, used = env.stat(), env.info()["last_pgno"] + 1
    size, needed = os.path.getsize(file), used * stat["psize"]
    if size < needed:  # reading beyond a memory map's file would kill the process
        raise UserError(f"{source}: LMDB is truncated ({size} of {needed} bytes); copy or pack it again")
    if not stat["entries"]:
        raise UserError(f"{source}: LMDB is empty; pack at least one image")
    return env


def first_record(database: Database) -> tuple[bytes, bytes]:
    """Key and value that come first."""
    return next(_walk(database))


def count_records(database: Database) -> int | None:
    """How many records there are; None for a LevelDB, which would have to be read as a whole to tell."""
    return None if isinstance(database, LevelDB) else database.stat()["entries"]


def state_of(database: Database) -> tuple[object, ...]:
    """What changes when the content of the database may have changed."""
    return () if isinstance(database, LevelDB) else (database.info()["last_txnid"],)


def log_restart() -> None:
    """Log as Caffe's Data layer does when it goes back to the first record."""
    glog.info("data_layer.cpp:73", "Restarting data prefetching from start.")


def endless_records(database: Database, start: int = 0) -> Iterator[tuple[Value, Value]]:
    """Every (key, value) in key order, again and again, from record `start` (LMDB only, where a value is a view).

    The views hold as long as the iterator.  A LevelDB, whose records cannot be counted, logs its restarts itself.
    """
    if isinstance(database, LevelDB):
        while True:
            yield from database.walk()
            log_restart()
    with database.begin(buffers=True) as transaction, transaction.cursor() as cursor:
        while cursor.first():
            yield from islice(cursor.iternext(keys=True, values=True), start, None)
            start = 0


def _walk(database: Database) -> Iterator[tuple[bytes, bytes]]:
    if isinstance(database, LevelDB):
        yield from database.walk()
        return
    with database.begin() as transaction, transaction.cursor() as cursor:
        yield from cursor.iternext(keys=True, values=True) if cursor.first() else ()


def parse_datum(source: str, key: Value, value: Value) -> caffe_pb2.Datum:
    """A Datum from its bytes; UserError names source and key."""
    try:
        return caffe_pb2.Datum.FromString(value)  # type: ignore[arg-type]  # its stubs know no views, protobuf does
    except DecodeError as error:
        raise bad_record(source, key, "is not a Datum") from error


def bad_record(source: str, key: Value, what: str) -> UserError:
    """The error for one record of a database."""
    return UserError(f"{source}: record {os.fsdecode(bytes(key))} {what}; {AGAIN}")


def datum_image(datum: caffe_pb2.Datum, color: bool | None = None) -> np.ndarray:
    """The image of a Datum: (C, H, W) uint8, or float32 where it holds float_data; BGR where it has colours.

    color : for encoded Datums only: True decodes to BGR, False to grey, None keeps what is stored.
    Raises ValueError, without naming the record, when the content contradicts the Datum's own fields.
    """
    if datum.encoded:
        return _decoded(datum.data, color)
    shape = (datum.channels, datum.height, datum.width)
    content = datum.data  # a copy each time it is read
    if content or not datum.float_data:
        pixels = np.frombuffer(content, np.uint8)
    else:
        pixels = np.array(datum.float_data, np.float32)
    if pixels.size != np.prod(shape) or not pixels.size:
        raise ValueError(f"holds {pixels.size} values, its shape {shape} needs {np.prod(shape)}")
    return pixels.reshape(shape)


def _decoded(content: bytes, color: bool | None) -> np.ndarray:
    flag = {None: cv2.IMREAD_UNCHANGED, True: cv2.IMREAD_COLOR, False: cv2.IMREAD_GRAYSCALE}[color]
    image = opencv.decode(content, flag)
    if image is None:
        raise ValueError("cannot be decoded as an image")
    if image.dtype != np.uint8:
        raise ValueError(f"is an image of {image.dtype}; only 8 bits a channel are supported")
    return np.atleast_3d(image).transpose(2, 0, 1)
