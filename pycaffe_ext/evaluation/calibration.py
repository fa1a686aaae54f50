"""Whether probabilities mean what they say: Brier score, reliability diagram, expected calibration error.

Of two classes the probability of class 1 is compared with the share of class 1; of more classes the probability of the
predicted class with the share that is predicted right (Guo et al. 2017).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.evaluation import class_intervals, class_resampling
from pycaffe_ext.evaluation.class_intervals import Estimate
from pycaffe_ext.evaluation.class_resampling import Resampled
from pycaffe_ext.evaluation.classes import Floats, Images
from pycaffe_ext.evaluation.intervals import clopper_pearson, effective_groups

BINS = 10


@dataclass(frozen=True)
class Bin:
    """Images whose probability lies in [low, high) (the last bin: [low, high]).

    mean : of their probabilities      observed : share of class 1 (of right predictions)
    """

    low: float
    high: float
    images: int
    mean: float
    observed: Estimate


def brier_losses(images: Images) -> tuple[Floats, float]:
    """(n,) Brier loss of each image, and the largest possible: squared errors of class 1 (two classes), or their sum
    over all classes (Brier 1950)."""
    error = images.probability - np.eye(images.classes)[images.label]
    return (error[:, 1] ** 2, 1.0) if images.classes == 2 else ((error**2).sum(axis=1), 2.0)


def brier(images: Images, seed: int = 0) -> Estimate:
    """Brier score with intervals; 0 is best.  As scikit-learn scales it: at most 1 for two classes, 2 for more."""
    losses, limit = brier_losses(images)
    return class_intervals.mean_loss(images, np.minimum(losses, limit), limit, seed)


def claimed(images: Images) -> tuple[Floats, NDArray[Any]]:
    """(n,) probability that is claimed for each image, and (n,) bool whether it came true."""
    if images.classes == 2:
        return np.clip(images.probability[:, 1], 0, 1), images.label == 1
    return np.clip(images.probability.max(axis=1), 0, 1), images.predicted == images.label


def reliability(images: Images, bins: int = BINS, seed: int = 0) -> list[Bin]:
    """Bins of one width, those without images left out; intervals are exact by image, and by group."""
    probability, true = claimed(images)
    place = np.minimum((probability * bins).astype(np.int64), bins - 1)
    count = np.bincount(place, minlength=bins)
    mean, hits = (np.bincount(place, weights, bins) / np.maximum(count, 1) for weights in (probability, true))
    drawn, groups = _resampled(images, place, true, bins, seed)
    found = []
    for i in np.flatnonzero(count).tolist():
        exact = clopper_pearson(round(hits[i] * count[i]), int(count[i]))
        group = class_intervals.by_group(float(hits[i]), Resampled(drawn[:, i], float(groups[i])), exact)
        found.append(
            Bin(i / bins, (i + 1) / bins, int(count[i]), float(mean[i]), Estimate(float(hits[i]), exact, group))
        )
    return found


def _resampled(
    images: Images, place: NDArray[Any], true: NDArray[Any], bins: int, seed: int
) -> tuple[Floats, NDArray[Any]]:
    """(resamples, bins) observed shares, and (bins,) effective groups with images in each."""
    member, groups = class_resampling.members(images)
    total, hits = (np.zeros((groups, bins)) for _ in range(2))
    np.add.at(total, (member, place), 1)
    np.add.at(hits, (member, place), true)
    count, effective = class_resampling.resamples(images), np.array([effective_groups(own) for own in total.T])
    if groups < 2:
        return np.full((count, bins), np.nan), effective
    return class_resampling.shares(hits, total, count, seed), effective


def expected_error(bins: list[Bin]) -> float:
    """Expected calibration error: mean distance of observed share and mean probability, weighted by images.

    It is never below 0 and grows with fewer images in a bin, also of perfectly calibrated probabilities.
    """
    images = np.array([one.images for one in bins])
    gap = np.array([abs(one.observed.value - one.mean) for one in bins])
    return float((images * gap).sum() / images.sum())
