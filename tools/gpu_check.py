"""Whether the GPU side is right and how fast it is, in eight minutes; writes GPU.md and gpu.json.

Without a CUDA device it says so in one line, writes nothing and ends well.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # gpucheck/, benchmarks/ and tests/ belong to the checkout, not to the installed package

from pycaffe_ext.engine import devices  # noqa: E402
from pycaffe_ext.errors import UserError, run_cli  # noqa: E402

SECONDS = 480


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("checks", nargs="*", metavar="CHECK", help="checks to run (default: all)")
    parser.add_argument("--list", action="store_true", help="only list the checks")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="what is not done by then is left out")
    parser.add_argument("--out", type=Path, default=ROOT, help="folder for GPU.md and gpu.json")
    args = parser.parse_args()
    if not args.list and not devices.count():
        print("no CUDA device here: nothing to check (PyTorch's build needs CUDA, and the machine a GPU)")
        return 0
    if args.seconds <= 0:
        raise UserError(f"--seconds {args.seconds:g}: must be above 0")
    from gpucheck import report, runner, suite  # late: they read the tests' cases

    checks = suite.chosen(args.checks)
    if args.list:
        print("\n".join(f"{check.section:5} {check.name:14} {check.what}" for check in checks))
        return 0
    args.out.mkdir(parents=True, exist_ok=True)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    deadline = runner.Deadline(args.seconds)
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as folder:

        def command(check: object, file: Path, seconds: float) -> list[str]:
            return [sys.executable, "-m", "gpucheck", check.name, str(file), str(seconds), folder]

        done = runner.run_all(checks, command, deadline, lambda line: print(line, flush=True))
        written = report.write(args.out, done, report.place(), args.seconds - deadline.left())
    wrong = report.failures(done)
    print(f"{written} written; " + (f"{len(wrong)} to look at: " + "; ".join(wrong) if wrong else "all is well"))
    return 1 if wrong else 0


if __name__ == "__main__":
    run_cli(main)
