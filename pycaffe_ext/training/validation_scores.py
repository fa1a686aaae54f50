"""validation.csv: what the best snapshot says of the patches that early stopping goes by."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from pycaffe_ext.files import write_csv

FILE = "validation.csv"
BEFORE = ("iteration", "label")  # columns before those of the probabilities


def write(folder: Path, iteration: int, probability: np.ndarray, label: np.ndarray) -> None:
    """A line a patch, in their order; numbers are written so that they read back the same.

    iteration : of the snapshot.   probability : (n, classes).   label : (n,).
    """
    header = (*BEFORE, *(f"probability_{i}" for i in range(probability.shape[1])))
    rows = ((iteration, one, *map(repr, own)) for one, own in zip(label.tolist(), probability.tolist(), strict=True))
    write_csv(folder / FILE, header, rows)


def read(folder: Path, iteration: int) -> tuple[np.ndarray, np.ndarray] | None:
    """(n, classes) float64 probabilities and (n,) labels; None where the file is missing, of another snapshot, or not
    such a table."""
    try:
        with (folder / FILE).open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        table = np.array(rows, np.float64)
    except (FileNotFoundError, ValueError):
        return None
    if tuple(header[:2]) != BEFORE or table.ndim != 2 or (table[:, 0] != iteration).any():
        return None
    return table[:, 2:], table[:, 1].astype(np.int64)
