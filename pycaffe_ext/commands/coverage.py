"""Measure, on synthetic scores of known truth, what the 95 % intervals cover and how often tests and verdicts err."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

from pycaffe_ext.command_line.parsing import parse
from pycaffe_ext.errors import UserError


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse("coverage", arguments)
    if options["repetitions"] < 1 or options["studies"] < 1 or options["resamples"] < 100:
        raise UserError("--repetitions and --studies must be 1 or more and --resamples 100 or more")
    print_points(options)
    print_seeds(options)
    print_claims(options)


def print_points(options: Mapping[str, Any]) -> None:
    """Intervals and tests of single nets."""
    from pycaffe_ext.evaluation import simulation

    repetitions, resamples = options["repetitions"], options["resamples"]
    print(f"{repetitions} test sets of each world, {resamples} resamples; ± is the standard error")
    print("Coverage should be 95 %. Tests of equal methods should find a difference at most 5 % of the time; where")
    print("the methods differ, the share is the power.\n")
    for name, world in simulation.WORLDS.items():
        shares = simulation.shares(world, repetitions, resamples, options["seed"], progress=True, title=name)
        print(name + ("" if world.sensitivity[0] == world.sensitivity[1] else ": power"))
        for outcome, share in shares.items():
            print(f"  {percent(share, repetitions)}  {simulation.MEANINGS[outcome]}")
        print(flush=True)


def print_seeds(options: Mapping[str, Any]) -> None:
    """Intervals of a mean over seeds."""
    from pycaffe_ext.evaluation import study_worlds
    from pycaffe_ext.report import claims_worlds

    repetitions, resamples = options["repetitions"], options["resamples"]
    print(f"Sensitivity over seeds: {repetitions} studies of each world; the 95 % interval covers the truth with\n")
    print(f"  {'the covariance of cases':24} {'their overlap alone':24} neither")
    for name, world in claims_worlds.INTERVALS.items():
        shares = study_worlds.coverage(world, repetitions, resamples, options["seed"], progress=True)
        cells = [percent(shares[kind], repetitions) for kind in ("cases", "overlap", "plain")]
        print(f"  {cells[0]:24} {cells[1]:24} {cells[2]:16} {name}", flush=True)
    print()


def print_claims(options: Mapping[str, Any]) -> None:
    """Verdicts of whole studies."""
    from pycaffe_ext.report import claims_worlds

    studies, seed = options["studies"], options["seed"]
    print(f"Verdicts: {studies} studies of each world through the whole chain of claims\n")
    for name, world in claims_worlds.WORLDS.items():
        level = claims_worlds.level(world, studies, seed=seed, progress=True)
        print(f"{name}: {percent(level.false, studies)} of the studies have a false verdict")
        print("     shown     against  p < .05 unadjusted")
        for statement, own in level.claims.items():
            shares = "  ".join(f"{100 * share:6.1f} %" for share in (own.shown, own.against, own.p_low))
            print(f"  {shares}  {claims_worlds.TRUTHS[own.truth]:5} {statement}")
        print(flush=True)
    power = claims_worlds.power_at_smallest(claims_worlds.POWER, studies, seed=seed, progress=True)
    print(f"  {percent(power, studies)}  a difference of the smallest size that a study is said to show is shown")


def percent(share: float, trials: int) -> str:
    """A share with its standard error."""
    return f"{100 * share:5.1f} % ± {100 * sqrt(share * (1 - share) / trials):3.1f}"
