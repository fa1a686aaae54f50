"""What a comparison is made of: rows of the table, and experiments that measure one row or several at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GENUINE = "genuine Caffe"
OURS = "ours"


@dataclass(frozen=True)
class Row:
    """One line of the table.

    `better` is "less" (seconds, MiB) or "more" (images/s). `target` is how many times better than its rival ours has
    to be (1: no worse); `margin` is the most, in `unit`, by which ours may be above its rival; `limit` is the most that
    ours may take, or with "more" the least that it must reach, in `unit`, where there is no rival.
    """

    name: str
    what: str
    unit: str
    target: float | None = None
    better: str = "less"
    limit: float | None = None
    margin: float | None = None


@dataclass(frozen=True)
class Lab:
    """Where and how to measure: `folder` for made data and results, threads of each side, samples of each side."""

    folder: Path
    threads: int = 2
    runs: int = 5

    @property
    def environment(self) -> dict[str, str]:
        """Of every program that is timed."""
        count = str(self.threads)
        return {**os.environ, "OMP_NUM_THREADS": count, "OPENBLAS_NUM_THREADS": count, "MKL_NUM_THREADS": count}


Sample = Callable[[], tuple[float, ...]]  # measures once; one value for each row of the experiment, in their order
Side = Callable[[Lab], AbstractContextManager[Sample]]


@dataclass(frozen=True)
class Experiment:
    """Rows measured together, by alternating samples of `rival` and `ours`.

    `needs` names what it can't run without: "genuine" (the genuine Caffe), "cuda", or nothing. The first `warm_ups`
    samples of each side are thrown away; 0 for minutes of work in a process of its own.
    """

    rows: tuple[Row, ...]
    ours: Side
    rival: Side | None = None
    rival_name: str = GENUINE
    needs: str = ""
    warm_ups: int = 1
