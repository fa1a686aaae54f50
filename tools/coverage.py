"""Measure, on synthetic scores of known truth, what the 95 % intervals cover and how often tests and verdicts err."""

from __future__ import annotations

import argparse
from math import sqrt

from pycaffe_ext.errors import UserError, run_cli
from pycaffe_ext.evaluation import simulation, study_worlds
from pycaffe_ext.report import claims_worlds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=1000, help="test sets of each world (default: %(default)s)")
    parser.add_argument("--resamples", type=int, default=400, help="of each bootstrap (default: %(default)s)")
    parser.add_argument("--studies", type=int, default=100, help="whole studies of each world (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    args = parser.parse_args()
    if args.repetitions < 1 or args.resamples < 100 or args.studies < 1:
        raise UserError("--repetitions and --studies must be 1 or more and --resamples 100 or more")
    print_points(args)
    print_seeds(args)
    print_claims(args)


def print_points(args: argparse.Namespace) -> None:
    """Intervals and tests of single nets."""
    print(f"{args.repetitions} test sets of each world, {args.resamples} resamples; ± is the standard error\n")
    for name, world in simulation.WORLDS.items():
        found = simulation.shares(world, args.repetitions, args.resamples, args.seed, progress=True)
        print(name)
        for outcome, share in found.items():
            print(f"  {percent(share, args.repetitions)}  {simulation.MEANINGS[outcome]}")
        print(flush=True)


def print_seeds(args: argparse.Namespace) -> None:
    """Intervals of a mean over seeds."""
    print(
        f"Sensitivity over seeds: {args.repetitions} studies of each world; the 95 % interval covers the truth with\n"
    )
    print(f"  {'the covariance of cases':24} {'their overlap alone':24} neither")
    for name, world in claims_worlds.INTERVALS.items():
        found = study_worlds.coverage(world, args.repetitions, args.resamples, args.seed, progress=True)
        cells = [percent(found[kind], args.repetitions) for kind in ("cases", "overlap", "plain")]
        print(f"  {cells[0]:24} {cells[1]:24} {cells[2]:16} {name}", flush=True)
    print()


def print_claims(args: argparse.Namespace) -> None:
    """Verdicts of whole studies."""
    print(f"Verdicts: {args.studies} studies of each world through the whole chain of claims\n")
    for name, world in claims_worlds.WORLDS.items():
        found = claims_worlds.level(world, args.studies, seed=args.seed, progress=True)
        print(f"{name}: {percent(found.false, args.studies)} of the studies have a false verdict")
        print("     shown     against  p < .05 unadjusted")
        for statement, own in found.claims.items():
            shares = "  ".join(f"{100 * share:6.1f} %" for share in (own.shown, own.against, own.p_low))
            print(f"  {shares}  {claims_worlds.TRUTHS[own.truth]:5} {statement}")
        print(flush=True)
    power = claims_worlds.power_at_smallest(claims_worlds.POWER, args.studies, seed=args.seed, progress=True)
    print(f"  {percent(power, args.studies)}  a difference of the smallest size that a study is said to show is shown")


def percent(share: float, trials: int) -> str:
    """A share with its standard error."""
    return f"{100 * share:5.1f} % ± {100 * sqrt(share * (1 - share) / trials):3.1f}"


if __name__ == "__main__":
    run_cli(main)
