"""Grids of known truth, to find out whether claims 2 and 3 and the recommendation keep their level.

A grid is drawn as what its runs come to.  A training moves a net's figure by a normal error; every test group moves the
figures of all nets, by a part that they share and parts of the schemes and of the net of a fraction.  Each seed tests
on some of the groups, as splits are drawn, and the covariance comes from the groups' parts, as it does for an AUC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

import numpy as np

from pycaffe_ext.evaluation.contrasts import LEVEL, Figure, Verdict
from pycaffe_ext.evaluation.findings import depths, gaps, growth, noninferior
from pycaffe_ext.evaluation.findings.every import claims
from pycaffe_ext.evaluation.findings.model import Evidence, Merit, Scheme

SCHEMES = (Scheme("ft-fc8", 1), Scheme("ft-conv4", 5), Scheme("ft-conv1", 8, deep=True), Scheme("scratch", None))
FRACTIONS = ("1", "1/4", "1/20")
MARGIN = 0.02
MERIT = Merit("AUC", "AUC", 1.0, (0.0, 1.0), True, MARGIN)
DRAWS = 1000
Truth = tuple[tuple[float, ...], ...]  # by scheme and fraction

MEANINGS = {
    "gap": f"claim 2 is shown or shown against in an application where the gap does not grow, p < {LEVEL}",
    "gap_found": f"claim 2 is shown in an application where the gap grows, p < {LEVEL}",
    "gaps": "the same over applications, where it does not grow in any",
    "gaps_found": "the same over applications, where it grows in all",
    "best": "the best depth is shown to depend on the application, where one depth is the best in all",
    "best_found": "the same where it does",
    "alike": "depth is shown to act otherwise by application, where it does not",
    "alike_found": "the same where it does",
    "verdict": "one or more of these is shown wrongly by Holm's p",
    "worse": "the recommendation on all data is worse than the best by the margin or more",
    "recommended": "a scheme is recommended",
    "right": "the recommended scheme is the shallowest that is not worse by the margin",
    "twice": "the interval of what twice the data bring to the deepest tuning covers the truth",
}


@dataclass(frozen=True)
class GridWorld:
    """truth : application -> figure by scheme (SCHEMES) and fraction (FRACTIONS), the mean over trainings
    seeds : trainings of each net   training, scratch : standard deviation between them, of tuned nets and from scratch
    groups, pool : of a test set, and of the data set that it is drawn from
    cases : standard deviation of one scheme's figure over test sets   shared : how much of its variance all nets share
    shared_pictures : whether the applications have one data set
    """

    truth: Mapping[str, Truth]
    seeds: int = 3
    training: float = 0.006
    scratch: float = 0.03
    groups: int = 100
    pool: int = 200
    cases: float = 0.02
    shared: float = 0.95
    shared_pictures: bool = False


def flat(*means: float) -> Truth:
    """The same at every fraction."""
    return tuple((mean,) * len(FRACTIONS) for mean in means)


EQUAL = flat(0.8, 0.8, 0.8, 0.8)
GROWING = ((0.78, 0.76, 0.73), (0.80, 0.77, 0.74), (0.80, 0.77, 0.74), (0.76, 0.66, 0.56))
STEADY = ((0.78, 0.74, 0.70), (0.80, 0.76, 0.72), (0.82, 0.78, 0.74), (0.75, 0.71, 0.67))
SHALLOW = flat(0.82, 0.80, 0.76, 0.70)
MIDDLE = flat(0.76, 0.82, 0.78, 0.70)
DEEP = flat(0.76, 0.79, 0.82, 0.70)
AT_MARGIN = flat(0.78, 0.78, 0.80, 0.78)
WORLDS = {
    "equal schemes, 3 seeds": GridWorld({"a": EQUAL, "b": EQUAL, "c": EQUAL, "d": EQUAL}),
    "equal schemes, 5 seeds, one test set": GridWorld({"a": EQUAL, "b": EQUAL}, seeds=5, pool=100),
    "equal schemes, 3 seeds, 20 groups, one data set": GridWorld(
        {"a": EQUAL, "b": EQUAL, "c": EQUAL}, groups=20, pool=40, cases=0.04, shared_pictures=True
    ),
    "a steady gap, deeper is better everywhere, 3 seeds": GridWorld({"a": STEADY, "b": STEADY, "c": STEADY}),
    "a growing gap, 3 seeds": GridWorld({"a": GROWING, "b": GROWING, "c": GROWING}),
    "a growing gap, 5 seeds": GridWorld({"a": GROWING, "b": GROWING, "c": GROWING}, seeds=5),
    "shallow, middle and deep are the best, 3 seeds": GridWorld({"a": SHALLOW, "b": MIDDLE, "c": DEEP}),
    "shallow, middle and deep are the best, 5 seeds": GridWorld({"a": SHALLOW, "b": MIDDLE, "c": DEEP}, seeds=5),
    "all but the deepest worse by the margin, 3 seeds": GridWorld({"a": AT_MARGIN}),
    "all but the deepest worse by the margin, 5 seeds": GridWorld({"a": AT_MARGIN}, seeds=5),
    "all but the deepest worse by the margin, trainings alike, 3 seeds": GridWorld({"a": AT_MARGIN}, scratch=0.006),
}


def draw(world: GridWorld, rng: np.random.Generator) -> list[Evidence]:
    """The evidence of one study."""
    common = rng.normal(size=world.pool)
    return [_evidence(world, name, truth, common, rng) for name, truth in world.truth.items()]


def _evidence(world: GridWorld, name: str, truth: Truth, common: np.ndarray, rng: np.random.Generator) -> Evidence:
    schemes, fractions = len(SCHEMES), len(FRACTIONS)
    columns = schemes * fractions
    if not world.shared_pictures:
        common = rng.normal(size=world.pool)
    own = (1 - world.shared) / 2
    moved = sqrt(world.shared) * common[:, None, None] + sqrt(own) * rng.normal(size=(world.pool, schemes, 1))
    moved = moved + sqrt(own) * rng.normal(size=(world.pool, schemes, fractions))
    moved = world.cases * sqrt(world.groups) * moved.reshape(world.pool, columns)
    spread = np.array([world.scratch if scheme.learning is None else world.training for scheme in SCHEMES])
    means = np.array(truth).reshape(columns)
    values, influence = np.empty((world.seeds, columns)), np.zeros((world.pool, world.seeds, columns))
    for seed in range(world.seeds):
        tested = rng.permutation(world.pool)[: world.groups]
        values[seed] = means + moved[tested].mean(axis=0) + np.repeat(spread, fractions) * rng.normal(size=columns)
        influence[tested, seed] = (moved[tested] - moved[tested].mean(axis=0)) / world.groups
    flat_influence = influence.reshape(world.pool, -1) * sqrt(world.groups / (world.groups - 1))
    covariance = (flat_influence.T @ flat_influence).reshape(*values.shape, *values.shape)
    figure = Figure(values, covariance, world.groups)
    source = "one" if world.shared_pictures else name
    trained = tuple(400 * float(share) for share in (1, 0.25, 0.05))
    return Evidence(name, "alexnet", f"{name}, alexnet", source, MERIT, SCHEMES, FRACTIONS, trained, figure)


def repetition(world: GridWorld, seed: int, number: int) -> dict[str, bool]:
    """What one study says, compared with the truth: see MEANINGS."""
    rng = np.random.default_rng([seed, number])
    evidence = draw(world, rng)
    return {**_claims(world, evidence), **_recommendation(world, evidence[0], rng), **_twice(world, evidence[0], rng)}


def _claims(world: GridWorld, evidence: list[Evidence]) -> dict[str, bool]:
    outcome: dict[str, bool] = {}
    wrong = False
    for found in claims(evidence):
        if not found.primary or found.p is None or found.test is None:
            continue
        name, true = _true(world, found.statement, found.about)
        shown = found.p < LEVEL
        outcome.setdefault(f"{name}_found" if true else name, shown and (found.test.above or not true))
        wrong |= found.verdict is Verdict.AGAINST or (found.verdict is Verdict.SHOWN and not true)
    return {**outcome, "verdict": wrong}


def _true(world: GridWorld, statement: str, about: str) -> tuple[str, bool]:
    """What a finding is called in MEANINGS, and whether it is true in this world."""
    truths = [np.array(truth) for truth in world.truth.values()]
    if statement == gaps.STATEMENT:
        grown = [truth[2, -1] - truth[3, -1] > truth[2, 0] - truth[3, 0] + 1e-9 for truth in truths]
        return "gaps" if "over applications" in about else "gap", all(grown)
    tuned = [truth[:3, 0] for truth in truths]
    if statement == depths.STATEMENT:
        best = [set(np.flatnonzero(own >= own.max() - 1e-9).tolist()) for own in tuned]
        return "best", not set.intersection(*best)
    relative = [(own - own[0]) / (1 - own[0]) for own in tuned]
    return "alike", bool(np.ptp(relative, axis=0).max() > 1e-9)


def _recommendation(world: GridWorld, evidence: Evidence, rng: np.random.Generator) -> dict[str, bool]:
    found = noninferior.recommendation(evidence, FRACTIONS[0], rng, DRAWS).scheme
    truth = np.array(next(iter(world.truth.values())))[:, 0]
    good = truth > truth.max() - MARGIN + 1e-9
    names = [scheme.name for scheme in SCHEMES]
    outcome = {"recommended": found is not None}
    if not good.all():
        outcome["worse"] = found is not None and not good[names.index(found)]
    return outcome | {"right": found == names[int(np.argmax(good))]}


def _twice(world: GridWorld, evidence: Evidence, rng: np.random.Generator) -> dict[str, bool]:
    """Of the deepest tuning, against the law through its true means."""
    place = 2
    found = growth.curve(evidence, SCHEMES[place].name, rng, draws=60).doubling
    if found is None or found.low is None or found.high is None:
        return {}
    errors = 1 - np.array(next(iter(world.truth.values())))[place]
    gain = growth.fit(np.array([1, 0.25, 0.05]), errors).gain
    return {"twice": found.low <= gain <= found.high}
