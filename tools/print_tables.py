"""Print Tables I and II, read back from the emitted prototxt."""

from __future__ import annotations

import argparse
from pathlib import Path

from pycaffe_ext.errors import known, run_cli
from pycaffe_ext.nets.emission import EMITTED
from pycaffe_ext.report import tables

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--app", default="polyp", help=f"one of {', '.join(EMITTED)} (default: %(default)s)")
    parser.add_argument("--root", type=Path, default=ROOT, help="folder of prototxt/ and solvers/")
    args = parser.parse_args()
    print(tables.tables(args.root, known(args.app, EMITTED, "application")))


if __name__ == "__main__":
    run_cli(main)
