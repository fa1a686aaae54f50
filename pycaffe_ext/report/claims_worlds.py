"""Whether the verdicts on claims keep their level, and what they find: whole studies of known truth, through `claims`.

Every study is drawn as scored candidates, and goes through `study_figures` and `claims` as a real one does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from pycaffe_ext.evaluation.contrasts import LEVEL, Figure, Test, Verdict
from pycaffe_ext.evaluation.convergence import Course
from pycaffe_ext.evaluation.findings.model import Finding
from pycaffe_ext.evaluation.margins import MARGINS
from pycaffe_ext.evaluation.study_figures import StudyFigures
from pycaffe_ext.evaluation.study_worlds import StudyWorld, figures_of
from pycaffe_ext.report.claims import Method, claims, of_curves
from pycaffe_ext.schemes import compared, is_depth

DETECTOR, DEEPEST = "detector", "ft-conv1"
SCHEMES = tuple(compared("alexnet"))
RATES = (0.5, 1.0, 2.0)
RESAMPLES = 200
USUAL = StudyWorld()
TRUTHS = {1: "true", 0: "open", -1: "false", None: "alike"}  # what `truths` says, for readers
SOONER = "Deeply tuned nets converge sooner than nets from scratch"
TRUTH = 0.8  # sensitivity of a scheme of which nothing else is said


def schemes(**others: float) -> dict[str, float]:
    """Sensitivity at the world's rate of the nine schemes and the detector; others : of those that differ, _ for -."""
    named = {name.replace("_", "-"): value for name, value in others.items()}
    return {name: named.get(name, TRUTH) for name in (*SCHEMES, DETECTOR)}


def rising(step: float) -> dict[str, float]:
    """Each further stage that learns adds `step`; scratch and the detector are as good as the shallowest."""
    tuned = [name for name in SCHEMES if is_depth(name)]
    deep = sorted(tuned, key=lambda name: Method(name, name).learning or 0)
    return schemes() | {name: TRUTH - 4 * step + step * i for i, name in enumerate(deep)}


def with_fillers(loss: float, world: StudyWorld = USUAL) -> dict[str, float]:
    """Training from scratch from three fillers, of which msra has an AUC that is `loss` below that of the others."""
    from scipy.optimize import brentq

    msra = float(brentq(lambda sensitivity: world.true_auc(TRUTH) - world.true_auc(sensitivity) - loss, 0.3, TRUTH))
    return schemes() | {"scratch-xavier": TRUTH, "scratch-msra": msra}


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
    "nine equal schemes, 5 seeds, 30 unequal videos with swarms": StudyWorld(
        schemes(), seeds=5, groups=30, pool=60, frames=5, spread=0.7, uneven=1.0, swarm=1.0
    ),
    "nine equal schemes, 3 seeds, one test set": StudyWorld(schemes(), pool=400),
    "ft-fc8 worse by 0.08, 5 seeds": StudyWorld(schemes(ft_fc8=TRUTH - 0.08), seeds=5),
    "ft-fc8 worse by 0.08, 10 seeds": StudyWorld(schemes(ft_fc8=TRUTH - 0.08), seeds=10),
    "0.02 more with each depth, 5 seeds": StudyWorld(rising(0.02), seeds=5),
    "deep worse by the margin of 0.05, 10 seeds": StudyWorld(worse_by(0.05), seeds=10, training=0.02),
    "deep worse by 0.08, 5 seeds": StudyWorld(worse_by(0.08), seeds=5),
    "deep as good, training spread 0.02, 10 seeds": StudyWorld(schemes(), seeds=10, training=0.02),
    "three fillers, msra worse by the margin of 0.02 AUC, 10 seeds": StudyWorld(
        with_fillers(MARGINS.auc), seeds=10, training=0.02
    ),
    "three fillers, all as good, 10 seeds": StudyWorld(with_fillers(0.0), seeds=10, training=0.02),
    "the deepest net converges in half the epochs, 10 seeds": StudyWorld(
        schemes(), seeds=10, training=0.02, sooner=0.5
    ),
}
POWERS = {  # designs whose smallest difference is compared with how often it is shown
    "5 seeds, 400 images": StudyWorld(schemes(), seeds=5, training=0.02),
    "10 seeds, 400 images": StudyWorld(schemes(), seeds=10, training=0.02),
    "10 seeds, 40 videos": StudyWorld(schemes(), seeds=10, training=0.02, groups=40, pool=80, frames=5, spread=0.7),
}
UNEQUAL = {"groups": 20, "pool": 40, "frames": 5, "spread": 0.7, "uneven": 1.0, "swarm": 1.0}
INTERVALS = {
    f"{seeds} seeds, {text}": StudyWorld({"net": TRUTH}, seeds=seeds, training=training, **options)
    for seeds in (3, 5, 10)
    for text, training, options in (
        ("400 images, halves", 0.04, {}),
        ("400 images, halves, trainings alike", 0.0, {}),
        ("20 videos, halves", 0.04, {"groups": 20, "pool": 40, "frames": 5, "spread": 0.7}),
        ("20 unequal videos with swarms, halves", 0.04, UNEQUAL),
        ("100 images, one test set", 0.04, {"groups": 100, "pool": 100}),
    )
}


def study_claims(world: StudyWorld, rng: np.random.Generator, resamples: int = RESAMPLES) -> list[Finding]:
    """The verdicts of one study."""
    return _claims(world, figures_of(world, rng, RATES, resamples), _courses(world, rng))


