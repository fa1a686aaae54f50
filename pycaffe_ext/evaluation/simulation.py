"""Worlds of known truth, to find out whether intervals cover it and tests keep their level.

A world has videos with lesions and videos without.  Scores are normal: within a video with standard deviation 1, and
each video shifts its lesions and its false positives by a common amount.  So the score of a lesion, over all videos, is
normal too, and sensitivity at a threshold, threshold at a false-positive rate and AUC have closed forms.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

import numpy as np

from pycaffe_ext.evaluation import froc, operating, roc
from pycaffe_ext.evaluation.intervals import Interval, area_interval, clopper_pearson, paired_difference
from pycaffe_ext.progress import bar

LEVEL = 0.05


@dataclass(frozen=True)
class World:
    """Two methods tested on the same frames.

    videos, clean : videos with and without lesions, of `frames` frames each; a frame of the first has one lesion
    false : false candidates in each frame        rate : false positives per frame at which sensitivity is taken
    sensitivity : of either method, in the population, at that rate
    spread, false_spread : standard deviation between videos of the scores of lesions and of false candidates
    shared : correlation of the two methods' scores of one candidate, within and between videos
    """

    videos: int
    clean: int = 0
    frames: int = 10
    false: int = 4
    rate: float = 1.0
    sensitivity: tuple[float, float] = (0.8, 0.8)
    spread: float = 0.7
    false_spread: float = 0.5
    shared: float = 0.5

    @property
    def threshold(self) -> float:
        """Above it lie `rate` false positives per frame."""
        from scipy.special import ndtri

        return float(sqrt(1 + self.false_spread**2) * ndtri(1 - self.rate / self.false))

    @property
    def shift(self) -> np.ndarray:
        """(2,) mean score of a lesion, of a false candidate: 0."""
        from scipy.special import ndtri

        return self.threshold + sqrt(1 + self.spread**2) * ndtri(np.array(self.sensitivity))

    @property
    def auc(self) -> np.ndarray:
        """(2,) chance that a lesion scores above a false candidate of another video."""
        from scipy.special import ndtr

        return ndtr(self.shift / sqrt(2 + self.spread**2 + self.false_spread**2))


class Sample(NamedTuple):
    """cases : of either method        group : (frames,) video        label : (candidates,) 1 = lesion"""

    cases: tuple[froc.Cases, froc.Cases]
    group: np.ndarray
    label: np.ndarray

    @property
    def candidate_group(self) -> np.ndarray:
        return self.group[self.cases[0].frame]


def draw(world: World, rng: np.random.Generator) -> Sample:
    """One test set of a world."""
    group = np.repeat(np.arange(world.videos + world.clean), world.frames)
    lesions = (group < world.videos).astype(np.int64)
    with_lesion = np.flatnonzero(lesions)
    frame = np.r_[with_lesion, np.repeat(np.arange(group.size), world.false)]
    label = (np.arange(frame.size) < with_lesion.size).astype(np.int64)
    spread = np.where(label, world.spread, world.false_spread)
    common = [_scores(rng, group[frame], label, spread) for _ in range(3)]  # what both share, what either has alone
    cases = (
        froc.Cases(frame, sqrt(world.shared) * common[0] + sqrt(1 - world.shared) * own + shift * label, label, lesions)
        for own, shift in zip(common[1:], world.shift, strict=True)
    )
    return Sample(tuple(cases), group, label)


def _scores(rng: np.random.Generator, video: np.ndarray, label: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Scores of candidates about 0: a part of the video's, one for lesions and one for false ones, and an own part."""
    between = rng.normal(size=(2, video.max() + 1))
    return spread * between[label, video] + rng.normal(size=video.size)


def trial(world: World, sample: Sample, resamples: int, seed: int) -> dict[str, bool]:
    """What the intervals and tests say of a sample, held against the truth: name -> yes or no; see `MEANINGS`.

    resamples : of each bootstrap; 0 leaves the bootstraps out
    """
    first, second = sample.cases
    points = [froc.operating_point(froc.curve(cases), world.rate) for cases in sample.cases]
    exact = [clopper_pearson(point.hits, point.total) for point in points]
    at_threshold = int((first.best_scores("lesion")[0] >= world.threshold).sum())
    areas = [roc.auc_interval(sample.label, cases.score) for cases in sample.cases]
    delong = roc.auc_difference(sample.label, first.score, second.score)
    outcome = {
        "exact_at_threshold": _covers(clopper_pearson(at_threshold, points[0].total), world.sensitivity[0]),
        "exact_at_rate": _covers(exact[0], world.sensitivity[0]),
        "rule": not _overlap(*exact),
        "delong": _covers(areas[0], world.auc[0]),
        "delong_test": delong.p < LEVEL,
        "auc_rule": not _overlap(*areas),
    }
    return outcome | (_bootstraps(world, sample, resamples, seed) if resamples else {})


