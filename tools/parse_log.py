"""Parse a training log into two CSV files, LOGFILE.train and LOGFILE.test."""

from __future__ import annotations

import argparse

from pycaffe_ext.errors import run_cli


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("logfile_path", help="the log of a caffe train")
    parser.add_argument("output_dir", help="folder for the CSV files")
    parser.add_argument("--verbose", action="store_true", help="print the names of the files written")
    parser.add_argument("--delimiter", default=",", help="between columns (default: %(default)r)")
    args = parser.parse_args()
    from pycaffe_ext.training import log_rows

    paths = log_rows.tables(args.logfile_path, args.output_dir, args.delimiter)
    if args.verbose:
        print("\n".join(f"Wrote {path}" for path in paths))


if __name__ == "__main__":
    run_cli(main)
