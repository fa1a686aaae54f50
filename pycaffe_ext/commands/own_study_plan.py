"""What the study of one data set will take, before anything starts: its study file is written and planned."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_ext.command_line.parsing import parse


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse("own-study-plan", arguments)
    from pycaffe_ext.command_line import own_study
    from pycaffe_ext.commands import study_plan

    grid = own_study.grid(options)
    print(f"study file: {grid.file}", flush=True)
    study_plan.show(grid, options)
