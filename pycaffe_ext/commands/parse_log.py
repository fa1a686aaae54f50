"""Parse a training log into two CSV files, LOGFILE.train and LOGFILE.test."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_ext.command_line.parsing import parse


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse("parse_log", arguments)
    from pycaffe_ext.training import log_rows

    paths = log_rows.tables(options["logfile_path"], options["output_dir"], options["delimiter"])
    if options["verbose"]:
        print("\n".join(f"Wrote {path}" for path in paths))
