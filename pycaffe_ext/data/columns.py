"""Columns of CSV tables that a run has written, as arrays."""

from __future__ import annotations

import csv
import sys
from array import array
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.files import reading

STORAGE: dict[type, Callable[[], Any]] = {
    str: list,
    int: lambda: array("q"),
    float: lambda: array("d"),
}  # of a column while its table is read


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
