"""All schemes of an application that are compared, with every seed; what is finished already is not repeated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pycaffe_ext.command_line.parsing import machine_options, parse, settings_options

if TYPE_CHECKING:
    from pycaffe_ext.runs.external_data import Outside
    from pycaffe_ext.runs.settings import Settings


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse("study", arguments)
    from pycaffe_ext.runs.settings import Machine
    from pycaffe_ext.studies import study

    wanted, runs = jobs(options), Path(options["runs"])
    study.run_all(wanted, runs, Machine(**machine_options(options)), outside=outside(options, wanted[0], runs))


def outside(options: Mapping[str, Any], job: Settings, runs: Path) -> Outside | None:
    """The other data set that parsed options name; job : one of the runs."""
    from pycaffe_ext.runs.settings import TestSet

    if not (asked := TestSet.given(options["test_data"], options["test_dataset"])):
        return None
    from pycaffe_ext.runs import external_data  # late: it loads what the settings need not

    return external_data.outside(job.request, asked, runs)


def jobs(options: Mapping[str, Any]) -> tuple[Settings, ...]:
    """The runs that parsed options ask for."""
    from pycaffe_ext.studies import study

    schemes, seeds = options["schemes"].split(), study.parse_seeds(options["seeds"])
    return study.jobs(options["app"], schemes, seeds, **settings_options(options))
