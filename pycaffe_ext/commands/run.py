"""One run, from frames to the FROC curve: prepare the data, train, stop early, test and draw."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pycaffe_ext.command_line.parsing import machine_options, parse, settings_options


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse("run", arguments)
    from pycaffe_ext.runs.settings import Machine, Settings, TestSet, parse_name

    app, scheme = parse_name(options["name"], options["arch"])
    settings = Settings.of(app, scheme, **settings_options(options))
    machine = Machine(**machine_options(options))
    asked = TestSet.given(options["test_data"], options["test_dataset"])
    from pycaffe_ext.runs import external_data, pipeline  # late: a misspelt name must be reported at once

    runs = Path(options["runs"])
    outside = external_data.outside(settings.request, asked, runs)
    pipeline.run(settings, runs, options["run"], machine, outside=outside)
