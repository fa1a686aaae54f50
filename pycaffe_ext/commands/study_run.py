"""All runs of a study file that are not finished, each by the process that `make APP-SCHEME` starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pycaffe_ext.command_line.parsing import machine_options, parse

if TYPE_CHECKING:
    from pycaffe_ext.runs.settings import Machine
    from pycaffe_ext.studies.grid import Grid


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse("study-run", arguments)
    from pycaffe_ext.command_line import study_file

    carry_out(study_file.read(options["study"]), options)


def carry_out(grid: Grid, options: Mapping[str, Any]) -> None:
    """Every run of a grid that is not finished, then its table and page.

    options : parsed ones with `runs`, `workers`, `address` and those of a machine.   Raises UserError if a run failed.
    """
    from pycaffe_ext.command_line import words
    from pycaffe_ext.errors import UserError
    from pycaffe_ext.runs.settings import Machine
    from pycaffe_ext.studies import cluster, plan, running, status, tidy
    from pycaffe_ext.studies.grid import in_order
    from pycaffe_ext.studies.rates import Rates
    from pycaffe_ext.studies.states import FAILED, sweep

    runs, machine, workers = Path(options["runs"]), Machine(**machine_options(options)), options["workers"]
    todo = [cell for cell in in_order(grid.cells) if not cell.finished(runs)]
    address = options["address"]
    known = Rates(runs, machine).memory(cell.settings for cell in todo) if workers > 1 or address else 0.0
    memory = known or running.GUESS
    share = running.shared(machine, workers, memory)
    print(f"study {grid.name}: {len(grid.cells)} runs, {len(grid.cells) - len(todo)} finished", flush=True)
    for line in plan.missing(todo, runs):
        print(f"missing: {line}", flush=True)
    sweep(grid.folder(runs))
    make = partial(running.job, grid, runs, words.run_words)
    say = partial(print, flush=True)
    if address:
        states = cluster.run_all(todo, make, machine, memory, address, say)
    else:
        states = running.run_all(todo, make, share, say)
    found = status.progress(grid, runs)
    print(status.text(found, runs))
    if table := tidy.rows(grid.cells, runs):
        print("files:", *tidy.write(table, grid.folder(runs)))
        _write_page(grid, runs, machine)
    if failed := [state for state in states if state.state == FAILED]:
        raise UserError(
            f"{len(failed)} of {len(grid.cells)} runs failed; what each printed: {grid.folder(runs) / 'states'}"
        )


def _write_page(grid: Grid, runs: Path, machine: Machine) -> None:
    """What keeps it from being written does not undo what has been run."""
    from pycaffe_ext.errors import UserError
    from pycaffe_ext.studies import evidence, page, validation

    try:
        loaded = evidence.load(grid.cells, runs)
        if scored := validation.keep(grid.cells, loaded, machine):
            print(f"scored the validation patches of {scored} runs of an earlier version", flush=True)
        print(f"page: {page.write(grid, runs, loaded=loaded)}")
    except UserError as error:
        print(f"no page: {error}")
