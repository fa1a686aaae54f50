"""The command line of a run, from its settings: what `make APP-SCHEME` would hand on."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from pycaffe_ext.command_line.options import MACHINE, SETTINGS
from pycaffe_ext.runs.settings import Machine, Settings, TestSet


def run_words(settings: Settings, machine: Machine, runs: Path, outside: TestSet | None = None) -> list[str]:
    """The words after `pycaffe-ext` that carry out a run in `runs`; of its options those that are not the defaults."""
    flat = settings.flat()
    given = {**flat, **flat["options"]}
    words = [f"{row.flag}={given[row.name]}" for row in SETTINGS if given.get(row.name) not in (None, row.default)]
    words += [f"{row.flag}={value}" for row in MACHINE if (value := asdict(machine)[row.name]) is not None]
    if outside:
        words += [f"--test-data={outside.data}"]
        words += [f"--test-dataset={outside.dataset}"] if outside.dataset else []
    return ["run", settings.job, *words, f"--runs={runs}"]
