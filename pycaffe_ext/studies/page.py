"""The page of a study: from its cells and their finished runs to what a reader sees."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.findings.every import findings
from pycaffe_ext.evaluation.findings.model import Evidence
from pycaffe_ext.files import reading
from pycaffe_ext.report.grid import pages
from pycaffe_ext.report.grid.material import Material, Panel, Unfinished
from pycaffe_ext.runs import finished
from pycaffe_ext.studies import status
from pycaffe_ext.studies.evidence import evidence, questions
from pycaffe_ext.studies.grid import Grid
from pycaffe_ext.studies.states import FAILED, FINISHED

FOLDER = "report"  # in that of the study


def write(grid: Grid, runs: Path, out: Path | None = None) -> Path:
    """Write the page of the finished runs into a folder, as `report.grid.pages.write`; returns the page.

    out : the folder, None = report/ in the study's.   Raises UserError if no run is finished.
    """
    return pages.write(material(grid, runs), out or grid.folder(runs) / FOLDER)


def material(grid: Grid, runs: Path) -> Material:
    """What the page is made from.  UserError if no run is finished, and where `studies.evidence` refuses."""
    found = evidence(grid.cells, runs)
    if not found:
        raise UserError(f"no run of the study {grid.name} is finished; `make study STUDY={grid.file}` runs them")
    with reading(grid.file) as file:
        text = file.read()
    panels, missing = tuple(_panels(grid, runs, found)), tuple(_unfinished(grid, runs))
    return Material(grid.name, text, panels, findings(found), len(grid.cells), missing)


def _panels(grid: Grid, runs: Path, found: tuple[Evidence, ...]) -> Iterator[Panel]:
    of_title = {one.title: one for one in found}
    for question in questions(grid.cells):
        if question.title in of_title:
            loaded = [run for cell in question.cells if (run := finished.load(cell.folder(runs)))]
            yield Panel(of_title[question.title], tuple(loaded))


def _unfinished(grid: Grid, runs: Path) -> Iterator[Unfinished]:
    progress = status.progress(grid, runs)
    for cell, kind, state in zip(grid.cells, progress.kinds, progress.states, strict=True):
        if kind != FINISHED:
            why = f": {state.last}" if kind == FAILED and state and state.last else ""
            yield Unfinished(cell.title, f"{kind}{why}")
