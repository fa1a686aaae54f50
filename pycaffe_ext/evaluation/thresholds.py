"""Thresholds chosen on validation frames and carried to the test, with what they reach there.

A sensitivity "at one false positive per frame" read off a test curve takes its threshold from the test frames
themselves.  In use the threshold is fixed beforehand, and neither the rate nor the sensitivity comes out exactly as
wanted: both are reported here as they are, with intervals.  The validation candidates must be scored as the test
candidates are: all of them, not the balanced patches of training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import froc, operating, roc
from pycaffe_ext.evaluation.intervals import (
    Interval,
    clopper_pearson,
    effective_groups,
    group_counts,
    logit_intervals,
    poisson_interval,
    t_quantile,
)


@dataclass(frozen=True)
class Share:
    """hits of total, with the exact 95 % interval, which takes cases as independent, and that by group; None where
    there are too few groups."""

    hits: int
    total: int
    exact: Interval
    group: Interval | None

    @property
    def value(self) -> float:
        return self.hits / self.total


@dataclass(frozen=True)
class Rate:
    """count in `size` frames, with the exact (Poisson) 95 % interval, which takes false positives as independent, and
    that by group; None where there are too few groups, or no false positive to tell how they cluster."""

    count: int
    size: int
    exact: Interval
    group: Interval | None

    @property
    def value(self) -> float:
        return self.count / self.size


@dataclass(frozen=True)
class Carried:
    """What a threshold reaches on the test frames.

    wanted : the rate that it was chosen for on the validation frames; None if it was not        threshold : score that
    a detection has at least; inf = nothing is detected        sensitivity : by lesion or frame (FROC) or case (ROC)
    false_positives : Rate per frame (FROC) or Share of the negatives (ROC)
    """

    wanted: float | None
    threshold: float
    sensitivity: Share
    false_positives: Rate | Share


def chosen(validation: froc.Cases, rate: float, by: str = "lesion", item: str = "frame") -> float:
    """The threshold of highest sensitivity with at most `rate` false positives per frame on the validation frames.

    item : what a frame is called in errors.   Raises UserError if the candidates end before the rate or none is within
    it: there is no threshold for it then.
    """
    curve = froc.curve(validation)
    if not froc.reaches(curve, rate):
        raise UserError(
            f"no threshold for {rate:g} false positives per {item}: all validation candidates together have"
            f" {curve.false_positives_per_frame[-1]:.2f}; choose a lower rate"
        )
    return _finite(curve, rate, by, f"{rate:g} false positives per {item}")


def chosen_share(labels: np.ndarray, scores: np.ndarray, share: float) -> float:
    """The threshold of highest sensitivity with at most a `share` of the negatives above it, on validation cases.

    labels : (n,) 1 = positive      scores : (n,) higher = more likely positive
    Raises UserError if even the highest scores take a larger share, ValueError for a share not between 0 and 1.
    """
    labels, scores = roc.checked(labels, scores)
    if not 0 <= share <= 1:
        raise ValueError(f"a share of {share} of the negatives: it must lie between 0 and 1")
    curve = froc.curve(froc.Cases(np.arange(labels.size), scores, labels, labels))
    rate = froc.allowance(share, int((labels == 0).sum())) / labels.size
    return _finite(curve, float(rate), "lesion", f"a share of {share:g} of the negatives")


def chosen_youden(labels: np.ndarray, scores: np.ndarray) -> float:
    """The threshold with the highest sum of sensitivity and specificity (Youden 1950), of several the highest.

    labels : (n,) 1 = positive      scores : (n,) higher = more likely positive
    Raises UserError where no threshold tells more than chance does.
    """
    labels, scores = roc.checked(labels, scores)
    curve = froc.curve(froc.Cases(np.arange(labels.size), scores, labels, labels))
    hits, total = curve.hits()
    index = hits * int((labels == 0).sum()) - curve.false_positives * total  # in whole numbers: rounding breaks no tie
    best = int(np.argmax(index))
    if index[best] <= 0:
        raise UserError("no threshold tells more than chance does on the validation samples")
    return float(curve.threshold[best])


def _finite(curve: froc.Curve, rate: float, by: str, what: str) -> float:
    """The threshold at a rate.  Raises UserError where nothing is detected within it."""
    threshold = froc.operating_point(curve, rate, by).threshold
    if np.isfinite(threshold):
        return threshold
    first = curve.false_positives_per_frame[np.isfinite(curve.threshold)].min()
    why = (
        "the highest validation scores already have more"
        if first > rate
        else "within it nothing is found that is there"
    )
    raise UserError(f"no threshold for {what}: {why}; choose a higher rate")


def carried(
    cases: froc.Cases,
    group: Sequence[object] | np.ndarray,
    threshold: float,
    by: str = "lesion",
    wanted: float | None = None,
    resamples: int = operating.RESAMPLES,
    seed: int = 0,
) -> Carried:
    """Sensitivity and false positives per frame of the test at a threshold fixed beforehand.

    group : (frames,) video or patient of each test frame.  Raises ValueError for a threshold that is not a number.
    """
    best, frame = cases.best_scores(by)
    false = cases.frame[(cases.lesion == 0) & (cases.score >= _number(threshold))]
    member = numbered(group, cases.lesions.size)
    found = detected(best, threshold)
    counts = [np.bincount(member[at], minlength=member.max() + 1) for at in (frame[found], frame, false)]
    most = int(np.bincount(cases.frame, minlength=1).max())  # no frame has more candidates
    return Carried(
        wanted,
        float(threshold),
        share_by_group(counts[0], counts[1], resamples, seed),
        _rate(counts[2], np.bincount(member), most, resamples, seed),
    )


def carried_share(
    labels: np.ndarray,
    scores: np.ndarray,
    group: Sequence[object] | np.ndarray,
    threshold: float,
    wanted: float | None = None,
    resamples: int = operating.RESAMPLES,
    seed: int = 0,
) -> Carried:
    """As `carried`, of cases with a label each: sensitivity, and the share of the negatives above the threshold."""
    labels, scores = roc.checked(labels, scores)
    member, above = numbered(group, labels.size), scores >= _number(threshold)
    groups = member.max() + 1
    sensitivity, false = (
        share_by_group(
            np.bincount(member[of & above], minlength=groups),
            np.bincount(member[of], minlength=groups),
            resamples,
            seed,
        )
        for of in (labels == 1, labels == 0)
    )
    return Carried(wanted, float(threshold), sensitivity, false)


def detected(best: np.ndarray, threshold: float) -> np.ndarray:
    """Which of `Cases.best_scores` reach a threshold; what has no candidate never does, at -inf neither."""
    return np.asarray((best >= threshold) & np.isfinite(best))


def _number(threshold: float) -> float:
    if np.isnan(threshold):
        raise ValueError("a threshold must be a number")
    return threshold


def numbered(group: Sequence[object] | np.ndarray, size: int) -> np.ndarray:
    """(size,) the groups as numbers from 0 in the order of their names; ValueError unless there are `size`."""
    if len(group) != size:
        raise ValueError(f"{len(group)} groups for {size} frames")
    return np.unique(np.asarray(group), return_inverse=True)[1]


def share_by_group(hits: np.ndarray, total: np.ndarray, resamples: int, seed: int) -> Share:
    """A sensitivity, or another share, from the counts of each group.  hits, total : (groups,)"""
    exact = clopper_pearson(int(hits.sum()), int(total.sum()))
    groups, value = effective_groups(total), np.array([hits.sum() / total.sum()])
    if groups < 2:
        return Share(int(hits.sum()), int(total.sum()), exact, None)
    try:
        low, high = logit_intervals(value, _ratios(hits, total, resamples, seed)[:, None], groups)
    except UserError:  # too many resamples without a case
        return Share(int(hits.sum()), int(total.sum()), exact, None)
    band = Interval(min(float(low[0]), exact.low), max(float(high[0]), exact.high))
    return Share(int(hits.sum()), int(total.sum()), exact, band)


def _rate(count: np.ndarray, size: np.ndarray, most: int, resamples: int, seed: int) -> Rate:
    """count, size : (groups,) of each group.   most : false positives that a frame can have.

    The interval by group is set out on a logarithmic scale, up to `most`.

    Where false positives come in swarms, few groups decide the rate: the fewer effective groups count, of frames or of
    false positives.
    """
    events, frames = int(count.sum()), int(size.sum())
    exact = poisson_interval(events, frames)
    if np.count_nonzero(size) < 2 or not events:
        return Rate(events, frames, exact, None)
    value, groups = events / frames, max(min(effective_groups(size), effective_groups(count)), 2.0)
    error = np.std(_ratios(count, size, resamples, seed), ddof=1) * np.sqrt(groups / (groups - 1))
    factor = float(np.exp(min(t_quantile(groups) * error / value, 700.0)))  # beyond it floats end
    low, high = min(value / factor, exact.low), max(min(value * factor, most), exact.high)
    return Rate(events, frames, exact, Interval(low, high))


def _ratios(count: np.ndarray, total: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """(resamples,) sums of counts over sums of totals, groups drawn with replacement; nan where the total is 0."""
    sums = np.concatenate([drawn @ np.c_[count, total] for drawn in group_counts(total.size, resamples, seed)])
    return np.asarray(np.where(sums[:, 1] > 0, sums[:, 0] / np.maximum(sums[:, 1], 1), np.nan))
