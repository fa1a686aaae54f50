"""A grid of runs: applications x nets x schemes x fractions x seeds, as a study file declares it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pycaffe_ext.errors import UserError
from pycaffe_ext.runs.records import RESULT, ExternalRecord, read_external
from pycaffe_ext.runs.settings import Settings, TestSet


@dataclass(frozen=True)
class Cell:
    """A run of a grid.  outside : another data set to test on.   line : of the study file, where its block begins."""

    settings: Settings
    outside: TestSet | None = None
    line: int = 0

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
        ended = (self.folder(runs) / RESULT).exists()
        return ended and (self.outside is None or self.tested_outside(runs) is not None)

    def tested_outside(self, runs: Path) -> ExternalRecord | None:
        """What the run came to on the other data set; None where it was not tested there."""
        if self.outside is None:
            return None
        for file in sorted(self.folder(runs).glob(f"external/*/{RESULT}")):
            record = read_external(file.parent)
            if (record.data, record.dataset) == (os.path.abspath(self.outside.data), self.outside.dataset):
                return record
        return None


@dataclass(frozen=True)
class Grid:
    """name : of the study, its file's without the ending.   cells : in the order in which they are run."""

    name: str
    file: Path
    cells: tuple[Cell, ...]

    def folder(self, runs: Path) -> Path:
        """What is kept of the study itself: its runs' output, states and tables."""
        return runs / "studies" / self.name


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
