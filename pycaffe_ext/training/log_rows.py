"""Tables of what a log says, as Caffe's tools/extra/parse_log.py makes them; rows with nan are kept."""

from __future__ import annotations

import csv
import math
import os
import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from pycaffe_ext.errors import UserError
from pycaffe_ext.files import writing
from pycaffe_ext.training.log import RATE, TEST_OUTPUT, TESTING, TRAINING, number

STAMP = re.compile(r"^[IWEF](\d\d)(\d\d) (\d\d):(\d\d):(\d\d)\.(\d+) ")
TRAIN_OUTPUT = re.compile(r"\] +Train net output #\d+: (\S+) = (\S+)")
COLUMNS = ("NumIters", "Seconds", "LearningRate")

Row = dict[str, float]


def tables(path: str | Path, folder: str | Path, delimiter: str = ",") -> tuple[Path, Path]:
    """Write FOLDER/LOG.train and FOLDER/LOG.test, CSV with a header; returns both paths.

    Columns: NumIters, Seconds since solving began, LearningRate (the last one logged before the row; the first known
    one where none was), then a column for each output.  Raises UserError if the log is missing or holds no outputs.
    """
    if len(delimiter) != 1:
        raise UserError(f"the delimiter must be one character, not {delimiter!r}")
    path = Path(path)
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            rows = read_rows(file, datetime.fromtimestamp(os.path.getmtime(path)).year)
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"{path}: no such log file; check the path") from None
    if not any(rows):
        raise UserError(f"{path}: no net output in it; a log of `caffe train` was expected")
    targets = tuple(Path(folder) / f"{path.name}.{kind}" for kind in ("train", "test"))
    for target, table in zip(targets, rows, strict=True):
        _write(target, table, delimiter)
    return targets


def read_rows(lines: Iterable[str], year: int) -> tuple[list[Row], list[Row]]:
    """Rows of the training net and of the test nets, one for each time that outputs were logged.

    `year` is that of the log's end: glog leaves it out.  An output that a net has several values of keeps the last.
    """
    train: list[Row] = []
    test: list[Row] = []
    row, rate, clock = None, math.nan, _Clock(year)
    for line in lines:
        clock.see(line)
        if found := RATE.search(line):
            rate = number(found[2])
        elif found := TRAINING.search(line) or TESTING.search(line):
            row = {"NumIters": float(found[1])}
        elif found := TRAIN_OUTPUT.search(line) or TEST_OUTPUT.search(line):
            value = number(found[2])
            if row is None or value is None:
                continue
            if len(row) == 1:
                row |= {"Seconds": clock.seconds(), "LearningRate": math.nan if rate is None else rate}
                (train if "Train net" in line else test).append(row)
            row[found[1]] = value
    for table in train, test:
        _fill_first_rates(table)
    return train, test


class _Clock:
    """Seconds between the line that says "Solving" (else the first with a time) and the last one seen."""

    def __init__(self, year: int) -> None:
        self.year, self.start, self.now, self.solving = year, None, None, False

    def see(self, line: str) -> None:
        if found := STAMP.match(line):
            month, day, hour, minute, second = map(int, found.groups()[:5])
            self.now = month, day, hour, minute, second, int(found[6].ljust(6, "0")[:6])
            begins = not self.solving and "] Solving" in line
            if self.start is None or begins:
                self.start, self.solving = self.now, self.solving or begins

    def seconds(self) -> float:
        if self.now is None:
            return math.nan
        begun = self.year - (self.now[0] < self.start[0])  # a log that runs into January
        return (datetime(self.year, *self.now) - datetime(begun, *self.start)).total_seconds()


def _fill_first_rates(table: list[Row]) -> None:
    """Caffe logs the rate behind the outputs: the first rows take the first one that is known."""
    known = [row["LearningRate"] for row in table if not math.isnan(row["LearningRate"])]
    for row in table:
        if math.isnan(row["LearningRate"]) and known:
            row["LearningRate"] = known[0]
        else:
            break


def _write(path: Path, rows: list[Row], delimiter: str) -> None:
    columns = list(dict.fromkeys([*COLUMNS, *(name for row in rows for name in row)]))
    with writing(path) as file:
        table = csv.DictWriter(file, columns, delimiter=delimiter)
        table.writeheader()
        table.writerows(rows)
