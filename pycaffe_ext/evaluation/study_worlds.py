"""Studies of known truth: several schemes trained with several seeds and tested on overlapping sets.

A data set has `pool` groups (images, videos), drawn from a population; each seed tests on some of them.  Training
gives each net a sensitivity of its own, normal about the scheme's.  Scores are normal: an own part of each net, one
that all nets of all seeds share for a candidate, and a shift of all lesions and of all false positives of a group.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import sqrt

import numpy as np

from pycaffe_ext.evaluation import froc
from pycaffe_ext.evaluation.seeds import group_overlap, scheme_interval, seed_interval
from pycaffe_ext.evaluation.simulation import share_of_each
from pycaffe_ext.evaluation.study_figures import StudyFigures, study_figures
from pycaffe_ext.evaluation.worlds import false_counts, lengths

MEANINGS = {
    "cases": "interval over seeds with the covariance of cases covers the truth",
    "overlap": "interval over seeds with the overlap of test sets alone covers the truth",
    "plain": "plain t interval, as if seeds were independent, covers the truth",
}
LIMITS = 0.02, 0.98  # of a net's true sensitivity


@dataclass(frozen=True)
class StudyWorld:
    """sensitivity : scheme -> in the population at `rate`, the mean over trainings
    seeds : trainings of each scheme        training : standard deviation between them, of sensitivity
    groups, pool : of a test set, and of the data set that it is drawn from; equal numbers: every seed has the same
    frames : of a group, each with a lesion and `false` false candidates        rate : false positives per frame
    spread : standard deviation between groups of the scores of lesions and of false candidates
    shared : correlation of two nets' scores of a candidate within a group
    uneven, swarm : of the groups' frames and of their false candidates, as of a `worlds.World`
    sooner : part of the epochs that the deepest net saves
    """

    sensitivity: Mapping[str, float] = field(default_factory=dict)
    seeds: int = 3
    training: float = 0.04
    groups: int = 400
    pool: int = 800
    frames: int = 1
    false: int = 4
    rate: float = 1.0
    spread: float = 0.0
    shared: float = 0.5
    uneven: float = 0.0
    swarm: float = 0.0
    sooner: float = 0.0

    def threshold(self, rate: float) -> float:
        """Above it lie `rate` false positives per frame."""
        from scipy.special import ndtri

        return float(sqrt(1 + self.spread**2) * ndtri(1 - rate / self.false))

    def shift(self, sensitivity: float) -> float:
        """Mean score of the lesions of a net with that sensitivity; false candidates have 0."""
        from scipy.special import ndtri

        return self.threshold(self.rate) + sqrt(1 + self.spread**2) * float(ndtri(sensitivity))

    def true_sensitivity(self, sensitivity: float, rate: float) -> float:
        """At another rate, of a net with that sensitivity at `self.rate`."""
        from scipy.special import ndtr

        return float(ndtr((self.shift(sensitivity) - self.threshold(rate)) / sqrt(1 + self.spread**2)))

    def true_auc(self, sensitivity: float) -> float:
        from scipy.special import ndtr

        return float(ndtr(self.shift(sensitivity) / sqrt(2 + 2 * self.spread**2)))


Study = tuple[dict[int, dict[str, froc.Cases]], dict[int, list[int]]]


def draw_study(world: StudyWorld, rng: np.random.Generator) -> Study:
    """seed -> scheme -> scored candidates, and seed -> group of each test frame."""
    owner = np.repeat(np.arange(world.pool), lengths(world.pool, world.frames, world.uneven, rng))
    false = false_counts(world.false, world.swarm, owner, rng)
    marks = np.arange(1 + false.max()) <= false[:, None]  # (frames, candidates): the lesion, then what is false
    lesion = np.tile(np.arange(marks.shape[1]) == 0, (owner.size, 1)).astype(np.int64)
    between = rng.normal(size=(world.pool, 2))[owner]  # lesions', false candidates'
    common = sqrt(world.shared) * rng.normal(size=lesion.shape) + world.spread * np.where(
        lesion == 1, between[:, :1], between[:, 1:]
    )
    cases, group = {}, {}
    for seed in range(world.seeds):
        taken = np.sort(rng.permutation(world.pool)[: world.groups])
        rows = np.flatnonzero(np.isin(owner, taken))
        group[seed] = owner[rows].tolist()
        cases[seed] = {
            name: _scored(world, own, common[rows], lesion[rows], marks[rows], rng)
            for name, own in world.sensitivity.items()
        }
    return cases, group


def _scored(
    world: StudyWorld,
    sensitivity: float,
    common: np.ndarray,
    lesion: np.ndarray,
    marks: np.ndarray,
    rng: np.random.Generator,
) -> froc.Cases:
    """A net's training and test."""
    trained = float(np.clip(sensitivity + world.training * rng.normal(), *LIMITS))
    own = sqrt(1 - world.shared) * rng.normal(size=common.shape)
    scores = common + own + world.shift(trained) * lesion
    frame = np.flatnonzero(marks) // marks.shape[1]
    return froc.Cases(frame, scores[marks], lesion[marks], np.ones(len(lesion), np.int64))


def figures_of(world: StudyWorld, rng: np.random.Generator, rates: tuple[float, ...], resamples: int) -> StudyFigures:
    """The figures of one study."""
    cases, group = draw_study(world, rng)
    return study_figures(cases, group, rates, "lesion", resamples, seed=int(rng.integers(2**31)))


def coverage(world: StudyWorld, studies: int, resamples: int, seed: int = 0) -> dict[str, float]:
    """Share of studies whose intervals over seeds cover the truth, see `repetition`."""
    return share_of_each([repetition(world, resamples, seed, number) for number in range(studies)])


def repetition(world: StudyWorld, resamples: int, seed: int, number: int) -> dict[str, bool]:
    """Whether the intervals over seeds of one study cover the truth, for the first scheme at the world's rate.

    "cases" : with the covariance of the cases, as reports have it for FROC and the AUC of candidates
    There is none where all seeds give one value, nor, with the overlap alone, where they have one test set.
    "overlap" : with nothing but the overlap (Nadeau-Bengio), as for the AUC of patches
    "plain" : the t interval that takes seeds as independent
    """
    rng, truth = np.random.default_rng([seed, number]), next(iter(world.sensitivity.values()))
    cases, group = draw_study(world, rng)
    figures = study_figures(cases, group, (world.rate,), "lesion", resamples, int(rng.integers(2**31)))
    shared = group_overlap(list(group.values()))
    overlap, values = shared.mean if shared else 0.0, figures.mean.values[:, 0].tolist()
    intervals = {
        "cases": scheme_interval(figures.mean, 0, overlap),
        "overlap": seed_interval(values, overlap),
        "plain": seed_interval(values, 0.0),
    }
    return {
        name: own.low <= truth <= own.high
        for name, own in intervals.items()
        if own.low is not None and own.high is not None
    }
