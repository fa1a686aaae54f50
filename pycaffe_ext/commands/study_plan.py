"""What a study file will take, before anything starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pycaffe_ext.command_line.parsing import machine_options, parse

if TYPE_CHECKING:
    from pycaffe_ext.studies.grid import Grid


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse("study-plan", arguments)
    from pycaffe_ext.command_line import study_file

    show(study_file.read(options["study"]), options)


def show(grid: Grid, options: Mapping[str, Any]) -> None:
    """Print the plan of a grid.   options : parsed ones with `runs`, `workers` and those of a machine"""
    from pycaffe_ext.runs.settings import Machine
    from pycaffe_ext.studies import plan, prospects, running
    from pycaffe_ext.studies.rates import Rates

    runs, machine, workers = Path(options["runs"]), Machine(**machine_options(options)), options["workers"]
    known = Rates(runs, machine).memory(cell.settings for cell in grid.cells) if workers > 1 else 0.0
    share = running.shared(machine, workers, known or running.GUESS)
    rates = Rates(runs, share.machines[0])
    print(plan.text(plan.plan(grid, runs, rates), runs, workers))
    print("", *prospects.lines(grid.cells, rates.finished, runs), sep="\n")