def _bootstraps(world: World, sample: Sample, resamples: int, seed: int) -> dict[str, bool]:
    sensitivity, auc = np.array(world.sensitivity), world.auc
    group, groups = sample.group, world.videos
    drawn = [
        froc.bootstrap_sensitivities(cases, group, [world.rate], "lesion", resamples, seed)[:, 0]
        for cases in sample.cases
    ]
    band = operating.group_intervals(sample.cases[0], group, [world.rate], "lesion", resamples, seed)
    found = [froc.sensitivity_at(froc.curve(cases), world.rate) for cases in sample.cases]
    test = paired_difference(found[0] - found[1], drawn[0] - drawn[1], groups)
    areas = [
        roc.bootstrap_aucs(sample.label, cases.score, sample.candidate_group, resamples, seed) for cases in sample.cases
    ]
    own = [roc.auc(sample.label, cases.score) for cases in sample.cases]
    area_test = paired_difference(own[0] - own[1], areas[0] - areas[1], groups)
    return {
        "group": _covers(np.ravel(band), sensitivity[0]),
        "difference": _covers(test[1:3], sensitivity[0] - sensitivity[1]),
        "test": test.p < LEVEL,
        "group_auc": _covers(area_interval(own[0], areas[0], groups), auc[0]),
        "auc_test": area_test.p < LEVEL,
    }


def _independent(frames: int, sensitivity: float) -> World:
    return World(frames, frames=1, spread=0, false_spread=0, sensitivity=(sensitivity, sensitivity))


WORLDS = {
    "400 independent frames": _independent(400, 0.8),
    "40 independent frames, sensitivity 0.95": _independent(40, 0.95),
    "20 videos with lesions, 20 without": World(20, 20),
    "20 + 20 videos, sensitivity 0.95": World(20, 20, sensitivity=(0.95, 0.95)),
    "20 + 20 videos, methods that share nothing": World(20, 20, shared=0.0),
    "10 + 10 videos": World(10, 10),
    "5 + 5 videos": World(5, 5),
    "20 + 20 videos, sensitivities 0.85 and 0.70": World(20, 20, sensitivity=(0.85, 0.7)),
}

MEANINGS = {
    "exact_at_threshold": "exact binomial interval of sensitivity at a fixed threshold covers the truth",
    "exact_at_rate": "exact binomial interval of sensitivity at a fixed false-positive rate covers the truth",
    "group": "bootstrap by group of sensitivity at a fixed false-positive rate covers the truth",
    "difference": "paired bootstrap by group of a difference in sensitivity covers the truth",
    "test": "paired bootstrap test finds a difference in sensitivity, p < .05",
    "rule": "the paper's rule finds one: the exact intervals do not overlap",
    "delong": "DeLong's interval of the AUC covers the truth",
    "group_auc": "bootstrap by group of the AUC covers the truth",
    "delong_test": "DeLong's paired test finds a difference in AUC, p < .05",
    "auc_test": "paired bootstrap test by group finds a difference in AUC, p < .05",
    "auc_rule": "the paper's rule finds one: DeLong's intervals do not overlap",
}


def _covers(interval: Interval, truth: float) -> bool:
    return bool(interval[0] <= truth <= interval[1])


def _overlap(first: Interval, second: Interval) -> bool:
    return first.low <= second.high and second.low <= first.high


def shares(world: World, repetitions: int, resamples: int, seed: int = 0, progress: bool = False) -> dict[str, float]:
    """Share of `repetitions` test sets of a world for which each outcome of `trial` is yes.

    The standard error of a share s is sqrt(s * (1 - s) / repetitions).
    """
    rng = np.random.default_rng(seed)
    steps = bar(range(repetitions), "test sets", progress=progress)
    trials = [trial(world, draw(world, rng), resamples, i) for i in steps]
    return {name: float(np.mean([outcome[name] for outcome in trials])) for name in trials[0]}
