"""Caffe's databases of Datums, LMDB or LevelDB: written whole or not at all, read in key order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import lmdb

from pycaffe_ext.errors import UserError, known
from pycaffe_ext.files import writing_folder
from pycaffe_ext.records.cursor import open_leveldb
from pycaffe_ext.records.datum import open_database

BACKENDS = ("lmdb", "leveldb")
WINDOW = 128  # the kernel maps up to 2 MB around each entry that is looked at
Record = tuple[bytes | memoryview, bytes | memoryview]
Records = list[tuple[bytes, bytes]]
FIRST_MAP = 1 << 28  # bytes an LMDB may grow to before its map is doubled
LEVELDB = {"block_size": 1 << 16, "write_buffer_size": 1 << 28, "max_open_files": 100}  # as Caffe's db_leveldb.cpp


@contextmanager
def creating(path: str | Path, backend: str = "lmdb") -> Iterator[Callable[[Records], None]]:
    """A new database that appears under `path` when the block ends well; yields what puts (key, value) pairs into it.

    Raises UserError if `path` exists, as Caffe's tools refuse it, a key is too long, or the disk is full.
    """
    known(backend, BACKENDS, "backend")
    path = Path(path)
    if path.exists():
        raise UserError(f"{path}: exists already; remove it or name another database")
    with writing_folder(path) as part, (_new_lmdb if backend == "lmdb" else _new_leveldb)(part, path) as put:
        yield put


@contextmanager
def _new_lmdb(folder: Path, name: Path) -> Iterator[Callable[[Records], None]]:
    try:
        with lmdb.open(os.fsencode(folder), map_size=FIRST_MAP, sync=False) as database:
            yield lambda records: _put(database, records)
            database.sync(True)
    except lmdb.BadValsizeError:
        raise UserError(f"{name}: a key is longer than {database.max_key_size()} bytes; shorten the names") from None
    except lmdb.Error as error:
        raise UserError(f"{name}: can't write the LMDB ({error}); free some space or name another folder") from None


def _put(database: lmdb.Environment, records: Records) -> None:
    """One transaction; the map is doubled until the records fit."""
    while True:
        try:
            with database.begin(write=True) as transaction, transaction.cursor() as cursor:
                cursor.putmulti(records)
                return
        except lmdb.MapFullError:
            database.set_mapsize(2 * database.info()["map_size"])


@contextmanager
def _new_leveldb(folder: Path, name: Path) -> Iterator[Callable[[Records], None]]:
    try:
        import plyvel
    except ImportError:
        raise UserError("-backend leveldb needs the package plyvel: pip install 'pycaffe_ext[leveldb]'") from None

    def put(records: Records) -> None:
        with database.write_batch() as batch:
            for key, value in records:
                batch.put(key, value)

    try:
        with plyvel.DB(os.fsencode(folder), create_if_missing=True, **LEVELDB) as database:
            yield put
    except plyvel.Error as error:
        raise UserError(f"{name}: can't write the LevelDB ({error}); free some space or name another folder") from None


@contextmanager
def window(path: str | Path, backend: str = "lmdb", after: bytes | None = None) -> Iterator[Iterator[Record]]:
    """The next entries (key, value) in key order behind the key `after` (None: from the start), none at the end.

    Those of an LMDB are memoryviews, uncopied: reading them outside the block kills the process. WINDOW entries come
    at most, because every page that is read counts as memory until the file is closed. A LevelDB comes as a whole.
    Raises UserError if the database is missing or damaged.
    """
    if known(backend, BACKENDS, "backend") == "leveldb":
        yield open_leveldb(str(path)).walk() if after is None else iter(())
        return
    with open_database(path, buffers=True) as transaction:
        cursor = transaction.cursor()
        found = cursor.first() if after is None else cursor.set_range(after)
        if found and after is not None and bytes(cursor.key()) == after:
            found = cursor.next()
        yield islice(cursor.iternext(), WINDOW) if found else iter(())
