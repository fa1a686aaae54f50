"""What a study file will take, before anything starts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pycaffe_ext.command_line.parsing import machine_options, parse


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse("study-plan", arguments)
    from pycaffe_ext.command_line import study_file
    from pycaffe_ext.runs.settings import Machine
    from pycaffe_ext.studies import plan, prospects, running
    from pycaffe_ext.studies.rates import Rates

    grid, runs = study_file.read(options["study"]), Path(options["runs"])
    machine, workers = Machine(**machine_options(options)), options["workers"]
    known = Rates(runs, machine).memory(cell.settings for cell in grid.cells) if workers > 1 else 0.0
    share = running.shared(machine, workers, known or running.GUESS)
    rates = Rates(runs, share.machines[0])
    print(plan.text(plan.plan(grid, runs, rates), runs, workers))
    print("", *prospects.lines(grid.cells, rates.finished, runs), sep="\n")
