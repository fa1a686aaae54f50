"""TensorBoard on the runs of a folder, those that have no event files yet included."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pycaffe_ext.command_line.parsing import parse


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse("board", arguments)
    from pycaffe_ext.runs import board

    runs = Path(options["runs"])
    board.complete(runs)
    board.serve(runs, options["port"])
