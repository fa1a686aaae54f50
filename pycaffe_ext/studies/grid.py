"""A grid of runs: applications x nets x schemes x fractions x seeds, as a study file declares it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.margins import checked_margin
from pycaffe_ext.runs.records import RESULT, ExternalRecord, read_externals
from pycaffe_ext.runs.settings import Settings, TestSet
from pycaffe_ext.schemes import frozen_stages, is_depth


@dataclass(frozen=True)
class Cell:
    """A run of a grid.  outside : another data set to test on.   line : of the study file, where its block begins.
    margin : by which a scheme may be worse and still be recommended, in the unit of the application's merit; None = the
    metric's own (evaluation/margins.py).  It changes no run."""

    settings: Settings
    outside: TestSet | None = None
    line: int = 0
    margin: float | None = None

    def __post_init__(self) -> None:
        if self.margin is not None:
            checked_margin(self.margin)

    @property
    def question(self) -> tuple[object, ...]:
        """What is equal of the runs that are compared: application, data, net and width, not scheme, fraction or
        seed."""
        own = self.settings
        data = replace(own.request.whole, seed=0, fold=own.request.folds and 1)
        return data, own.training.arch, own.training.width

    @property
    def title(self) -> str:
        """What it is called in lists: the job with its net, fraction and trial."""
        own = self.settings
        return f"{own.title}, FRACTION={own.request.fraction}, seed {own.trial}"

    def folder(self, runs: Path) -> Path:
        """Of the run: the same as that of `make APP-SCHEME` with these settings."""
        return runs / self.settings.name()

    def finished(self, runs: Path) -> bool:
        """Whether the run is, and its test on another data set, if there is to be one."""
        folder = self.folder(runs)
        return (folder / RESULT).exists() and self.ended([] if self.outside is None else read_externals(folder))

    def ended(self, records: Iterable[ExternalRecord]) -> bool:
        """Whether nothing is left to do for a run that was tested on these other data sets."""
        return self.outside is None or self.tested_outside(records) is not None

    def tested_outside(self, records: Iterable[ExternalRecord]) -> ExternalRecord | None:
        """What the run came to on the other data set, out of all its tests; None where it was not tested there."""
        if self.outside is None:
            return None
        asked = os.path.abspath(self.outside.data), self.outside.dataset
        return next((record for record in records if (record.data, record.dataset) == asked), None)


@dataclass(frozen=True)
class Grid:
    """name : of the study, its file's without the ending.   cells : in the file's order (see `in_order`)."""

    name: str
    file: Path
    cells: tuple[Cell, ...]

    def folder(self, runs: Path) -> Path:
        """What is kept of the study itself: its runs' output, states and tables."""
        return runs / "studies" / self.name


def in_order(cells: Sequence[Cell]) -> list[Cell]:
    """The cells in the order in which they are run. Those of one data set, net, fraction and seed take each other's
    places, so that each finds what it can use: the shallowest frozen prefix first, from whose stored outputs deeper
    ones start, and chains after the fine-tuning that is their first link. No result depends on it."""
    groups: dict[tuple[object, ...], list[Cell]] = {}
    for cell in cells:
        groups.setdefault(_group(cell), []).append(cell)
    sorted_groups = {key: iter(sorted(group, key=_depth)) for key, group in groups.items()}
    return [next(sorted_groups[_group(cell)]) for cell in cells]


def _group(cell: Cell) -> tuple[object, ...]:
    return cell.settings.request, cell.settings.training.arch


def _depth(cell: Cell) -> tuple[int, bool]:
    own = cell.settings.training
    return frozen_stages(own.scheme, own.arch), not is_depth(own.scheme)


def check_margins(file: Path, cells: Sequence[Cell]) -> None:
    """Raise UserError if runs that are compared have two margins."""
    first: dict[tuple[object, ...], Cell] = {}
    for cell in cells:
        other = first.setdefault(cell.question, cell)
        if other.margin != cell.margin:
            texts = ["none" if one.margin is None else f"{one.margin:g}" for one in (cell, other)]
            raise UserError(
                f"{file}, line {cell.line}: MARGIN {texts[0]}, but line {other.line} has {texts[1]} for the same"
                f" {cell.settings.app} and {cell.settings.training.arch}; runs that are compared have one margin"
            )


def check_distinct(file: Path, cells: Sequence[Cell]) -> None:
    """Raise UserError if two cells are the same run, or would have the same folder."""
    seen: dict[str, Cell] = {}
    for cell in cells:
        other = seen.setdefault(cell.settings.name(), cell)
        if other is cell:
            continue
        where = f"{file}, line {cell.line}: {cell.title}"
        if other.settings == cell.settings:
            raise UserError(f"{where} is there twice, also from line {other.line}")
        raise UserError(
            f"{where} would have the folder of {other.title}, line {other.line}; change one of its settings"
        )
