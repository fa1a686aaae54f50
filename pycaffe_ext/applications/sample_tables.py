"""items.csv and samples.csv of a folder of found data: written once, read by every later run and report."""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pycaffe_ext.data.items import Samples
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import reading, write_csv

ITEMS, SAMPLES = "items.csv", "samples.csv"
TAIL = ("label", "target", "score")


@dataclass(frozen=True)
class ItemRow:
    """A line of items.csv: what is left of an item without its files."""

    name: str
    group: str
    source: str


def write(
    folder: Path,
    items: Sequence[Any],
    split: np.ndarray,
    samples: Samples,
    columns: Sequence[str],
    measures: Sequence[str] = (),
) -> None:
    """Write items.csv and, last, samples.csv; numbers are exact to float32 (places) and float64 (scores, measures).

    columns : what an item, a sample and the numbers of a place are called.   measures : what those of the samples are.
    """
    rows = zip(items, split, samples.targets.tolist(), strict=True)
    lines = ((item.name, item.group, item.source, part, targets) for item, part, targets in rows)
    write_csv(folder / ITEMS, (columns[0], "group", "source", "split", "targets"), lines)
    write_csv(folder / SAMPLES, (*columns, *measures, *TAIL), _lines(items, samples))


def _lines(items: Sequence[Any], samples: Samples) -> Iterator[tuple[Any, ...]]:
    score = [""] * len(samples) if samples.score is None else map(repr, np.asarray(samples.score, np.float64).tolist())
    measures = np.empty((len(samples), 0)) if samples.measures is None else np.asarray(samples.measures, np.float64)
    columns = (samples.item.tolist(), samples.number.tolist(), samples.place, samples.label.tolist())
    rows = zip(*columns, samples.target.tolist(), score, map(np.ndarray.tolist, measures), strict=True)
    for item, number, place, label, target, own, measured in rows:
        yield items[item].name, number, *map(str, place), *map(repr, measured), label, target, own


def read(
    folder: Path, items: Sequence[Any], split: np.ndarray, columns: Sequence[str], measures: Sequence[str] = ()
) -> Samples:
    """The samples as `write` got them; UserError if they are of other items or splits, or not such tables."""
    rows, parts, targets = read_items(folder)
    known = [(item.name, part) for item, part in zip(items, split.tolist(), strict=True)]
    if [(row.name, part) for row, part in zip(rows, parts.tolist(), strict=True)] != known:
        raise UserError(
            f"{folder}: splits.csv, {ITEMS} and {SAMPLES} do not belong together; remove the folder and run again"
        )
    return read_samples(folder, {item.name: i for i, item in enumerate(items)}, targets, columns, measures)


def read_items(folder: Path) -> tuple[list[ItemRow], np.ndarray, np.ndarray]:
    """Rows of items.csv, the split of each (str) and its number of targets (int64)."""
    with _Table(folder / ITEMS) as table:
        rows = [(ItemRow(*row[:3]), row[3], int(row[4])) for row in table]
    return (
        [row for row, _, _ in rows],
        np.array([part for _, part, _ in rows]),
        np.array([count for *_, count in rows], np.int64),
    )


def read_samples(
    folder: Path, place: dict[str, int], targets: np.ndarray, names: Sequence[str], measures: Sequence[str] = ()
) -> Samples:
    """samples.csv, row by row into columns; place : item's name -> number.  Memory: some 60 bytes a sample."""
    ints, floats, scores, measured = array("q"), array("f"), array("d"), array("d")
    end = -len(TAIL) - len(measures)
    with _Table(folder / SAMPLES) as table:
        if table.header != [*names, *measures, *TAIL]:
            raise ValueError("header")
        for row in table:
            ints.extend((place[row[0]], int(row[1]), int(row[-3]), int(row[-2])))
            floats.extend(map(float, row[2:end]))
            measured.extend(map(float, row[end : -len(TAIL)]))
            if row[-1]:
                scores.append(float(row[-1]))
        columns = np.array(ints, np.int64).reshape(-1, 4)
        boxes = np.array(floats, np.float32).reshape(len(columns), -1)
        if len(scores) not in (0, len(columns)) or not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
            raise ValueError("numbers")
        _check_order(columns)
    score = np.array(scores, np.float64) if len(scores) else None
    label, target = columns[:, 2].astype(np.int32), columns[:, 3]
    known = np.array(measured, np.float64).reshape(len(columns), -1) if measures else None
    return Samples(columns[:, 0], columns[:, 1], boxes, label, target, targets, score, known)


def _check_order(columns: np.ndarray) -> None:
    """Items in order, and each one's samples counted from 0."""
    item, number = columns[:, 0], columns[:, 1]
    first = np.r_[True, item[1:] != item[:-1]][: len(item)]
    expected = np.arange(len(item)) - np.maximum.accumulate(np.where(first, np.arange(len(item)), 0))
    if (np.diff(item) < 0).any() or not np.array_equal(number, expected):
        raise ValueError("order")


class _Table:
    """The lines of a CSV file after its header; whatever is wrong with them becomes a UserError."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> _Table:
        try:
            self._file = reading(self.path)
        except FileNotFoundError:
            raise UserError(f"{self.path} is missing; remove {self.path.parent} and run again") from None
        self._rows = csv.reader(self._file)
        self.header = next(self._rows, [])
        return self

    def __iter__(self) -> Iterator[list[str]]:
        return self._rows

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._file.close()
        if isinstance(error, (ValueError, TypeError, KeyError, IndexError, csv.Error)):
            raise UserError(f"{self.path} is no such table any more; remove {self.path.parent} and run again") from None
