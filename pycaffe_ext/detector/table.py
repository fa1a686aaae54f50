"""Candidates as a table on disk: a line each."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pycaffe_ext.data.frames import Frame
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import reading, write_csv

KINDS = {"frame": str, "candidate": int, "x": float, "y": float, "w": float, "h": float, "score": float}


def write_candidates(path: str | Path, frames: Sequence[Frame], found: Sequence[np.ndarray]) -> None:
    """Write one line per candidate (frame, candidate from 0 = best, x, y, w, h, score), exact to float32."""
    rows = (
        (frame.name, number, *map(str, row))
        for frame, candidates in zip(frames, found, strict=True)
        for number, row in enumerate(candidates)
    )
    write_csv(path, tuple(KINDS), rows)


def read_candidates(path: str | Path, frames: Sequence[Frame]) -> list[np.ndarray]:
    """Candidates of each of `frames` as `detect` gave them, none for frames without lines.

    Raises UserError, with the line, for a file that is missing or not such a table, a frame that is not among
    `frames`, candidates out of order, or a number that is not finite.
    """
    found: dict[str, list[list[float]]] = {frame.name: [] for frame in frames}
    try:
        with reading(path) as file:
            table = csv.reader(file)
            if next(table, None) != list(KINDS):
                raise UserError(f"{path}: its first line must be {','.join(KINDS)}; remove it and run again")
            for row in table:
                name, box = _parsed(row, found, f"{path}, line {table.line_num}")
                found[name].append(box)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; detect candidates first") from None
    except csv.Error:
        raise UserError(f"{path}: not a table of candidates; remove it and run again") from None
    return [np.array(found[frame.name], np.float32).reshape(-1, 5) for frame in frames]


def _parsed(row: list[str], found: dict[str, list[list[float]]], where: str) -> tuple[str, list[float]]:
    if len(row) != len(KINDS):
        raise UserError(f"{where}: {len(row)} columns, not {len(KINDS)}; remove the file and run again")
    name, number, *rest = row
    if name not in found:
        raise UserError(f"{where}: unknown frame {name!r}; the table belongs to other frames")
    try:
        values = [float(value) for value in rest]
    except ValueError:
        values = [math.nan]
    if number != str(len(found[name])) or not all(map(math.isfinite, values)):
        raise UserError(f"{where}: candidate out of order or not a number; remove the file and run again")
    return name, values
