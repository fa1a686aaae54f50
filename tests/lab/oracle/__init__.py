"""Conformance with the genuine Caffe 1.0: rows as data, one runner for each kind of row, one table of outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np


class Row(Protocol):
    name: str


@dataclass(frozen=True)
class Outcome:
    """What became of one row.

    error: its worst relative error against the genuine engine, 0 where a row only holds or fails.
    problem: why it failed, one line; empty if it passed.
    """

    name: str
    error: float = 0.0
    problem: str = ""


def outcome(name: str, found: dict[str, float], tolerance: float) -> Outcome:
    """The outcome of a row whose parts have the errors `found`: it fails where one exceeds the tolerance or is NaN."""
    return Outcome(name, float(np.max(list(found.values()))), ", ".join(exceeding(found, tolerance)))


def exceeding(found: dict[str, float], tolerance: float) -> list[str]:
    """What is above the tolerance or no number, as words."""
    return [f"{name} {error:.2g}" for name, error in found.items() if not error <= tolerance]


@dataclass(frozen=True)
class Group:
    """Rows of one kind.  `run` takes rows and an empty folder and yields one Outcome a row, in their order.

    measure: what `error` is and how it is compared, for the table; tolerance: its bound, None for rows without one.
    quick: `make test` runs every quick-th row.
    """

    chapter: str
    name: str
    rows: Sequence[Any]
    run: Callable[[Sequence[Any], Path], Iterator[Outcome]]
    measure: str
    tolerance: float | None = None
    quick: int = 1

    def part(self, every: int | None = None) -> list[Any]:
        """Every `every`-th row (quick-th by default), the last one always among them."""
        step = every or self.quick
        return list(self.rows[::-1][::step][::-1])
