"""The figures and tables of a study's finished runs: Fig. 2(a), Table S1, AUC by depth, counts, pictures, one page."""

from __future__ import annotations

from pathlib import Path

from pycaffe_ext.command_line import add_study, run_parser, study_jobs
from pycaffe_ext.errors import run_cli
from pycaffe_ext.files import expanded


def main() -> None:
    parser = run_parser(__doc__, without=("seed",))
    add_study(parser)
    parser.add_argument("--out", type=expanded, help="folder of the report; unset: reports/APP")
    options = vars(parser.parse_args())
    jobs, runs = study_jobs(options), Path(options["runs"])
    from pycaffe_ext.report import report  # late: a misspelt name must be told at once

    finished, missing = report.loaded([runs / job.name() for job in jobs])
    page = report.write_report(finished, Path(options["out"] or f"reports/{options['app']}"), missing)
    if missing:
        print(f"incomplete: {len(missing)} of {len(jobs)} runs are not finished: {', '.join(missing)}")
    print(f"{page}: {len(finished)} runs")


if __name__ == "__main__":
    run_cli(main)
