"""Measure, on synthetic scores of known truth, what the 95 % intervals cover and how often tests and verdicts err."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import sqrt
from typing import Any

from pycaffe_ext.command_line.parsing import parse
from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.trials import Block, run

HEAD = """\
{repetitions} test sets of each world, {studies} studies, {resamples} resamples, seed {seed}; ± is the standard error
Coverage should be 95 %.  Tests of equal methods should find a difference at most 5 % of the time; where the methods
differ, the share is the power.
"""
STUDY_HEAD = "     shown   against  p < .05 above, below  smallest"


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse("coverage", arguments)
    if options["repetitions"] < 1 or options["studies"] < 1 or options["resamples"] < 100:
        raise UserError("--repetitions and --studies must be 1 or more and --resamples 100 or more")
    print(HEAD.format(**options))
    parts = (points, labels, seeds, folds, falls, grids, verdicts)
    printers = {block: printer for part in parts for block, printer in part(options).items()}
    title = ""
    for block, found in run(list(printers), "coverage"):
        heading, show = printers[block]
        if heading != title:
            print(f"## {heading}\n")
        title = heading
        show(block, found)
        print(flush=True)
    print_power(options)


Printers = dict[Block, tuple[str, Callable[[Block, list[Any]], None]]]


def points(options: Mapping[str, Any]) -> Printers:
    """Intervals and tests of single detectors, by lesion."""
    from pycaffe_ext.evaluation import simulation

    work = partial(_simulated, resamples=options["resamples"], seed=options["seed"])
    blocks = [
        Block(name + _power(world.sensitivity), partial(work, world), options["repetitions"])
        for name, world in simulation.WORLDS.items()
    ]
    return dict.fromkeys(blocks, ("Candidates in frames", partial(print_shares, simulation.MEANINGS)))


def _simulated(world: Any, number: int, resamples: int, seed: int) -> dict[str, bool]:
    from pycaffe_ext.evaluation import simulation

    return simulation.repetition(world, resamples, seed, number)


def labels(options: Mapping[str, Any]) -> Printers:
    """Intervals and tests of classifications."""
    from pycaffe_ext.evaluation import class_worlds

    return _of_worlds(options, class_worlds, "Classified pictures", lambda world: _power(world.gain))


def _of_worlds(
    options: Mapping[str, Any], module: Any, heading: str, note: Callable[[Any], str] = lambda _: ""
) -> Printers:
    """A block for each of the WORLDS of a module, by its `repetition`.  note : what is added to a world's name"""
    blocks = [
        Block(name + note(world), partial(module.repetition, world, options["seed"]), options["repetitions"])
        for name, world in module.WORLDS.items()
    ]
    return dict.fromkeys(blocks, (heading, partial(print_shares, module.MEANINGS)))


def seeds(options: Mapping[str, Any]) -> Printers:
    """Intervals of a mean over seeds."""
    from pycaffe_ext.evaluation import study_worlds
    from pycaffe_ext.report import claims_worlds

    blocks = [
        Block(
            name,
            partial(study_worlds.repetition, world, options["resamples"], options["seed"]),
            options["repetitions"],
        )
        for name, world in claims_worlds.INTERVALS.items()
    ]
    return dict.fromkeys(blocks, ("Sensitivity in the mean over seeds", partial(print_shares, study_worlds.MEANINGS)))


def folds(options: Mapping[str, Any]) -> Printers:
    """Tests of two learners in cross-validations."""
    from pycaffe_ext.evaluation import fold_worlds

    return _of_worlds(options, fold_worlds, "Studies in folds")


def falls(options: Mapping[str, Any]) -> Printers:
    """Intervals of the fall on another data set."""
    from pycaffe_ext.evaluation import fall_worlds

    return _of_worlds(options, fall_worlds, "Falls on other data sets")


def grids(options: Mapping[str, Any]) -> Printers:
    """Claims 2 and 3 and the recommendation of studies over a grid."""
    from pycaffe_ext.evaluation.findings import worlds

    studies = {**options, "repetitions": options["studies"]}
    return _of_worlds(studies, worlds, "Studies over a grid")


def verdicts(options: Mapping[str, Any]) -> Printers:
    """Whole studies through the chain of claims."""
    from pycaffe_ext.report import claims_worlds

    blocks = {
        Block(
            name, partial(claims_worlds.study, world, claims_worlds.RESAMPLES, options["seed"]), options["studies"]
        ): (
            "Verdicts of studies",
            partial(print_claims, world),
        )
        for name, world in claims_worlds.WORLDS.items()
    }
    return dict(blocks)


def print_power(options: Mapping[str, Any]) -> None:
    """The smallest difference that a study is said to show with a chance of 80 %, and how often it does."""
    from pycaffe_ext.report import claims_worlds

    resamples, seed, studies = claims_worlds.RESAMPLES, options["seed"], options["studies"]
    few = max(studies // 4, 1)
    worlds = claims_worlds.POWERS
    blocks = [
        Block(name, partial(claims_worlds.smallest, world, resamples, seed), few) for name, world in worlds.items()
    ]
    changed = [claims_worlds.worse(worlds[block.title], found) for block, found in run(blocks, "smallest differences")]
    blocks = [
        Block(f"{name}: {size:.3f}", partial(claims_worlds.finds, world, resamples, seed + 1), studies)
        for name, (world, size) in zip(worlds, changed, strict=True)
    ]
    print("## Smallest differences that a study is said to show with a chance of 80 %\n")
    for block, found in run(blocks, "power"):
        print(f"  {percent(sum(found) / studies, studies)}  shown of {block.title}", flush=True)


def print_shares(meanings: Mapping[str, str], block: Block, found: list[Any]) -> None:
    from pycaffe_ext.evaluation.simulation import share_of_each

    shares = share_of_each(found)
    print(block.title)
    for outcome, meaning in meanings.items():
        if outcome in shares:
            print(f"  {percent(shares[outcome], block.repetitions)}  {meaning}")


def print_claims(world: Any, block: Block, found: list[Any]) -> None:
    from pycaffe_ext.report import claims_worlds

    level = claims_worlds.level_of(world, found)
    print(f"{block.title}: {percent(level.false, block.repetitions)} of the studies have a false verdict")
    print(STUDY_HEAD)
    for statement, own in level.claims.items():
        shares = "  ".join(f"{100 * share:6.1f} %" for share in (own.shown, own.against, own.p_above, own.p_below))
        smallest = "      -" if own.smallest is None else f"{own.smallest:7.3f}"
        print(f"  {shares}  {smallest}  {claims_worlds.TRUTHS[own.truth]:5} {statement}")


def _power(values: Sequence[float]) -> str:
    return "" if len(set(values)) == 1 else ": power"


def percent(share: float, trials: int) -> str:
    """A share with its standard error."""
    return f"{100 * share:5.1f} % ± {100 * sqrt(share * (1 - share) / trials):3.1f}"
