"""The figures and tables of a study's finished runs: Fig. 2(a), Table S1, AUC by depth, counts, pictures, one page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pycaffe_ext.command_line.parsing import parse
from pycaffe_ext.commands.study import jobs, outside
from pycaffe_ext.evaluation.margins import checked_margins


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse("report", arguments)
    margins = {name: options[name] for name in ("margin", "auc_margin")}
    checked_margins(options["margin"], options["auc_margin"])  # before anything is read
    wanted, runs = jobs(options), Path(options["runs"])
    from pycaffe_ext.report import report  # late: a misspelt name must be reported at once

    finished, missing = report.loaded([runs / job.name() for job in wanted])
    out = Path(options["out"] or f"reports/{options['app']}")
    other = outside(options, wanted[0], runs)
    if other:
        other.check(wanted[0].request)
    page = report.write_report(finished, out, missing, **margins, external=other.name if other else None)
    if missing:
        print(f"incomplete: {len(missing)} of {len(wanted)} runs are not finished: {', '.join(missing)}")
    print(f"{page}: {len(finished)} runs")
