"""What an application hands on: a folder of packed patches, in which every file is Caffe's own or a table."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pycaffe_ext.data.pack import database_path, index_path
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import read_json, write_json

RECORD = "data.json"


@dataclass(frozen=True)
class Packed:
    """A folder with SPLIT_lmdb, patches_SPLIT.csv, mean.binaryproto and data.json, the record below.

    fingerprint : sha256 over the frames and masks.  patches : split -> number of patches.
    facts : counts at each stage, for a reader.
    """

    folder: Path
    fingerprint: str
    patches: dict[str, int]
    facts: dict[str, Any]

    @property
    def mean_file(self) -> Path:
        return self.folder / "mean.binaryproto"

    def lmdb(self, split: str) -> Path:
        return database_path(self.folder, split)

    def index(self, split: str) -> Path:
        return index_path(self.folder, split)

    def save(self) -> None:
        """Write data.json, the last file of a preparation: where it lies, everything is there."""
        record = asdict(self)
        del record["folder"]
        write_json(self.folder / RECORD, record)


def load(folder: Path) -> Packed | None:
    """The record of a finished preparation; None if there is none."""
    if not (folder / RECORD).exists():
        return None
    try:
        return Packed(folder=folder, **read_json(folder / RECORD))
    except (ValueError, TypeError):
        raise UserError(f"{folder / RECORD} is no record of packed data; remove {folder} and run again") from None


def read_columns(table: Path, kinds: dict[str, type]) -> dict[str, np.ndarray]:
    """Columns of a CSV file as arrays of the given types; UserError if it is missing or not such a table."""
    try:
        with table.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return {name: np.array([kind(row[name]) for row in rows], dtype=kind) for name, kind in kinds.items()}
    except FileNotFoundError:
        raise UserError(f"{table} is missing; remove {table.parent} and run again") from None
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{table} needs the columns {', '.join(kinds)}; remove {table.parent} and run again") from None
