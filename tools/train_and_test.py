"""One run, from frames to the FROC curve: prepare the data, train, stop early, test and draw."""

from __future__ import annotations

from pathlib import Path

from pycaffe_ext.command_line import add_cache, machine, run_parser, settings_options
from pycaffe_ext.errors import run_cli
from pycaffe_ext.runs.settings import Settings, Training, parse_name


def main() -> None:
    parser = run_parser(__doc__)
    parser.add_argument("name", help="application and scheme, e.g. polyp-ft-conv3")
    add_cache(parser)
    parser.add_argument("--run", help="this run's folder in --runs; unset: named after the settings")
    options = vars(parser.parse_args())
    app, scheme = parse_name(options["name"], options["arch"] or Training.arch)
    settings = Settings.of(app, scheme, **settings_options(options))
    from pycaffe_ext.runs import pipeline  # late: a misspelt name must be told at once

    pipeline.run(settings, Path(options["runs"]), options["run"], machine(options))


if __name__ == "__main__":
    run_cli(main)
