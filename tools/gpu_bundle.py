"""Make gpu-bundle/, with which `make gpu-check` runs on a machine without internet, by that machine's own torch."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # gpucheck/ belongs to the checkout, not to the installed package

from gpucheck import bundle  # noqa: E402
from pycaffe_ext.errors import UserError, run_cli  # noqa: E402

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--python", default=HERE, help="that machine's Python")
    parser.add_argument("--without", nargs="*", default=[], help="packages that it has: their wheels stay out")
    parser.add_argument("--out", type=Path, default=ROOT / "gpu-bundle")
    args = parser.parse_args()
    if not re.fullmatch(r"3\.\d+", args.python):
        raise UserError(f"--python {args.python}: give it as 3.12")
    if args.out.exists():
        raise UserError(f"{args.out} is there already; remove it first")
    bundle.make(args.out, args.python, args.without)
    print(f"{args.out} is ready; there: make gpu-check, or bash {args.out.name}/check.sh")


if __name__ == "__main__":
    run_cli(main)
