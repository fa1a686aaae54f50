"""What an application hands on: a folder of packed patches, in which every file is Caffe's own or a table."""

from __future__ import annotations

import csv
import sys
from array import array
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pycaffe_ext.data.pack import database_path, index_path
from pycaffe_ext.data.sources import LeftOut
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import read_json, reading, write_json

RECORD = "data.json"
STORAGE = {str: list, int: lambda: array("q"), float: lambda: array("d")}  # of a column while its table is read


@dataclass(frozen=True)
class Packed:
    """A folder with SPLIT_lmdb, patches_SPLIT.csv, mean.binaryproto and data.json, the record below.

    fingerprint : sha256 over the frames and masks.  patches : split -> number of patches.
    facts : counts at each stage, for a reader.  slices : of the test patches; only a single one lies in the folder,
    several are packed by each run, one after the other (see TestSet).  detector : digest of the detector's model.
    damaged : names of the damaged frames that DAMAGED=keep took.
    left_out : of the pictures and videos in the data set's folder; of this run, so it is not in the folder's record.
    """

    folder: Path
    fingerprint: str
    patches: dict[str, int]
    facts: dict[str, Any]
    slices: int = 1
    detector: str = ""
    damaged: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    @property
    def mean_file(self) -> Path:
        return self.folder / "mean.binaryproto"

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits whose patches lie in the folder."""
        return tuple(split for split in self.patches if split != "test" or self.slices == 1)

    def lmdb(self, split: str) -> Path:
        return database_path(self.folder, split)

    def index(self, split: str) -> Path:
        return index_path(self.folder, split)

    def save(self) -> None:
        """Write data.json, the last file of a preparation: where it lies, everything is there."""
        record = asdict(self)
        del record["folder"], record["left_out"]
        write_json(self.folder / RECORD, record)


@dataclass(frozen=True)
class TestSet:
    """The test patches, in slices small enough for any disk.

    names : (frame, rank) of each candidate.   slices : how many there are.   pack : (number, folder) writes that slice
    as test_lmdb and patches_test.csv into the folder and checks it; nothing is written where it lies there for good.
    """

    names: tuple[tuple[str, int], ...]
    slices: int
    pack: Callable[[int, Path], None]


def load(folder: Path) -> Packed | None:
    """The record of a finished preparation; None if there is none."""
    if not (folder / RECORD).exists():
        return None
    try:
        found = Packed(folder=folder, **read_json(folder / RECORD))
        return replace(found, damaged=tuple(found.damaged))
    except (ValueError, TypeError):
        raise UserError(f"{folder / RECORD} is no record of packed data; remove {folder} and run again") from None


def read_columns(table: Path, kinds: dict[str, type]) -> dict[str, np.ndarray]:
    """Columns of a CSV file as arrays of the given types; UserError if it is missing or not such a table."""
    try:
        with reading(table) as file:
            return _columns(csv.reader(file), kinds)
    except FileNotFoundError:
        raise UserError(f"{table} is missing; remove {table.parent} and run again") from None
    except (IndexError, ValueError, csv.Error):
        raise UserError(f"{table} needs the columns {', '.join(kinds)}; remove {table.parent} and run again") from None


def _columns(rows: Iterable[list[str]], kinds: dict[str, type]) -> dict[str, np.ndarray]:
    """No row is kept, and a text that comes again, such as a frame's name, is kept once."""
    rows = iter(rows)
    header = next(rows, [])
    columns = {name: STORAGE[kind]() for name, kind in kinds.items()}
    fill = [(header.index(name), kinds[name], column.append) for name, column in columns.items()]
    for row in rows:
        for place, kind, append in fill:
            append(sys.intern(row[place]) if kind is str else kind(row[place]))
    return {name: np.array(column, kinds[name]) for name, column in columns.items()}
