"""auc.csv: what each scored snapshot came to."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from tqdm import tqdm

from pycaffe_ext.errors import UserError
from pycaffe_ext.files import write_csv


@dataclass(frozen=True)
class Row:
    """One line of auc.csv.  `train_loss` is the mean of what Caffe displayed since the snapshot before, None if
    it displayed nothing; `validation_loss` is what SoftmaxWithLoss gives on the scored patches."""

    iteration: int
    epoch: float
    train_loss: float | None
    validation_loss: float
    auc: float


HEADER = [field.name for field in fields(Row)]


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write auc.csv; numbers are written so that they read back the same."""
    cells = (["" if value is None else repr(value) for value in astuple(row)] for row in rows)
    write_csv(path, HEADER, cells)


def read_rows(path: Path) -> list[Row]:
    """Rows of an auc.csv, none if there is no file; UserError if it is not one."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        header, *lines = list(csv.reader(file)) or [[]]
    try:
        if header != HEADER:
            raise ValueError(header)
        return [Row(int(a), float(b), float(c) if c else None, float(d), float(e)) for a, b, c, d, e in lines]
    except ValueError as error:
        raise UserError(f"{path} is not a table of snapshots ({','.join(HEADER)}); delete it") from error


def print_row(row: Row, best: bool) -> None:
    """The live line of a snapshot; * marks the best so far."""
    loss = "     -" if row.train_loss is None else f"{row.train_loss:.4f}"
    tqdm.write(
        f"iteration {row.iteration:6d}  epoch {row.epoch:6.2f}  train loss {loss}"
        f"  validation loss {row.validation_loss:.4f}  AUC {row.auc:.4f}{' *' if best else ''}"
    )
    sys.stdout.flush()
