"""How deep, with how much data, how sure, on one data set: a study file is written and carried out."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_ext.command_line.parsing import parse


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse("own-study", arguments)
    from pycaffe_ext.command_line import own_study
    from pycaffe_ext.commands import study_run

    grid = own_study.grid(options)
    print(f"study file: {grid.file}; make study STUDY={grid.file} goes on with it", flush=True)
    study_run.carry_out(grid, options)
