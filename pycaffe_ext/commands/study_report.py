"""The page of a study: one HTML file with the answer, figures, tables and everything that is needed to repeat it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pycaffe_ext.command_line.parsing import parse


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse("study-report", arguments)
    from pycaffe_ext.command_line import study_file
    from pycaffe_ext.studies import page

    grid, runs = study_file.read(options["study"]), Path(options["runs"])
    found = page.write(grid, runs, Path(options["out"]) if options["out"] else None)
    print(f"page: {found}, and {found.with_suffix('.md')} from the same numbers")
