"""All schemes of an application that are compared, with every seed; what is finished already is not repeated."""

from __future__ import annotations

from pathlib import Path

from pycaffe_ext.command_line import add_cache, add_study, machine, run_parser, study_jobs
from pycaffe_ext.errors import run_cli
from pycaffe_ext.studies import study


def main() -> None:
    parser = run_parser(__doc__, without=("seed",))
    add_study(parser)
    add_cache(parser)
    options = vars(parser.parse_args())
    study.run_all(study_jobs(options), Path(options["runs"]), machine(options))


if __name__ == "__main__":
    run_cli(main)
