"""Area under the ROC curve, its interval, and the comparison of two (DeLong, DeLong and Clarke-Pearson 1988)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.intervals import Difference, Interval, all_alike, group_resamples, on_logit_scale

CHUNK = 1_000_000  # scores looked up at a time
TABLE_GROUPS = 1000  # above this the bootstrap of an AUC does without a table of groups by groups


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve; ties count one half.

    labels : (n,) 0 or 1 (or bool)      scores : (n,) float, higher = more likely positive
    Raises UserError if a class is absent or a score is not finite: the AUC is undefined then.
    """
    labels, scores = checked(labels, scores)
    return float(_shares_below(scores[labels == 1], scores[labels == 0]).mean())


def auc_interval(labels: np.ndarray, scores: np.ndarray, confidence: float = 0.95) -> Interval:
    """Interval of the AUC by DeLong's standard error, set out on the logit scale.  It takes the cases as independent.

    On the plain scale, where other programs set it out, it is too low near an AUC of 1 and can pass it.  At an AUC of
    exactly 0 or 1 the exact bound for as many cases as the smaller class has stands there (`intervals.all_alike`).
    """
    from scipy.special import ndtri

    labels, scores = checked(labels, scores)
    areas, covariance = _delong(labels, scores[None])
    reach = all_alike(int(min(labels.sum(), (labels == 0).sum())), confidence)
    return on_logit_scale(float(areas[0]), float(np.sqrt(covariance[0, 0])), float(ndtri(0.5 + confidence / 2)), reach)


def auc_difference(labels: np.ndarray, first: np.ndarray, second: np.ndarray, confidence: float = 0.95) -> Difference:
    """DeLong's paired test of two scores of the same cases."""
    from scipy.special import ndtr, ndtri

    labels, first = checked(labels, first)
    _, second = checked(labels, second)
    areas, covariance = _delong(labels, np.stack([first, second]))
    value = areas[0] - areas[1]
    # equal scores leave a rounding error here, which may be below zero
    error = np.sqrt(max(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], 0))
    reach = ndtri(0.5 + confidence / 2) * error
    p = 2 * ndtr(-abs(value) / error) if error > 0 else float(value == 0)
    return Difference(float(value), float(value - reach), float(value + reach), float(p))


def class_groups(labels: np.ndarray, group: Sequence[object] | np.ndarray) -> int:
    """The fewer of the groups that have a positive and those that have a negative: what limits a bootstrap."""
    labels, group = np.asarray(labels), np.asarray(group)
    return min(np.unique(group[labels == k]).size for k in (0, 1))


def bootstrap_aucs(
    labels: np.ndarray, scores: np.ndarray, group: Sequence[object] | np.ndarray, resamples: int = 1000, seed: int = 0
) -> np.ndarray:
    """(resamples,) AUCs with whole groups (videos, patients) drawn with replacement; see `intervals.area_interval`.

    nan where a resample has one class only.  Resamples depend on group and seed alone, so those of two scores of
    the same cases are paired.  Raises UserError for fewer than two groups.
    """
    labels, scores = checked(labels, scores)
    names, member = np.unique(np.asarray(group), return_inverse=True)
    won = _won_by_table if names.size <= TABLE_GROUPS else _won_by_sorting
    positives, negatives = (np.bincount(member[labels == k], minlength=names.size) for k in (1, 0))
    values = np.full(resamples, np.nan)
    count = won(labels == 1, scores, member, names.size)
    for i, weights in enumerate(group_resamples(names, resamples, seed)):
        pairs = int(weights @ positives) * int(weights @ negatives)
        if pairs:
            values[i] = count(weights.astype(np.float64)) / pairs
    return values


def _won_by_table(
    positive: np.ndarray, scores: np.ndarray, member: np.ndarray, groups: int
) -> Callable[[np.ndarray], float]:
    """Weights of groups -> weighted pairs that the positives win, from a table (groups, groups) made once."""
    wins = np.zeros((groups, groups))
    order = np.flatnonzero(positive)[np.argsort(scores[positive])]  # sorted: the searches run through memory in order
    bounds = np.cumsum(np.bincount(member[~positive], minlength=groups))[:-1]
    by_group = np.split(scores[~positive][np.argsort(member[~positive], kind="stable")], bounds)
    for column, negative in enumerate(map(np.sort, by_group)):
        wins[:, column] = np.bincount(member[order], _below(negative, scores[order]), groups) / 2
    return lambda weights: weights @ wins @ weights


def _won_by_sorting(
    positive: np.ndarray, scores: np.ndarray, member: np.ndarray, groups: int
) -> Callable[[np.ndarray], float]:
    """As `_won_by_table`, each time over all cases: for groups so many that the table would not fit the memory."""
    order = np.flatnonzero(~positive)[np.argsort(scores[~positive])]
    low, high = (np.searchsorted(scores[order], scores[positive], side) for side in ("left", "right"))

    def count(weights: np.ndarray) -> float:
        below = np.r_[0, np.cumsum(weights[member[order]])]
        return float(weights[member[positive]] @ (below[low] + below[high]) / 2)

    return count


def _below(negative: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Twice the number of (sorted) negatives below each score, ties 1/2."""
    return np.searchsorted(negative, scores, "left") + np.searchsorted(negative, scores, "right")


def _delong(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(k,) areas and their (k, k) covariance, for k scores of the same n cases (n log n)."""
    positive = labels == 1
    m, n = int(positive.sum()), int((~positive).sum())
    if min(m, n) < 2:
        raise UserError(f"DeLong's interval needs two cases of each class, there are {m} positive and {n} negative")
    above = np.array([_shares_below(s[positive], s[~positive]) for s in scores])
    areas, covariance = above.mean(axis=1), np.atleast_2d(np.cov(above)) / m
    below = np.array([_shares_below(s[~positive], s[positive]) for s in scores])
    return areas, covariance + np.atleast_2d(np.cov(below)) / n


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
