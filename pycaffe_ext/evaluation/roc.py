"""Area under the ROC curve, its interval, and the comparison of two (DeLong, DeLong and Clarke-Pearson 1988)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.intervals import (
    LEAST_ERROR,
    Difference,
    Interval,
    alike_bounds,
    all_alike,
    checked_confidence,
    effective_groups,
    group_counts,
    least_p,
    on_logit_scale,
    t_quantile,
)

CHUNK = 1_000_000  # scores looked up at a time
TABLE_GROUPS = 1000  # above this the bootstrap of an AUC does without a table of groups by groups


def auc(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Area under the ROC curve; ties count one half.

    labels : (n,) 0 or 1 (or bool)      scores : (n,) float, higher = more likely positive
    weights : (n,) how much each positive counts, those of negatives are not looked at; None = all the same
    Raises UserError if a class is absent or a score is not finite: the AUC is undefined then.
    """
    labels, scores = checked(labels, scores)
    shares = _shares_below(scores[labels == 1], scores[labels == 0])
    return float(np.average(shares, weights=None if weights is None else weights[labels == 1]))


def auc_interval(labels: np.ndarray, scores: np.ndarray, confidence: float = 0.95) -> Interval:
    """Interval of the AUC by DeLong's standard error, set out on the logit scale.  It takes the cases as independent.

    On the plain scale, where other programs set it out, it is too low near an AUC of 1 and can pass it.  It reaches as
    far as a t distribution with as many degrees of freedom as the smaller class has cases, less one: the variance of
    a class comes from its cases, and a few tell little of it.  Where all cases of a class are placed alike (all at an
    AUC of 0 or 1, two positives with one score), they may still differ: see `intervals.alike_bounds`.
    """
    labels, scores = checked(labels, scores)
    parts = delong(labels, scores[None])
    area, variance = parts.areas, parts.of_positives[0, 0] + parts.of_negatives[0, 0]
    fewer = parts.fewer
    reach = t_quantile(fewer, confidence) * np.sqrt(variance)
    low, high = on_logit_scale(area, np.array([reach]), all_alike(fewer, confidence))
    for cases in parts.alike(np.ones(1)):
        least, most = alike_bounds(area, all_alike(cases, confidence), 0.0, 1.0)
        low, high = np.minimum(low, least), np.maximum(high, most)
    return Interval(float(low[0]), float(high[0]))


def auc_difference(labels: np.ndarray, first: np.ndarray, second: np.ndarray, confidence: float = 0.95) -> Difference:
    """DeLong's paired test of two scores of the same cases.

    p is DeLong's, from the normal distribution, and never below what as many cases as the smaller class has can show
    (`intervals.least_p`).  Where all cases of a class speak alike (a perfect score against a reversed one), the
    interval is no narrower than `intervals.alike_bounds`.
    """
    from scipy.special import ndtr, ndtri

    labels, first = checked(labels, first)
    _, second = checked(labels, second)
    parts, contrast = delong(labels, np.stack([first, second])), np.array([1.0, -1.0])
    value = float(contrast @ parts.areas)
    # equal scores leave a rounding error here, which may be below zero
    error = float(np.sqrt(max(contrast @ parts.covariance @ contrast, 0)))
    reach = float(ndtri(0.5 + checked_confidence(confidence) / 2)) * error
    p = 2 * float(ndtr(-abs(value) / error)) if error > LEAST_ERROR else float(abs(value) < LEAST_ERROR)
    low, high = value - reach, value + reach
    for cases in parts.alike(contrast):
        least, most = alike_bounds(value, all_alike(cases, confidence), -1.0, 1.0)
        low, high = min(low, float(least)), max(high, float(most))
    return Difference(value, max(low, -1.0), min(high, 1.0), max(p, least_p(parts.fewer)))


def class_groups(labels: np.ndarray, group: Sequence[object] | np.ndarray, classes: Iterable[int] = (0, 1)) -> int:
    """The fewest groups that have a case of one of the classes, positives and negatives unless others are given: what
    limits a bootstrap."""
    labels, group = np.asarray(labels), np.asarray(group)
    return min(np.unique(group[labels == k]).size for k in classes)


def effective_class_groups(
    labels: np.ndarray, group: Sequence[object] | np.ndarray, classes: Iterable[int] = (0, 1)
) -> float:
    """As `class_groups`, in groups of one size: what decides the t tails (`intervals.effective_groups`)."""
    labels, group = np.asarray(labels), np.asarray(group)
    return min(effective_groups(np.unique(group[labels == k], return_counts=True)[1]) for k in classes)


def bootstrap_aucs(
    labels: np.ndarray,
    scores: np.ndarray,
    group: Sequence[object] | np.ndarray,
    resamples: int = 1000,
    seed: int = 0,
    weights: np.ndarray | None = None,
    groups: int | None = None,
) -> np.ndarray:
    """(resamples,) AUCs with whole groups (videos, patients) drawn with replacement; see `intervals.area_interval`.

    weights : as `auc` takes them.  groups : how many there are where not all have a case; `group` is their number from
    0 then.  nan where a resample has one class only.  Resamples depend on group and seed alone, so those of two scores
    of the same cases are paired.  Raises UserError for fewer than two groups.
    """
    labels, scores = checked(labels, scores)
    weights = np.where(labels == 1, 1.0 if weights is None else weights, 1.0)
    names, member = np.unique(np.asarray(group), return_inverse=True)
    if groups is not None:
        names, member = np.arange(groups), np.asarray(group)
    won = _won_by_table if names.size <= TABLE_GROUPS else _won_by_sorting
    positives, negatives = (np.bincount(member[labels == k], weights[labels == k], names.size) for k in (1, 0))
    count = won(labels == 1, scores, member, names.size, weights)
    values = []
    for drawn in group_counts(names.size, resamples, seed):
        pairs = (drawn @ positives) * (drawn @ negatives)
        values.append(np.divide(count(drawn), pairs, out=np.full(len(drawn), np.nan), where=pairs > 0))
    return np.concatenate(values)


