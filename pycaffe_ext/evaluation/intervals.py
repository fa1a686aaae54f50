"""95 % intervals: exact and Wilson for proportions, bootstrap by group for anything, t over seeds.

A percentile interval of few groups is too narrow: its spread is short by sqrt((groups - 1) / groups), and a normal tail
stands where a t tail belongs.  Both are put right as in the expanded percentile interval of Hesterberg (2015, "What
teachers should know about the bootstrap"); `groups` is the number of groups that carry the cases in question.  What
the intervals cover is measured by `make coverage`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.progress import bar

ENOUGH_GROUPS = 10  # below this a bootstrap by group is said to be unreliable


class Interval(NamedTuple):
    low: float
    high: float


class Difference(NamedTuple):
    """value = first minus second; p is two-sided."""

    value: float
    low: float
    high: float
    p: float


def clopper_pearson(hits: int, total: int, confidence: float = 0.95) -> Interval:
    """Exact binomial interval of hits/total: covers at least `confidence`, for independent cases."""
    low, high = exact_intervals(np.array([hits]), total, confidence)
    return Interval(float(low[0]), float(high[0]))


def exact_intervals(hits: np.ndarray, total: int, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """(n,) lower and (n,) upper ends of the Clopper-Pearson intervals of hits/total, one for each of the (n,) hits.

    Raises ValueError unless 0 <= hits <= total and total > 0.
    """
    from scipy.special import betaincinv  # here: it takes a while to load

    hits = np.asarray(hits, np.float64)
    if total <= 0 or not ((hits >= 0) & (hits <= total)).all():
        raise ValueError(f"{hits} hits of {total}: an interval needs 0 <= hits <= total and total > 0")
    tail, misses = (1 - confidence) / 2, total - hits
    # at no hit, or no miss, the beta distribution is not defined: the end is 0, or 1
    low = np.where(hits > 0, betaincinv(np.maximum(hits, 1), misses + 1, tail), 0.0)
    high = np.where(misses > 0, betaincinv(hits + 1, np.maximum(misses, 1), 1 - tail), 1.0)
    return low, high


def wilson(hits: int, total: int, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of hits/total: covers `confidence` on average, for independent cases."""
    from scipy.stats import binomtest  # here: it takes half a second to load

    if not 0 <= hits <= total or total == 0:
        raise ValueError(f"{hits} hits of {total}: an interval needs 0 <= hits <= total and total > 0")
    interval = binomtest(int(hits), int(total)).proportion_ci(confidence, method="wilson")
    return Interval(float(interval.low), float(interval.high))


