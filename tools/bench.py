"""Measure this engine against the genuine Caffe, print a table and write docs/reference/benchmarks.md."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # benchmarks/ belongs to the checkout, not to the installed package

from benchmarks import layers, suite, table  # noqa: E402
from benchmarks.rows import Experiment, Lab  # noqa: E402
from pycaffe_ext.command_line.parsing import parse  # noqa: E402
from pycaffe_ext.errors import UserError, run_cli  # noqa: E402


def _measured(experiments: list[Experiment], lab: Lab) -> dict[str, str]:
    try:
        return suite.run(experiments, lab)
    except KeyboardInterrupt:
        raise UserError("interrupted; finished rows are kept: name the others in ROWS= to measure them") from None


def main() -> int:
    options = parse("bench")
    experiments = suite.chosen(options["rows"])
    if options["list"]:
        print("\n".join(f"{row.name:20} {row.what}" for row in suite.all_rows()))
        return 0
    samples, threads = options["samples"], options["threads"]
    if min(samples, threads) < 1:
        raise UserError(f"--samples {samples} --threads {threads}: at least 1 of each is needed")
    lab = Lab(Path(options["folder"] or ROOT / "runs" / "bench").resolve(), threads, samples)
    if options["layers"]:
        print("\n".join(table.aligned(layers.compare(lab))))
        return 0
    failed = {} if options["table"] else _measured(experiments, lab)
    print(suite.report(Path(options["output"] or ROOT / "docs/reference/benchmarks.md"), lab, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    run_cli(main)
