"""Measure, on synthetic scores of known truth, what the 95 % intervals cover and how often the tests err."""

from __future__ import annotations

import argparse
import os
from math import sqrt

from pycaffe_ext.errors import UserError, run_cli
from pycaffe_ext.evaluation import simulation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=1000, help="test sets of each world (default: %(default)s)")
    parser.add_argument("--resamples", type=int, default=400, help="of each bootstrap (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes (default: one per core)")
    args = parser.parse_args()
    if args.repetitions < 1 or args.resamples < 100 or args.workers < 1:
        raise UserError("--repetitions and --workers must be 1 or more and --resamples 100 or more")
    print(f"{args.repetitions} test sets of each world, {args.resamples} resamples; ± is the standard error")
    print("Coverage should be 95 %. Tests of equal methods should find a difference at most 5 % of the time; where")
    print("the methods differ, the share is the power.\n")
    for name, world in simulation.WORLDS.items():
        found = simulation.shares(
            world, args.repetitions, args.resamples, args.seed, progress=True, workers=args.workers, title=name
        )
        print(name + ("" if world.sensitivity[0] == world.sensitivity[1] else ": power"))
        for outcome, share in found.items():
            error = sqrt(share * (1 - share) / args.repetitions)
            print(f"  {100 * share:5.1f} % ± {100 * error:3.1f}  {simulation.MEANINGS[outcome]}")
        print(flush=True)


if __name__ == "__main__":
    run_cli(main)
