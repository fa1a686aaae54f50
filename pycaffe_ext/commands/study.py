"""All schemes of an application that are compared, with every seed; what is finished already is not repeated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pycaffe_ext.command_line.parsing import machine_options, parse, settings_options

if TYPE_CHECKING:
    from pycaffe_ext.runs.settings import Settings


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse("study", arguments)
    from pycaffe_ext.runs.settings import Machine
    from pycaffe_ext.studies import study

    study.run_all(jobs(options), Path(options["runs"]), Machine(**machine_options(options)))


def jobs(options: Mapping[str, Any]) -> tuple[Settings, ...]:
    """The runs that parsed options ask for."""
    from pycaffe_ext.studies import study

    schemes, seeds = options["schemes"].split(), study.parse_seeds(options["seeds"])
    return study.jobs(options["app"], schemes, seeds, **settings_options(options))