def _won_by_table(
    positive: np.ndarray, scores: np.ndarray, member: np.ndarray, groups: int, weights: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    """(resamples, groups) how often groups are drawn -> (resamples,) weighted pairs that the positives win.

    From a table (groups, groups) that is made once.
    """
    wins = np.zeros((groups, groups))
    order = np.flatnonzero(positive)[np.argsort(scores[positive])]  # sorted: the searches run through memory in order
    bounds = np.cumsum(np.bincount(member[~positive], minlength=groups))[:-1]
    by_group = np.split(scores[~positive][np.argsort(member[~positive], kind="stable")], bounds)
    for column, negative in enumerate(map(np.sort, by_group)):
        wins[:, column] = np.bincount(member[order], weights[order] * _below(negative, scores[order]), groups) / 2
    return lambda drawn: np.asarray(np.einsum("rg,rg->r", drawn @ wins, drawn))


def _won_by_sorting(
    positive: np.ndarray, scores: np.ndarray, member: np.ndarray, groups: int, weights: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    """As `_won_by_table`, each time over all cases: for more groups than a table in memory could hold."""
    order = np.flatnonzero(~positive)[np.argsort(scores[~positive])]
    low, high = (np.searchsorted(scores[order], scores[positive], side) for side in ("left", "right"))

    def count(drawn: np.ndarray) -> float:
        below = np.r_[0, np.cumsum(drawn[member[order]])]
        return float((drawn[member] * weights)[positive] @ (below[low] + below[high]) / 2)

    return lambda drawn: np.array([count(own) for own in drawn])


def _below(negative: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Twice the number of (sorted) negatives below each score, ties 1/2."""
    return np.searchsorted(negative, scores, "left") + np.searchsorted(negative, scores, "right")


class Placements(NamedTuple):
    """What DeLong's method makes of k scores of the same m positives and n negatives.

    areas : (k,)        above : (k, m) share of the negatives below each positive; ties count one half
    below : (k, n) share of the positives above each negative
    """

    areas: np.ndarray
    above: np.ndarray
    below: np.ndarray

    @property
    def of_positives(self) -> np.ndarray:
        """(k, k) part of the covariance of the areas that comes of the choice of positives."""
        return np.asarray(np.atleast_2d(np.cov(self.above)) / self.above.shape[1])

    @property
    def of_negatives(self) -> np.ndarray:
        return np.asarray(np.atleast_2d(np.cov(self.below)) / self.below.shape[1])

    @property
    def covariance(self) -> np.ndarray:
        """(k, k) of the areas."""
        return np.asarray(self.of_positives + self.of_negatives)

    @property
    def fewer(self) -> int:
        """Cases of the smaller class."""
        return int(min(self.above.shape[1], self.below.shape[1]))

    def alike(self, contrast: np.ndarray) -> list[int]:
        """The sizes of the classes whose cases all have one placement, summed over the scores by `contrast` (k,)."""
        placed = (contrast @ self.above, contrast @ self.below)
        return [places.size for places in placed if np.ptp(places) < LEAST_ERROR]


def delong(labels: np.ndarray, scores: np.ndarray) -> Placements:
    """Placements of k scores (k, n) of the same n cases (n log n); their covariance is that of the areas.

    labels : (n,) 0 or 1.  Raises UserError for fewer than two cases of a class.
    """
    positive = np.asarray(labels) == 1
    m, n = int(positive.sum()), int((~positive).sum())
    if min(m, n) < 2:
        raise UserError(f"DeLong's interval needs two cases of each class, there are {m} positive and {n} negative")
    above = np.array([_shares_below(s[positive], s[~positive]) for s in scores])
    below = np.array([1 - _shares_below(s[~positive], s[positive]) for s in scores])
    return Placements(above.mean(axis=1), above, below)


def _shares_below(scores: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The share of the others below each score; ties count one half."""
    others = np.sort(others)
    shares = np.empty(scores.size)
    for start in range(0, scores.size, CHUNK):  # what the searches return takes twice the scores' memory
        part = slice(start, start + CHUNK)
        shares[part] = _below(others, scores[part]) / (2 * others.size)
    return shares


def checked(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """labels as int8 and scores as float64, two vectors of one length; UserError if an AUC is undefined for them."""
    labels, scores = np.asarray(labels), np.asarray(scores, np.float64)
    if labels.ndim != 1 or labels.shape != scores.shape:
        raise ValueError(f"labels {labels.shape} and scores {scores.shape} must be two vectors of one length")
    if not np.isin(labels, (0, 1)).all():
        raise ValueError(f"labels must be 0 or 1, there are {np.unique(labels)[:5]}")
    bad = int((~np.isfinite(scores)).sum())
    if bad:
        raise UserError(f"AUC undefined: {bad} of {scores.size} scores are not finite")
    if not 0 < labels.sum() < labels.size:
        kind = "positive" if labels.size and labels.all() else "negative"
        raise UserError(f"AUC undefined: all {labels.size} cases are {kind}; the split needs both classes")
    return labels.astype(np.int8), scores
