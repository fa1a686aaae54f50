"""Emit prototxt/ and solvers/: every application's nets and solvers at the paper's sizes."""

from __future__ import annotations

import argparse
from pathlib import Path

from pycaffe_ext.errors import run_cli
from pycaffe_ext.nets import emission

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=ROOT, help="folder that holds prototxt/ and solvers/")
    parser.add_argument("--check", action="store_true", help="write nothing; say what differs, exit 1 if anything does")
    args = parser.parse_args()
    found = emission.differences(args.root) if args.check else emission.write(args.root)
    print("\n".join(found) or "prototxt/ and solvers/ are up to date")
    return int(bool(args.check and found))


if __name__ == "__main__":
    run_cli(main)
