"""Whether the verdicts on claims keep their level, and what they find: whole studies of known truth, through `claims`.

Every study is drawn as scored candidates, and goes through `study_figures` and `claims` as a real one does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from pycaffe_ext.evaluation.contrasts import LEVEL, Figure, Test, Verdict
from pycaffe_ext.evaluation.convergence import Course
from pycaffe_ext.evaluation.study_figures import StudyFigures
from pycaffe_ext.evaluation.study_worlds import StudyWorld, figures_of
from pycaffe_ext.progress import bar
from pycaffe_ext.report.claims import Claim, Method, claims
from pycaffe_ext.schemes import compared

DETECTOR = "detector"
SCHEMES = tuple(compared("alexnet"))
RATES = (0.5, 1.0, 2.0)
RESAMPLES = 200
USUAL = StudyWorld()
TRUTHS = {1: "true", 0: "open", -1: "false", None: "alike"}  # what `truths` says, for readers
TRUTH = 0.8  # sensitivity of a scheme of which nothing else is said


def schemes(**others: float) -> dict[str, float]:
    """Sensitivity at the world's rate of the nine schemes and the detector; others : of those that differ, _ for -."""
    named = {name.replace("_", "-"): value for name, value in others.items()}
    return {name: named.get(name, TRUTH) for name in (*SCHEMES, DETECTOR)}


def rising(step: float) -> dict[str, float]:
    """Each further stage that learns adds `step`; scratch and the detector are as good as the shallowest."""
    tuned = [name for name in SCHEMES if name.startswith("ft-")]
    deep = sorted(tuned, key=lambda name: Method(name, name).learning or 0)
    return schemes() | {name: TRUTH - 4 * step + step * i for i, name in enumerate(deep)}


def worse_by(loss: float, world: StudyWorld = USUAL) -> dict[str, float]:
    """The deep nets have, in the mean over the rates, `loss` less than the others."""
    from scipy.optimize import brentq

    def lost(sensitivity: float) -> float:
        return _mean(world, TRUTH) - _mean(world, sensitivity) - loss

    deep = float(brentq(lost, 0.3, TRUTH))
    return schemes(ft_conv1=deep, ft_conv2=deep)


def _mean(world: StudyWorld, sensitivity: float) -> float:
    return float(np.mean([world.true_sensitivity(sensitivity, rate) for rate in RATES]))


WORLDS = {
    "nine equal schemes, 3 seeds, 400 images": StudyWorld(schemes()),
    "nine equal schemes, 5 seeds, 20 videos": StudyWorld(schemes(), seeds=5, groups=20, pool=40, frames=5, spread=0.7),
    "nine equal schemes, 3 seeds, one test set": StudyWorld(schemes(), pool=400),
    "ft-fc8 worse by 0.08, 5 seeds": StudyWorld(schemes(ft_fc8=TRUTH - 0.08), seeds=5),
    "ft-fc8 worse by 0.08, 10 seeds": StudyWorld(schemes(ft_fc8=TRUTH - 0.08), seeds=10),
    "0.02 more with each depth, 5 seeds": StudyWorld(rising(0.02), seeds=5),
    "deep worse by the margin of 0.05, 10 seeds": StudyWorld(worse_by(0.05), seeds=10),
    "deep worse by 0.08, 5 seeds": StudyWorld(worse_by(0.08), seeds=5),
    "deep as good, training spread 0.02, 10 seeds": StudyWorld(schemes(), seeds=10, training=0.02),
}
POWER = StudyWorld(schemes(), seeds=10, training=0.02)  # of `power_at_smallest`
INTERVALS = {
    f"{seeds} seeds, {text}": StudyWorld({"net": TRUTH}, seeds=seeds, training=training, **options)
    for seeds in (3, 5, 10)
    for text, training, options in (
        ("400 images, halves", 0.04, {}),
        ("400 images, halves, trainings alike", 0.0, {}),
        ("20 videos, halves", 0.04, {"groups": 20, "pool": 40, "frames": 5, "spread": 0.7}),
        ("100 images, one test set", 0.04, {"groups": 100, "pool": 100}),
    )
}


def study_claims(world: StudyWorld, rng: np.random.Generator, resamples: int = RESAMPLES) -> list[Claim]:
    """The verdicts of one study."""
    return _claims(world, figures_of(world, rng, RATES, resamples), _courses(world, rng))


def _claims(world: StudyWorld, figures: StudyFigures, courses: Mapping[str, Mapping[int, Course]]) -> list[Claim]:
    methods = [Method(name, name) for name in world.sensitivity if name != DETECTOR]
    return claims(methods, DETECTOR, figures, courses)