def study(world: StudyWorld, resamples: int, seed: int, number: int) -> list[Finding]:
    """`study_claims` of the study of that number."""
    return study_claims(world, np.random.default_rng([seed, number]), resamples)


def _claims(world: StudyWorld, figures: StudyFigures, courses: Mapping[str, Mapping[int, Course]]) -> list[Finding]:
    methods = [Method(name, name) for name in world.sensitivity if name != DETECTOR]
    return claims(methods, DETECTOR, of_curves(figures), courses)


def _courses(world: StudyWorld, rng: np.random.Generator) -> dict[str, dict[int, Course]]:
    """Every net converges after 1 to 20 epochs, the deepest sooner by the world's part; one in ten is stopped by the
    cap."""
    return {
        name: {
            seed: Course(((0.5, 0.5), (_epoch(world, name, rng), 0.9)), 20, bool(rng.random() > 0.1))
            for seed in range(world.seeds)
        }
        for name in world.sensitivity
        if name != DETECTOR
    }


def _epoch(world: StudyWorld, name: str, rng: np.random.Generator) -> float:
    return float(rng.integers(2, 21)) * (1 - world.sooner * (name == DEEPEST))


def truths(world: StudyWorld) -> dict[str, int]:
    """statement -> 1 where it is true, -1 where the opposite is, 0 in between or at the margin.

    Contrasts, and convergence where the nets differ in it."""
    names = tuple(world.sensitivity)
    own = tuple(world.sensitivity.values())
    at = {rate: _known(np.array([world.true_sensitivity(value, rate) for value in own])) for rate in RATES}
    mean = _known(np.array([_mean(world, value) for value in own]))
    figures = StudyFigures((0, 1), names, at, mean, _known(np.array([world.true_auc(value) for value in own])))
    found = {row.statement: _sign(row.test) for row in _claims(world, figures, {}) if isinstance(row.test, Test)}
    return found | ({SOONER: 1} if world.sooner else {})


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
    """Of one claim over all studies: shares.  truth : see `truths`; None for convergence that is alike for all.

    shown, against : verdicts        p_above, p_below : p below 0.05 on either side, before Holm's adjustment
    smallest : median of the smallest difference that a study can show; None where there is none
    """

    truth: int | None
    shown: float
    against: float
    p_above: float
    p_below: float
    smallest: float | None


@dataclass(frozen=True)
class Level:
    """false : share of studies with one false verdict or more        claims : statement -> outcome"""

    false: float
    claims: dict[str, Outcome]


def level(world: StudyWorld, studies: int, resamples: int = RESAMPLES, seed: int = 0) -> Level:
    """`level_of` `studies` studies of a world."""
    return level_of(world, [study(world, resamples, seed, number) for number in range(studies)])


def level_of(world: StudyWorld, found: Sequence[Sequence[Finding]]) -> Level:
    """What the verdicts of studies of a world say, and how often that is wrong.

    A verdict is false if it is SHOWN and the truth is not above what the claim tests, or AGAINST and not below.
    """
    truth = truths(world)
    outcomes = {
        row.statement: _outcome(truth.get(row.statement), [claims[i] for claims in found])
        for i, row in enumerate(found[0])
    }
    wrong = [any(map(partial(_is_false, truth), claims)) for claims in found]
    return Level(float(np.mean(wrong)), outcomes)


def _is_false(truth: Mapping[str, int], claim: Finding) -> bool:
    sign = truth.get(claim.statement, 0)
    return (claim.verdict is Verdict.SHOWN and sign <= 0) or (claim.verdict is Verdict.AGAINST and sign >= 0)


def _outcome(truth: int | None, rows: Sequence[Finding]) -> Outcome:
    def share(true: Callable[[Finding], bool]) -> float:
        return float(np.mean([true(row) for row in rows]))

    smallest = [row.smallest for row in rows if row.smallest is not None]
    return Outcome(
        truth,
        share(lambda row: row.verdict is Verdict.SHOWN),
        share(lambda row: row.verdict is Verdict.AGAINST),
        share(lambda row: _below(row, True)),
        share(lambda row: _below(row, False)),
        float(np.median(smallest)) if smallest else None,
    )


def _below(claim: Finding, for_it: bool) -> bool:
    """Whether p is below the level on the side that is for the claim, or against it."""
    return claim.test is not None and claim.p is not None and claim.p < LEVEL and claim.test.above is for_it


def smallest(world: StudyWorld, resamples: int, seed: int, number: int) -> float:
    """The smallest difference that the study of that number is said to show, for the claim on the last two layers."""
    found = _last_two(study(world, resamples, seed, number)).smallest
    return np.nan if found is None else found


def worse(world: StudyWorld, smallest: Sequence[float]) -> tuple[StudyWorld, float]:
    """The world where ft-fc8 has less by the median of what `smallest` gave, in the mean over the rates; the median."""
    size = float(np.nanmedian(smallest))
    return replace(world, sensitivity={**world.sensitivity, "ft-fc8": worse_by(size, world)[DEEPEST]}), size


def finds(world: StudyWorld, resamples: int, seed: int, number: int) -> bool:
    """Whether the study of that number shows it, at the level for which the smallest difference is given."""
    row = _last_two(study(world, resamples, seed, number))
    return row.p is not None and row.p < LEVEL / row.tested


def _last_two(rows: Sequence[Finding]) -> Finding:
    """The claim that tuning the last two layers beats tuning only the last."""
    return next(row for row in rows if row.contrast == "ft-fc7 minus ft-fc8")
