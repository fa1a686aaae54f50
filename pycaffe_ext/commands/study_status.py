"""How far a study has come: it reads files only, so it works while the study runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pycaffe_ext.command_line.parsing import parse


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse("study-status", arguments)
    from pycaffe_ext.command_line import study_file
    from pycaffe_ext.studies import status

    grid, runs = study_file.read(options["study"]), Path(options["runs"])
    print(status.text(status.progress(grid, runs), runs))
