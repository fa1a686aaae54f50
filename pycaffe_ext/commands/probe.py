"""What a donor is worth on a data set before anything is trained: a linear classifier on its features."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pycaffe_ext.command_line.parsing import machine_options, parse, settings_options


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse("probe", arguments)
    from pycaffe_ext.runs import linear_probe
    from pycaffe_ext.runs.settings import Machine, Settings
    from pycaffe_ext.schemes import depths

    settings = Settings.of(options["app"], depths(options["arch"])[0], **settings_options(options))
    found = linear_probe.probe(settings, Machine(**machine_options(options)), Path(options["runs"]))
    print(linear_probe.text(found, settings.training.weights or "the embedded donor"))
