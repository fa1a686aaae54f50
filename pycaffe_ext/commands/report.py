"""The figures and tables of a study's finished runs: Fig. 2(a), Table S1, AUC by depth, counts, pictures, one page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pycaffe_ext.command_line.parsing import parse
from pycaffe_ext.commands.study import jobs


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse("report", arguments)
    wanted, runs = jobs(options), Path(options["runs"])
    from pycaffe_ext.report import report  # late: a misspelt name must be reported at once

    finished, missing = report.loaded([runs / job.name() for job in wanted])
    page = report.write_report(finished, Path(options["out"] or f"reports/{options['app']}"), missing)
    if missing:
        print(f"incomplete: {len(missing)} of {len(wanted)} runs are not finished: {', '.join(missing)}")
    print(f"{page}: {len(finished)} runs")
