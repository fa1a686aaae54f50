"""Make gpu-bundle/, with which `make gpu-check` runs on a machine without internet, by that machine's own torch."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # gpucheck/ belongs to the checkout, not to the installed package

from gpucheck import bundle  # noqa: E402
from pycaffe_ext.command_line.parsing import parse  # noqa: E402
from pycaffe_ext.errors import UserError, run_cli  # noqa: E402

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def main() -> None:
    options = parse("gpu-bundle")
    python, out = options["python"] or HERE, Path(options["out"] or ROOT / "gpu-bundle")
    if not re.fullmatch(r"3\.\d+", python):
        raise UserError(f"--python {python}: give it as 3.12")
    if out.exists():
        raise UserError(f"{out} is there already; remove it first")
    bundle.make(out, python, options["without"])
    print(f"{out} is ready; there: make gpu-check, or bash {out.name}/check.sh")


if __name__ == "__main__":
    run_cli(main)
