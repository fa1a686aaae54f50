"""The page of a study: from its cells and their finished runs to what a reader sees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.findings.every import findings
from pycaffe_ext.files import reading
from pycaffe_ext.report.grid import pages, paper_claims
from pycaffe_ext.report.grid.material import Material, Panel, Unfinished
from pycaffe_ext.runs.finished import RunFiles
from pycaffe_ext.studies import status
from pycaffe_ext.studies.evidence import answered, load
from pycaffe_ext.studies.grid import Grid
from pycaffe_ext.studies.states import FAILED, Place

FOLDER = "report"  # in that of the study


def write(grid: Grid, runs: Path, out: Path | None = None, loaded: Mapping[str, RunFiles] | None = None) -> Path:
    """Write the page of the finished runs into a folder, as `report.grid.pages.write`; returns the page.

    out : the folder, None = report/ in the study's.   loaded : as `evidence.load` gives them, None = they are read.
    Raises UserError if no run is finished.
    """
    return pages.write(material(grid, runs, loaded), out or grid.folder(runs) / FOLDER)


def material(grid: Grid, runs: Path, loaded: Mapping[str, RunFiles] | None = None) -> Material:
    """What the page is made from.  UserError if no run is finished, and where `studies.evidence` refuses."""
    loaded = load(grid.cells, runs) if loaded is None else loaded
    if not loaded:
        raise UserError(f"no run of the study {grid.name} is finished; `make study STUDY={grid.file}` runs them")
    with reading(grid.file) as file:
        text = file.read()
    panels = tuple(Panel(own, of_it) for own, of_it in answered(grid.cells, loaded))
    others = [claim for panel in panels for claim in paper_claims.findings(panel)]
    found = findings([panel.evidence for panel in panels], others=others)
    return Material(grid.name, text, panels, found, len(grid.cells), tuple(_unfinished(grid, runs, loaded)))


def _unfinished(grid: Grid, runs: Path, loaded: Mapping[str, RunFiles]) -> Iterator[Unfinished]:
    for cell in grid.cells:
        name = cell.settings.name()
        if name in loaded and cell.ended(loaded[name].externals):
            continue
        state = Place(grid.folder(runs), name).read()
        kind = status.kind_of(state)
        why = f": {state.last}" if kind == FAILED and state and state.last else ""
        yield Unfinished(cell.title, f"{kind}{why}")
