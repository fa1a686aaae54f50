"""Studies in folds of known truth: two linear learners that are trained on groups of cases and tested by AUC.

The learners see features of their own, alike in law, so that neither is better on average; a handicap on the second
makes a true difference.  Their nets depend on the training groups, as real ones do, so the folds' overlapping training
sets matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from pycaffe_ext.evaluation import roc
from pycaffe_ext.evaluation.contrasts import fold_estimate
from pycaffe_ext.evaluation.designs import Trial
from pycaffe_ext.evaluation.simulation import share_of_each


@dataclass(frozen=True)
class FoldWorld:
    """groups : of `cases` each, half of them positive        features : of each learner
    spread : standard deviation of a group's shift of every feature        luck : of a training, relative to the
    learned direction        handicap : share of the second learner's features that are only noise
    folds, seeds : of the cross-validation; same : whether all seeds have the same folds
    """

    groups: int = 20
    cases: int = 20
    features: int = 50
    spread: float = 0.3
    luck: float = 0.3
    handicap: float = 0.0
    folds: int = 5
    seeds: int = 1
    same: bool = False


def draw(world: FoldWorld, rng: np.random.Generator) -> tuple[np.ndarray, list[Trial]]:
    """(trials,) difference of the two AUCs in each fold of each seed, and which these are."""
    found, trials = areas(world, rng)
    return found[:, 0] - found[:, 1], trials


def areas(world: FoldWorld, rng: np.random.Generator, learners: int = 2) -> tuple[np.ndarray, list[Trial]]:
    """(trials, learners) AUCs in each fold of each seed, and which these are; the second learner has the handicap."""
    label = np.tile(np.arange(world.cases) % 2, (world.groups, 1))
    shape = world.groups, world.cases, learners, world.features
    useful = np.ones((learners, world.features))
    useful[1, : round(world.handicap * world.features)] = 0
    cases = rng.normal(size=shape) + world.spread * rng.normal(size=(world.groups, 1, *shape[2:]))
    cases += label[:, :, None, None] * useful / sqrt(world.features)
    found, trials, cut = [], [], rng.permutation(world.groups) % world.folds
    for seed in range(world.seeds):
        fold = cut if world.same else rng.permutation(world.groups) % world.folds
        for number in range(world.folds):
            found.append(_areas(world, cases, label, fold == number, rng))
            trials.append(Trial(seed, 0 if world.same else seed, number + 1, world.folds))
    return np.array(found), trials


def _areas(
    world: FoldWorld, cases: np.ndarray, label: np.ndarray, test: np.ndarray, rng: np.random.Generator
) -> list[float]:
    learners = cases.shape[2]
    x, y = cases[~test].reshape(-1, learners, world.features), label[~test].ravel()
    direction = x[y == 1].mean(axis=0) - x[y == 0].mean(axis=0)  # (learners, features)
    size = np.linalg.norm(direction, axis=1, keepdims=True) / sqrt(world.features)
    scores = np.einsum("gcnf,nf->gcn", cases[test], direction + world.luck * size * rng.normal(size=direction.shape))
    return [roc.auc(label[test].ravel(), scores[..., net].ravel()) for net in range(learners)]


def shown(world: FoldWorld, studies: int, seed: int = 0, level: float = 0.05) -> dict[str, float]:
    """Share of studies that show a difference, see `repetition`."""
    return share_of_each([repetition(world, seed, number, level) for number in range(studies)])


def repetition(world: FoldWorld, seed: int, number: int, level: float = 0.05) -> dict[str, bool]:
    """Whether the study of that number shows a difference: "folds" by `folds.fold_mean`, "plain" by the t test over all
    folds."""
    values, trials = draw(world, np.random.default_rng([seed, number]))
    unknown = np.full((values.size, values.size), np.nan)
    return {
        "folds": fold_estimate(values, unknown, world.groups, trials).p() < level,
        "plain": _plain(values) < level,
    }


def _plain(values: np.ndarray) -> float:
    from scipy.stats import ttest_1samp

    return float(ttest_1samp(values, 0).pvalue)


MEANINGS = {
    "folds": "the mean over folds differs, by the corrected t test (Nadeau-Bengio), p < .05",
    "plain": "it differs by the plain t test over all folds, p < .05",
}
WORLDS = {
    "5 folds of 20 videos, 1 seed": FoldWorld(),
    "5 folds of 20 videos, 3 seeds": FoldWorld(seeds=3),
    "5 folds of 20 videos, 5 seeds of the same folds": FoldWorld(seeds=5, same=True),
    "5 folds of 40 videos, 5 seeds": FoldWorld(groups=40, seeds=5),
    "5 folds of 40 videos, 5 seeds, half of the features are noise: power": FoldWorld(groups=40, seeds=5, handicap=0.5),
}
