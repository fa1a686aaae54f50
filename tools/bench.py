"""Measure this engine against the genuine Caffe, print a table and write docs/reference/benchmarks.md."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # benchmarks/ belongs to the checkout, not to the installed package

from benchmarks import layers, suite, table  # noqa: E402
from benchmarks.rows import Experiment, Lab  # noqa: E402
from pycaffe_ext.errors import UserError, run_cli  # noqa: E402


def _measured(experiments: list[Experiment], lab: Lab) -> dict[str, str]:
    try:
        return suite.run(experiments, lab)
    except KeyboardInterrupt:
        raise UserError("interrupted; finished rows are kept: name the others in ROWS= to measure them") from None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help="rows or families of rows to measure (default: all)")
    parser.add_argument("--list", action="store_true", help="only list the rows")
    parser.add_argument("--table", action="store_true", help="measure nothing: write the table from what was measured")
    parser.add_argument("--layers", action="store_true", help="only print AlexNet's time by layer, both engines")
    parser.add_argument("--samples", type=int, default=5, help="of each side; fewer than 5 are marked")
    parser.add_argument("--threads", type=int, default=2, help="of each side")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "bench", help="made data and results")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "reference" / "benchmarks.md")
    args = parser.parse_args()
    experiments = suite.chosen(args.rows)
    if args.list:
        print("\n".join(f"{row.name:20} {row.what}" for row in suite.all_rows()))
        return 0
    if min(args.samples, args.threads) < 1:
        raise UserError(f"--samples {args.samples} --threads {args.threads}: at least 1 of each is needed")
    lab = Lab(args.folder.resolve(), args.threads, args.samples)
    if args.layers:
        print("\n".join(table.aligned(layers.compare(lab))))
        return 0
    failed = {} if args.table else _measured(experiments, lab)
    print(suite.report(args.output, lab, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    run_cli(main)