def group_resamples(group: Sequence[object] | np.ndarray, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yield `resamples` times how often each member counts when whole groups are drawn with replacement.

    group : (n,) the group (video, patient) of each member; yields (n,) int.  Raises UserError for fewer than two
    groups: their spread cannot be estimated then.
    """
    names, member = np.unique(np.asarray(group), return_inverse=True)
    if names.size < 2:
        raise UserError(f"a bootstrap by group needs two groups or more, there is {names.size}")
    rng = np.random.default_rng(seed)
    for _ in bar(range(resamples), "resampling"):
        drawn = rng.integers(names.size, size=names.size)
        yield np.bincount(drawn, minlength=names.size)[member]


def percentiles(values: np.ndarray, groups: int, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """(k,) lower and (k,) upper ends of expanded percentile intervals of bootstrap values (resamples, k).

    A row that is nan (its resample drew no case of one kind) is left out.  Raises UserError if more than a twentieth
    of the rows are, or for fewer than two groups.
    """
    defined = _defined(values)
    tail = _tail(_groups(groups), confidence)
    low, high = np.quantile(defined, [tail, 1 - tail], axis=0)
    return low, high


def area_interval(value: float, resampled: np.ndarray, groups: int, confidence: float = 0.95) -> Interval:
    """Interval of an AUC from its bootstrap by group: t distribution, standard error of the resamples, logit scale.

    value : the AUC in the sample        resampled : (resamples,)
    It covers an area near 1 better than the percentile interval does.  At exactly 0 or 1 see `all_alike`.
    Raises UserError as `percentiles`.
    """
    from scipy.special import stdtrit

    resampled, groups = _defined(resampled), _groups(groups)
    quantile = float(stdtrit(groups - 1, 0.5 + confidence / 2))
    return on_logit_scale(value, float(np.std(resampled, ddof=1)), quantile, all_alike(groups, confidence))


def on_logit_scale(value: float, error: float, quantile: float, reach: float) -> Interval:
    """value -/+ quantile * error, set out on the scale of log(value / (1 - value)), so that it stays within 0 and 1.

    reach : the width of the interval where that scale ends, at a value of exactly 0 or 1
    """
    from scipy.special import expit, logit

    if value in (0, 1):
        return Interval(max(value - reach, 0.0), min(value + reach, 1.0))
    on_scale = quantile * error / (value * (1 - value))
    return Interval(*(float(expit(logit(value) + side * on_scale)) for side in (-1, 1)))


def all_alike(groups: int, confidence: float = 0.95) -> float:
    """How far from 1 a share may be although all of `groups` independent groups came to 1 (or from 0, all to 0).

    The upper end of the Clopper-Pearson interval of 0 misses in `groups`.  It holds however alike the cases within a
    group are: of groups of one size with a true share s, one comes to 1 with a chance of s at most.
    """
    return float(1 - ((1 - confidence) / 2) ** (1 / groups))


def paired_difference(value: float, resampled: np.ndarray, groups: int, confidence: float = 0.95) -> Difference:
    """Interval and test of a difference from its bootstrap: t distribution, standard error of the resamples.

    value : the difference in the sample        resampled : (resamples,) the differences of the same resamples
    The counted share of resamples beyond zero could not get below 1/resamples, too coarse for a table of a hundred
    comparisons; this p can.  It is never below `least_p`.  Where all resamples say the same, the interval is that of
    `all_alike`.
    Raises UserError as `percentiles`.
    """
    from scipy.special import stdtr, stdtrit

    resampled, groups = _defined(resampled), _groups(groups)
    error = float(np.std(resampled, ddof=1))
    if error > 1e-12:
        reach = float(stdtrit(groups - 1, 0.5 + confidence / 2)) * error
        p = 2 * float(stdtr(groups - 1, -abs(value) / error))
    else:
        reach = (1 + abs(value)) * all_alike(groups, confidence)
        p = float(abs(value) < 1e-12)
    low, high = float(max(value - reach, -1)), float(min(value + reach, 1))
    return Difference(float(value), low, high, max(p, least_p(groups)))


def least_p(groups: int) -> float:
    """The least p that a test by groups can reach, when all agree in sign: five groups show nothing at p < .05."""
    return 2.0 ** (1 - groups)


def _defined(values: np.ndarray) -> np.ndarray:
    """The resamples with a value; UserError if more than a twentieth have none."""
    values = np.asarray(values, np.float64)
    defined = values[np.isfinite(values).reshape(len(values), -1).all(axis=1)]
    if len(defined) < 0.95 * len(values) or len(defined) < 2:
        raise UserError(
            f"bootstrap undefined: {len(values) - len(defined)} of {len(values)} resamples drew no case of one kind;"
            " there are too few groups"
        )
    return defined


def _groups(groups: int) -> int:
    if groups < 2:
        raise UserError(f"a bootstrap by group needs two groups with cases or more, there is {groups}")
    return groups


def _tail(groups: int, confidence: float) -> float:
    """The share of resamples to cut off at either end: normal tail of the widened t quantile."""
    from scipy.special import ndtr, stdtrit

    return float(ndtr(stdtrit(groups - 1, (1 - confidence) / 2) * np.sqrt(groups / (groups - 1))))
