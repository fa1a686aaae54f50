"""Grids whose runs are carried out by a stand-in that does what its scheme says, in milliseconds."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from pycaffe_ext.runs.records import Best, ResultRecord, write_result
from pycaffe_ext.runs.settings import Machine, Settings
from pycaffe_ext.studies.grid import Cell, Grid
from pycaffe_ext.studies.running import Job
from pycaffe_ext.studies.states import Place

# FOLDER RUN BEHAVIOUR: adds a line to FOLDER/calls, then ends as the run is to end.
STUB = Path(__file__).with_name("grid_stub.sh")


def grid(seeds: Sequence[int] = (0,), schemes: Sequence[str] = ("ft-fc8", "ft-fc7"), **options: object) -> Grid:
    cells = [Cell(Settings.of("polyp", scheme, seed=seed, **options), line=1) for seed in seeds for scheme in schemes]
    return Grid("mine", Path("mine.yaml"), tuple(cells))


class Stubs:
    """Makes jobs that do what `behaviour` says of the run's name, or of "*", else finish at once."""

    def __init__(self, grid: Grid, runs: Path, behaviour: dict[str, str] | None = None) -> None:
        self.grid, self.runs, self.behaviour = grid, runs, behaviour or {}
        self.machines: list[Machine] = []
        (runs / "result.json").parent.mkdir(parents=True, exist_ok=True)
        write_result(runs, result())

    def __call__(self, cell: Cell, machine: Machine) -> Job:
        self.machines.append(machine)
        name = cell.settings.name()
        does = self.behaviour.get(name, self.behaviour.get("*", "finish"))
        command = ("/bin/sh", str(STUB), str(self.runs), name, does, sys.executable)
        return Job(cell, self.runs, command, Place(self.grid.folder(self.runs), name), self.runs)

    @property
    def calls(self) -> list[str]:
        file = self.runs / "calls"
        return file.read_text().split() if file.exists() else []


def result(auc: float = 0.8, **changes: object) -> ResultRecord:
    point = {"at_most_false_positives_per_frame": 1.0, "sensitivity": 0.5, "exact_95": [0.25, 0.75]}
    test = {"network": {"lesion": [point]}, "detector": {"lesion": [point]}}
    return ResultRecord("a run", "none", Best(9, 2.0, auc), 1, "patience", {}, {}, [], test, [], **changes)
