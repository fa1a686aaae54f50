"""Measure, on synthetic scores of known truth, what the 95 % intervals cover and how often the tests err."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from pycaffe_ext.command_line.parsing import parse
from pycaffe_ext.errors import UserError


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse("coverage", arguments)
    repetitions, resamples = options["repetitions"], options["resamples"]
    if repetitions < 1 or resamples < 100:
        raise UserError("--repetitions must be 1 or more and --resamples 100 or more")
    from pycaffe_ext.evaluation import simulation

    print(f"{repetitions} test sets of each world, {resamples} resamples; ± is the standard error\n")
    for name, world in simulation.WORLDS.items():
        shares = simulation.shares(world, repetitions, resamples, options["seed"], progress=True)
        print(name)
        for outcome, share in shares.items():
            error = sqrt(share * (1 - share) / repetitions)
            print(f"  {100 * share:5.1f} % ± {100 * error:3.1f}  {simulation.MEANINGS[outcome]}")
        print(flush=True)
