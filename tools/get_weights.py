"""Download known weights (BVLC AlexNet by default): resumable, checked by sha1, in place only when right."""

from __future__ import annotations

import argparse
from pathlib import Path

from pycaffe_ext.donor import weights
from pycaffe_ext.errors import run_cli


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="?", default="bvlc_alexnet", help=f"one of {', '.join(weights.KNOWN)}")
    parser.add_argument("--folder", type=Path, default=Path("weights"), help="where to (default: %(default)s)")
    args = parser.parse_args()
    print(weights.get(args.name, args.folder))


if __name__ == "__main__":
    run_cli(main)
