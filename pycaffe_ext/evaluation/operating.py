"""Every point at which a FROC or ROC curve can be operated, with both kinds of 95 % interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import froc, roc
from pycaffe_ext.evaluation.intervals import exact_intervals, logit_intervals

RESAMPLES = 2000
BLOCK = 4000  # points whose resamples are held at a time: 64 MB


class Estimates(NamedTuple):
    """Sensitivities (points,) and their 95 % intervals.

    exact : Clopper-Pearson at the point's threshold, cases taken as independent.  group : bootstrap by group at the
    point's false-positive rate, the threshold found again in each resample (`intervals.logit_intervals`), and never
    narrower than the exact interval; None where there are too few groups.
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
    rate = curve.false_positives_per_frame[at]
    estimates = {}
    for by in froc.SENSITIVITIES:
        hits, total = curve.hits(by)
        estimates[by] = _estimates(hits[at], total, group_intervals(cases, group, rate, by, resamples, seed))
    return Points(curve.threshold[at], rate, estimates)


def group_intervals(
    cases: froc.Cases,
    group: Sequence[object] | np.ndarray,
    rates: Sequence[float] | np.ndarray,
    by: str = "lesion",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray] | None:
    """(rates,) lower and (rates,) upper ends of the intervals by group at any false-positive rates.

    None where there are too few groups with lesions.  They are the same whichever other rates are asked for.
    Raises ValueError for a rate below 0 or not a number.
    """
    curve = froc.curve(cases)
    hits, total = curve.hits(by)
    every = np.union1d(rates, curve.false_positives_per_frame[_beside_the_ends(hits, total)])
    at = np.searchsorted(curve.false_positives, froc.allowance(every, curve.frames), side="right") - 1

    def drawn(some: np.ndarray) -> np.ndarray:
        return froc.bootstrap_sensitivities(cases, group, some, by, resamples, seed)

    band = _band(drawn, every, hits[at], total, froc.effective_lesion_groups(cases, group, by))
    if band is None:
        return None
    low, high = (ends[np.searchsorted(every, rates)] for ends in band)
    return low, high


def _beside_the_ends(hits: np.ndarray, total: int) -> np.ndarray:
    """Places of the last point of a curve that misses something and of the first that hits something, if any."""
    return np.asarray(np.r_[np.flatnonzero(hits < total)[-1:], np.flatnonzero(hits > 0)[:1]])


def roc_points(
    labels: np.ndarray,
    scores: np.ndarray,
    group: Sequence[object] | np.ndarray,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Points:
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
        return froc.sensitivities_of(froc.resampled_curves(*parts, negatives, resamples, seed), rates, resamples)

    hits, total = curve.lesion_hits[at], curve.lesions
    band = _band(drawn, rate, hits, total, roc.effective_class_groups(labels, group))
    return Points(curve.threshold[at], rate, {"case": _estimates(hits, total, band)})


def _estimates(hits: np.ndarray, total: int, band: tuple[np.ndarray, np.ndarray] | None) -> Estimates:
    return Estimates(hits / total, *exact_intervals(hits, total), *(band or (None, None)))


def _band(
    drawn: Callable[[np.ndarray], np.ndarray], rates: np.ndarray, hits: np.ndarray, total: int, groups: float
) -> tuple[np.ndarray, np.ndarray] | None:
    """Ends of the intervals at rising rates, in blocks of rates; None where there are too few groups.

    Resamples cannot hold misses that the sample does not hold, so with few misses (or hits) the bootstrap is too
    narrow: it is widened to the exact interval.  With none, the exact interval of whole groups stands there
    (`intervals.all_alike`), but no wider than next to it on the curve: sensitivity does not fall as the rate rises,
    so a lower end holds for all higher rates and an upper end for all lower ones.
    """
    if groups < 2:
        return None
    blocks = np.array_split(np.arange(rates.size), -(-rates.size // BLOCK))
    try:
        parts = [logit_intervals(hits[block] / total, drawn(rates[block]), groups) for block in blocks]
    except UserError:  # too many resamples without a case
        return None
    low, high = np.concatenate(parts, axis=1)
    exact_low, exact_high = exact_intervals(hits, total)
    low, high = np.minimum(low, exact_low), np.maximum(high, exact_high)
    full, none = hits == total, hits == 0
    low[full] = np.maximum(low[full], np.max(low[~full][-1:], initial=0))
    high[none] = np.minimum(high[none], np.min(high[~none][:1], initial=1))
    return low, high
