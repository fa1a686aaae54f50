"""Every point at which a FROC or ROC curve can be operated, with both kinds of 95 % interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import froc, roc
from pycaffe_ext.evaluation.intervals import exact_intervals, percentiles

RESAMPLES = 2000
BLOCK = 4000  # points whose resamples are held at a time: 64 MB


class Estimates(NamedTuple):
    """Sensitivities (points,) and their 95 % intervals.

    exact : Clopper-Pearson at the point's threshold, cases taken as independent.  group : bootstrap by group at the
    point's false-positive rate, the threshold found anew in each resample; None where there are too few groups.
    """

    sensitivity: np.ndarray
    exact_low: np.ndarray
    exact_high: np.ndarray
    group_low: np.ndarray | None
    group_high: np.ndarray | None


@dataclass(frozen=True)
class Points:
    """The operable points of a curve, from the highest threshold down; inf = nothing is detected.

    threshold : (points,)      rate : (points,) false positives per frame (FROC) or share of the negatives (ROC)
    estimates : "lesion" and "frame" (FROC) or "case" (ROC) -> sensitivities
    """

    threshold: np.ndarray
    rate: np.ndarray
    estimates: dict[str, Estimates]


def froc_points(
    cases: froc.Cases, group: Sequence[object] | np.ndarray, resamples: int = RESAMPLES, seed: int = 0
) -> Points:
    """The points of `froc.operable` with intervals by lesion and by frame.  group : (frames,)"""
    curve = froc.curve(cases)
    at = froc.operable(curve)
    rate, groups = curve.false_positives_per_frame[at], froc.lesion_groups(cases, group)

    def drawn(by: str, rates: np.ndarray) -> np.ndarray:
        return froc.bootstrap_sensitivities(cases, group, rates, by, resamples, seed)

    return Points(curve.threshold[at], rate, {
        by: _estimates(curve.hits(by)[0][at], curve.hits(by)[1], rate, groups, lambda rates, by=by: drawn(by, rates))
        for by in froc.SENSITIVITIES
    })  # fmt: skip


def roc_points(
    labels: np.ndarray, scores: np.ndarray, group: Sequence[object] | np.ndarray, resamples: int = RESAMPLES,
    seed: int = 0,
) -> Points:  # fmt: skip
    """The corners of the ROC curve with intervals of the sensitivity.

    labels : (n,) 1 = positive      scores : (n,) higher = more likely positive      group : (n,) of each case
    Raises UserError if a class is absent or a score is not finite.
    """
    labels, scores = roc.checked(labels, scores)
    # each case is a frame of its own: a lesion to find if it is positive, else a false positive
    cases = froc.Cases(np.arange(labels.size), scores, labels, labels)
    curve = froc.curve(cases)
    at = froc.operable(curve)
    rate = curve.false_positives[at] / (labels == 0).sum()
    names, member = np.unique(np.asarray(group), return_inverse=True)
    negatives = np.bincount(member[labels == 0], minlength=names.size)
    (false, false_case), (found, found_case) = cases.false_scores(), cases.best_scores("lesion")

    def drawn(rates: np.ndarray) -> np.ndarray:
        parts = (false, member[false_case]), (found, member[found_case])
        return froc.resampled_sensitivities(*parts, negatives, rates, resamples, seed)

    estimates = _estimates(curve.lesion_hits[at], curve.lesions, rate, roc.class_groups(labels, group), drawn)
    return Points(curve.threshold[at], rate, {"case": estimates})


def _estimates(
    hits: np.ndarray, total: int, rate: np.ndarray, groups: int, drawn: Callable[[np.ndarray], np.ndarray]
) -> Estimates:
    low = high = None
    if groups > 1:
        blocks = np.array_split(rate, -(-rate.size // BLOCK))
        with suppress(UserError):  # too many resamples without a case
            low, high = np.concatenate([percentiles(drawn(block), groups) for block in blocks], axis=1)
    return Estimates(hits / total, *exact_intervals(hits, total), low, high)
