"""Results of single rows, one JSON file each, so that a table can be put together from several partial runs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import machine
from benchmarks.rows import Lab
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import read_json, write_json


@dataclass(frozen=True)
class Result:
    """A row's samples: side -> values in the row's unit, in order of time; ours is the last side.

    `runs` is how many values of each side it rests on (a derived row has one value from several rows' medians),
    `others` the share of the cores that other programs had meanwhile, 0 to 1.
    """

    row: str
    samples: dict[str, list[float]]
    date: str
    commit: str
    machine: str
    versions: dict[str, str]
    threads: int
    runs: int
    others: float


def record(row: str, samples: dict[str, list[float]], lab: Lab, others: float) -> Result:
    """A result of here and now."""
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    return Result(
        row,
        samples,
        now,
        machine.commit(),
        machine.machine(),
        machine.versions(),
        lab.threads,
        lab.runs,
        round(others, 3),
    )


def save(result: Result, folder: Path) -> None:
    write_json(_path(folder, result.row), asdict(result))


def load(row: str, folder: Path) -> Result | None:
    """The row's last result, None if there is none; UserError for a file that is not a result."""
    path = _path(folder, row)
    try:
        return Result(**read_json(path))
    except FileNotFoundError:
        return None
    except (TypeError, json.JSONDecodeError):
        raise UserError(f"{path}: not the result of a row; remove it and measure `{row}` again") from None


def _path(folder: Path, row: str) -> Path:
    return folder / "results" / f"{row}.json"
