"""Tables of what a log says, as Caffe's tools/extra/parse_log.py makes them; rows with nan are kept."""

from __future__ import annotations

import csv
import math
import os
import re
import sys
from calendar import isleap
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from pycaffe_ext.errors import UserError
from pycaffe_ext.files import reading, writing
from pycaffe_ext.training.log import RATE, TEST_OUTPUT, TESTING, TRAINING, number

STAMP = re.compile(r"^[IWEF](\d\d)(\d\d) (\d\d):(\d\d):(\d\d)\.(\d+) ")
TRAIN_OUTPUT = re.compile(r"\] +Train net output #\d+: (\S+) = (\S+)")
COLUMNS = ("NumIters", "Seconds", "LearningRate")

Row = dict[str, float]
Moment = tuple[int, ...]  # year (counted from the log's first), month, day, hour, minute, second, microsecond

LEAP = 2000  # a year that has every date
DISORDER = 4  # days, as _day counts them: threads may log 28 February behind 1 March


def tables(path: str | Path, folder: str | Path, delimiter: str = ",") -> tuple[Path, Path]:
    """Write FOLDER/LOG.train and FOLDER/LOG.test, CSV with a header; returns both paths.

    Columns: NumIters, Seconds since solving began, LearningRate (the last one logged before the row; the first known
    one where none was), then a column for each output.  An invalid date in a line gives a warning.
    Raises UserError if the log is missing or holds no outputs.
    """
    if len(delimiter) != 1:
        raise UserError(f"the delimiter must be one character, not {delimiter!r}")
    path = Path(path)
    try:
        with reading(path) as file:
            rows = read_rows(_warned(file, path), datetime.fromtimestamp(os.path.getmtime(path)).year)
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"{path}: no such log file; check the path") from None
    if not any(rows):
        raise UserError(f"{path}: no net output in it; a log of `caffe train` was expected")
    train, test = (Path(folder) / f"{path.name}.{kind}" for kind in ("train", "test"))
    for target, table in zip((train, test), rows, strict=True):
        _write(target, table, delimiter)
    return train, test


def _warned(lines: Iterable[str], path: Path) -> Iterator[str]:
    """The lines, with a warning for each that begins with an invalid date."""
    for place, line in enumerate(lines, start=1):
        if (found := STAMP.match(line)) and _parts(found) is None:
            print(
                f"warning: {path}:{place}: {found[0].strip()!r} is not a date; the time of the previous line is used",
                file=sys.stderr,
                flush=True,
            )
        yield line


def _parts(stamp: re.Match[str]) -> tuple[int, ...] | None:
    """month, day, hour, minute, second, microsecond; None if no year has them."""
    parts = (*map(int, stamp.groups()[:5]), int(stamp[6].ljust(6, "0")[:6]))
    try:
        _date(LEAP, parts)
    except ValueError:
        return None
    return parts


def read_rows(lines: Iterable[str], year: int) -> tuple[list[Row], list[Row]]:
    """Rows of the training net and of the test nets, one for each time that outputs were logged.

    `year` is that of the log's end: glog leaves it out.  Where 29 February stands in the log, the last year up to that
    one that fits is taken.  An output that a net has several values of keeps the last.
    """
    train: list[Row] = []
    test: list[Row] = []
    row, rate, clock = None, math.nan, _Clock()
    moments: list[tuple[Row, Moment | None]] = []
    for line in lines:
        clock.see(line)
        if found := RATE.search(line):
            rate = math.nan if (value := number(found[2])) is None else value
        elif found := TRAINING.search(line) or TESTING.search(line):
            row = {"NumIters": float(found[1])}
        elif found := TRAIN_OUTPUT.search(line) or TEST_OUTPUT.search(line):
            value = number(found[2])
            if row is None or value is None:
                continue
            if len(row) == 1:
                row |= {"Seconds": math.nan, "LearningRate": rate}
                moments.append((row, clock.now))
                (train if "Train net" in line else test).append(row)
            row[found[1]] = value
    for row, moment in moments:
        if moment is not None:
            row["Seconds"] = clock.seconds(moment, year)
    for table in train, test:
        _fill_first_rates(table)
    return train, test


class _Clock:
    """Follows the dates of a log from line to line; where one lies well before the last, a year has begun.

    now : the last moment seen;  start : that of the line that says "Solving" (else the first).  Their years are counted
    from the log's first line.
    """

    def __init__(self) -> None:
        self.now: Moment | None = None
        self.start: Moment | None = None
        self.leap: int | None = None  # a year that has a 29 February
        self.solving = False

    def see(self, line: str) -> None:
        if (found := STAMP.match(line)) and (parts := _parts(found)):
            self.now = self._year(*parts[:2]), *parts
            begins = not self.solving and "] Solving" in line
            if self.start is None or begins:
                self.start, self.solving = self.now, self.solving or begins

    def _year(self, month: int, day: int) -> int:
        """The first year in which the date is not before the last one, but for the threads' disorder."""
        year, *before = self.now[:3] if self.now else (0, month, day)
        last = _day(year, *before) - DISORDER
        year = next(y for y in (year - 1, year, year + 1) if _day(y, month, day) >= last)
        if (month, day) == (2, 29):
            self.leap = year if self.leap is None else self.leap
            year += (self.leap - year) % 4
        return year

    def seconds(self, moment: Moment, last_year: int) -> float:
        """From the start to `moment`, where the log's last line is of `last_year` or, for a 29 February, earlier."""
        assert self.now is not None, "`moment` was seen"
        assert self.start is not None, "with the first moment"
        first = last_year - self.now[0]
        while self.leap is not None and not isleap(first + self.leap):
            first -= 1
        end, start = (_date(first + year, rest) for year, *rest in (moment, self.start))
        return (end - start).total_seconds()


def _date(year: int, rest: Sequence[int]) -> datetime:
    month, day, hour, minute, second, microsecond = rest
    return datetime(year, month, day, hour, minute, second, microsecond)


def _day(year: int, month: int, day: int) -> int:
    """A count of days that grows with the date, as if every month had 31."""
    return 372 * year + 31 * month + day


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
