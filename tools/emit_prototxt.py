"""Emit nets and solvers at the paper's sizes: AlexNet's into prototxt/ and solvers/, another net's into --out."""

from __future__ import annotations

import argparse
from pathlib import Path

from pycaffe_ext.errors import known, run_cli
from pycaffe_ext.files import user_path
from pycaffe_ext.nets import emission
from pycaffe_ext.schemes import STAGES

ROOT = Path(__file__).resolve().parents[1]


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(description=__doc__)
    result.add_argument("--root", type=Path, default=ROOT, help="folder that holds prototxt/ and solvers/")
    result.add_argument("--check", action="store_true", help="write nothing; say what differs, exit 1 if anything does")
    result.add_argument("--arch", help=f"the net: {', '.join(STAGES)} (default: the committed AlexNet files)")
    result.add_argument("--app", help=f"one of {', '.join(emission.EMITTED)}, with --arch (default: all)")
    result.add_argument(
        "--out",
        type=user_path,
        help="gets prototxt/APP/ and solvers/APP/, for a caffe that runs there (default: runs/nets/ARCH)",
    )
    return result


def main() -> int:
    args = parser().parse_args()
    if not (args.arch or args.app or args.out):
        return committed(args.root, args.check)
    arch = known(args.arch or "alexnet", STAGES, "architecture")
    apps = [known(args.app, emission.EMITTED, "application")] if args.app else emission.EMITTED
    out = args.out or Path("runs") / "nets" / arch
    written = emission.write_to(out, arch, apps)
    print(f"{len(written)} files below {out}; caffe train --solver=solvers/... runs from there")
    return 0


def committed(root: Path, check: bool) -> int:
    found = emission.differences(root) if check else emission.write(root)
    print("\n".join(found) or "prototxt/ and solvers/ are up to date")
    return int(bool(check and found))


if __name__ == "__main__":
    run_cli(main)
