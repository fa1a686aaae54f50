"""The tidy table of a study: a line a finished run, with its settings, numbers, cost and hashes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pycaffe_ext.command_line.parsing import parse


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse("study-table", arguments)
    from pycaffe_ext.command_line import study_file
    from pycaffe_ext.studies import tidy

    grid, runs = study_file.read(options["study"]), Path(options["runs"])
    out = Path(options["out"]) if options["out"] else grid.folder(runs)
    print("files:", *tidy.write(tidy.rows(grid.cells, runs), out))
