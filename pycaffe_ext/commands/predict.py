"""Apply a finished run to pictures or a video without labels: a table of probabilities, and overlays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pycaffe_ext.command_line.parsing import machine_options, parse


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse("predict", arguments)
    from pycaffe_ext.runs.predict import predict
    from pycaffe_ext.runs.settings import Machine

    run = Path(options["run"])
    out = Path(options["out"]) if options["out"] else run / "predictions"
    predict(run, Path(options["data"]), out, Machine(**machine_options(options)), not options["no_overlays"])
