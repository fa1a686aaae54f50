"""Whether the GPU side is right and how fast it is, in eight minutes; writes GPU.md and gpu.json.

Without a CUDA device it says so in one line, writes nothing and ends well.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # gpucheck/, benchmarks/ and tests/ belong to the checkout, not to the installed package

from pycaffe_ext.command_line.parsing import parse  # noqa: E402
from pycaffe_ext.engine import devices  # noqa: E402
from pycaffe_ext.errors import UserError, run_cli  # noqa: E402


def main() -> int:
    options = parse("gpu-check")
    if not options["list"] and not devices.count():
        print("no CUDA device here: nothing to check (PyTorch's build needs CUDA, and the machine a GPU)")
        return 0
    limit, out = options["seconds"], Path(options["out"] or ROOT)
    if limit <= 0:
        raise UserError(f"--seconds {limit:g}: must be above 0")
    from gpucheck import report, runner, suite  # late: they read the tests' cases

    checks = suite.chosen(options["checks"])
    if options["list"]:
        print("\n".join(f"{check.section:5} {check.name:14} {check.what}" for check in checks))
        return 0
    out.mkdir(parents=True, exist_ok=True)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    deadline, place = runner.Deadline(limit), report.place()

    def ended(done: runner.Done, so_far: list[runner.Done]) -> None:
        print(runner.line(done), flush=True)
        report.write(out, so_far, place, limit - deadline.left())  # each time: the machine may be taken away

    with tempfile.TemporaryDirectory(prefix="gpu-check-") as folder:

        def command(check: object, file: Path, seconds: float) -> list[str]:
            return [sys.executable, "-m", "gpucheck", check.name, str(file), str(seconds), folder]

        done = runner.run_all(checks, command, deadline, ended)
    wrong = report.failures(done)
    print(
        f"{out / report.NAME} written; " + (f"{len(wrong)} to look at: " + "; ".join(wrong) if wrong else "all is well")
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    run_cli(main)