def _courses(world: StudyWorld, rng: np.random.Generator) -> dict[str, dict[int, Course]]:
    """Every net converges after 1 to 20 epochs, alike for all; one in ten is stopped by the cap."""
    return {
        name: {
            seed: Course(((1.0, 0.5), (float(rng.integers(2, 21)), 0.9)), 20, bool(rng.random() > 0.1))
            for seed in range(world.seeds)
        }
        for name in world.sensitivity
        if name != DETECTOR
    }


def truths(world: StudyWorld) -> dict[str, int]:
    """statement -> 1 where it is true, -1 where the opposite is, 0 in between or at the margin; contrasts only."""
    names = tuple(world.sensitivity)
    own = tuple(world.sensitivity.values())
    at = {rate: _known(np.array([world.true_sensitivity(value, rate) for value in own])) for rate in RATES}
    mean = _known(np.array([_mean(world, value) for value in own]))
    figures = StudyFigures((0, 1), names, at, mean, _known(np.array([world.true_auc(value) for value in own])))
    return {row.statement: _sign(row.test) for row in _claims(world, figures, {}) if isinstance(row.test, Test)}


def _known(values: np.ndarray) -> Figure:
    """Values without error, but for a trace that differs between two seeds and cancels in their mean."""
    trace = 1e-9 * np.arange(1, values.size + 1) ** 2
    schemes = values.size
    return Figure(np.stack([values + trace, values - trace]), np.zeros((2, schemes, 2, schemes)), 1000)


def _sign(test: Test) -> int:
    distance = test.estimate.value - test.null
    return 0 if abs(distance) < 1e-6 else int(np.sign(distance))


@dataclass(frozen=True)
class Outcome:
    """Of one claim over all studies: shares.  truth : see `truths`; None for convergence, which is alike for all.

    shown, against : verdicts        p_low : two-sided p below 0.05 before Holm's adjustment
    """

    truth: int | None
    shown: float
    against: float
    p_low: float


@dataclass(frozen=True)
class Level:
    """false : share of studies with one false verdict or more        claims : statement -> outcome"""

    false: float
    claims: dict[str, Outcome]


def level(world: StudyWorld, studies: int, resamples: int = RESAMPLES, seed: int = 0, progress: bool = False) -> Level:
    """What the verdicts say in `studies` studies of a world, and how often that is wrong.

    A verdict is false if it is SHOWN and the truth is not above what the claim tests, or AGAINST and not below.
    """
    rng, truth = np.random.default_rng(seed), truths(world)
    found = [study_claims(world, rng, resamples) for _ in bar(range(studies), "studies", progress=progress)]
    outcomes = {
        row.statement: _outcome(truth.get(row.statement), [study[i] for study in found])
        for i, row in enumerate(found[0])
    }
    wrong = [any(map(partial(_is_false, truth), study)) for study in found]
    return Level(float(np.mean(wrong)), outcomes)


def _is_false(truth: Mapping[str, int], claim: Claim) -> bool:
    sign = truth.get(claim.statement, 0)
    return (claim.verdict is Verdict.SHOWN and sign <= 0) or (claim.verdict is Verdict.AGAINST and sign >= 0)


def _outcome(truth: int | None, rows: list[Claim]) -> Outcome:
    def share(wanted: Verdict) -> float:
        return float(np.mean([row.verdict is wanted for row in rows]))

    low = float(np.mean([row.p is not None and row.p < LEVEL for row in rows]))
    return Outcome(truth, share(Verdict.SHOWN), share(Verdict.AGAINST), low)


def power_at_smallest(
    world: StudyWorld, studies: int, resamples: int = RESAMPLES, seed: int = 0, progress: bool = False
) -> float:
    """How often a true difference of the size that a study calls the smallest it shows is shown: about 80 %.

    The smallest is read from studies without a difference, as their median for the claim on the last two layers; then
    ft-fc8 is made worse by as much, in the mean over the rates.
    """
    rng = np.random.default_rng(seed)
    first = [_last_two(world, rng, resamples).smallest for _ in range(max(studies // 4, 1))]
    size = float(np.median([smallest for smallest in first if smallest is not None]))
    changed = replace(world, sensitivity={**world.sensitivity, "ft-fc8": worse_by(size, world)["ft-conv1"]})
    steps = bar(range(studies), "studies", progress=progress)
    found = [_last_two(changed, rng, resamples) for _ in steps]
    return float(np.mean([row.p is not None and row.p < LEVEL / row.tested for row in found]))


def _last_two(world: StudyWorld, rng: np.random.Generator, resamples: int) -> Claim:
    """The claim that tuning the last two layers beats tuning only the last, in a study."""
    return next(row for row in study_claims(world, rng, resamples) if row.contrast == "ft-fc7 minus ft-fc8")
