"""How well two ways to measure agree: Bland-Altman, mean absolute error, intraclass correlation; tests by group.

Images of one patient are alike, so all intervals and tests resample whole groups.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.evaluation.intervals import (
    LEAST_ERROR,
    Difference,
    Interval,
    effective_groups,
    group_resamples,
    least_p,
    t_quantile,
)
from pycaffe_ext.evaluation.multiplicity import holm

Floats = NDArray[np.floating[Any]]
Groups = Sequence[object] | NDArray[np.generic]
Statistic = Callable[[Floats, Floats, Floats], float]
RESAMPLES = 2000
LIMITS = 1.959963984540054  # standard deviations of the differences to either side: 95 % of a normal distribution


@dataclass(frozen=True)
class Figure:
    """interval : 95 % by group; None where there are too few groups."""

    value: float
    interval: Interval | None


@dataclass(frozen=True)
class Agreement:
    """bias : mean of found minus true.   lower, upper : limits of agreement.   mean_absolute : mean absolute error.
    icc : ICC(A,1), NaN if nothing varies.   images, groups : how many; groups is the effective number."""

    images: int
    groups: float
    bias: Figure
    lower: Figure
    upper: Figure
    mean_absolute: Figure
    icc: Figure


@dataclass(frozen=True)
class PairedTest:
    """difference : first minus second, of the mean absolute errors; None where there are too few groups."""

    first: str
    second: str
    difference: Difference | None
    p_holm: float | None


def agreement(found: Floats, true: Floats, group: Groups, resamples: int = RESAMPLES, seed: int = 0) -> Agreement:
    """Figures of n images with intervals.  found, true : (n,), finite.   group : (n,) patient of each.

    Raises ValueError for arrays that do not fit or fewer than two images.
    """
    found, true, names = _checked(found, true, group)
    statistics: dict[str, Statistic] = {
        "bias": _bias,
        "lower": lambda a, b, w: _limits(a, b, w)[0],
        "upper": lambda a, b, w: _limits(a, b, w)[1],
        "mean_absolute": _mean_absolute,
        "icc": _icc,
    }
    groups = effective_groups(np.bincount(names))
    drawn = _drawn(found, true, names, list(statistics.values()), resamples, seed) if groups >= 2 else None
    once = np.ones(found.size)
    figures = {}
    for place, (name, statistic) in enumerate(statistics.items()):
        value = statistic(found, true, once)
        figures[name] = Figure(value, None if drawn is None else _interval(value, drawn[:, place], groups))
    icc = figures.pop("icc")
    if icc.interval:
        icc = Figure(icc.value, Interval(max(icc.interval.low, -1.0), min(icc.interval.high, 1.0)))
    absolute = figures.pop("mean_absolute")
    if absolute.interval:
        absolute = Figure(absolute.value, Interval(max(absolute.interval.low, 0.0), absolute.interval.high))
    return Agreement(found.size, groups, mean_absolute=absolute, icc=icc, **figures)


def limits_of_agreement(found: Floats, true: Floats) -> tuple[float, float, float]:
    """Bias and the two limits, bias -/+ 1.96 standard deviations of the differences (n - 1)."""
    found, true, _ = _checked(found, true, np.arange(len(found)))
    once = np.ones(found.size)
    lower, upper = _limits(found, true, once)
    return _bias(found, true, once), lower, upper


def icc_agreement(ratings: Floats) -> float:
    """ICC(A,1) of McGraw and Wong (1996), Shrout and Fleiss' (2,1): two-way, absolute agreement, single measurements.

    ratings : (n targets, k raters), finite.  NaN if nothing varies.  Raises ValueError for fewer than two of either.
    """
    ratings = np.asarray(ratings, np.float64)
    if ratings.ndim != 2 or min(ratings.shape) < 2 or not np.isfinite(ratings).all():
        raise ValueError(f"ratings of shape {ratings.shape}: (targets, raters), two of each or more, finite")
    return _icc_weighted(ratings, np.ones(len(ratings)))


def compare(errors: Mapping[str, Floats], group: Groups, resamples: int = RESAMPLES, seed: int = 0) -> list[PairedTest]:
    """Every pair of methods by the mean of their absolute errors, in the order of `errors`; p adjusted after Holm.

    errors : name -> (n,) absolute errors on the same images.   group : (n,) patient of each image.
    Raises ValueError for arrays that do not fit.
    """
    pairs = list(combinations(errors, 2))
    tests = [paired_difference(errors[a], errors[b], group, resamples, seed) for a, b in pairs]
    adjusted = holm([test.p if test else None for test in tests])
    return [PairedTest(a, b, test, p) for (a, b), test, p in zip(pairs, tests, adjusted, strict=True)]


def paired_difference(
    first: Floats, second: Floats, group: Groups, resamples: int = RESAMPLES, seed: int = 0
) -> Difference | None:
    """Mean of first minus second with interval and test by group; None for fewer than two groups.

    Unlike `intervals.paired_difference` it is for figures of any size, not for shares.
    """
    first, second, names = _checked(first, second, group)
    groups = effective_groups(np.bincount(names))
    if groups < 2:
        return None
    value = float((first - second).mean())
    drawn = _drawn(first, second, names, [_bias], resamples, seed)[:, 0]
    return _test(value, _error(drawn, groups), groups)


def _test(value: float, error: float, groups: float) -> Difference:
    from scipy.special import stdtr  # here: it takes a while to load

    reach = t_quantile(groups) * error
    beyond = 2 * float(stdtr(groups - 1, -abs(value) / max(error, LEAST_ERROR)))
    p = beyond if error > LEAST_ERROR else float(abs(value) < LEAST_ERROR)
    return Difference(value, value - reach, value + reach, max(p, least_p(groups)))


def _interval(value: float, drawn: Floats, groups: float) -> Interval | None:
    defined = drawn[np.isfinite(drawn)]
    if defined.size < 0.95 * drawn.size or not np.isfinite(value):
        return None
    reach = t_quantile(groups) * _error(defined, groups)
    return Interval(value - reach, value + reach)


def _error(drawn: Floats, groups: float) -> float:
    return float(drawn.std(ddof=1) * np.sqrt(groups / (groups - 1)))


def _drawn(
    found: Floats, true: Floats, names: NDArray[np.int64], statistics: Sequence[Statistic], resamples: int, seed: int
) -> Floats:
    """(resamples, statistics)"""
    weights = group_resamples(names, resamples, seed)
    return np.array([[statistic(found, true, w.astype(np.float64)) for statistic in statistics] for w in weights])


def _bias(found: Floats, true: Floats, weight: Floats) -> float:
    return float(weight @ (found - true) / weight.sum())


def _mean_absolute(found: Floats, true: Floats, weight: Floats) -> float:
    return float(weight @ np.abs(found - true) / weight.sum())


def _limits(found: Floats, true: Floats, weight: Floats) -> tuple[float, float]:
    difference, bias = found - true, _bias(found, true, weight)
    if weight.sum() < 2:
        return np.nan, np.nan
    spread = LIMITS * float(np.sqrt(weight @ (difference - bias) ** 2 / (weight.sum() - 1)))
    return bias - spread, bias + spread


def _icc(found: Floats, true: Floats, weight: Floats) -> float:
    return _icc_weighted(np.column_stack([found, true]), weight)


def _icc_weighted(ratings: Floats, weight: Floats) -> float:
    """From the mean squares of rows, columns and error; weight : (n,) how often each target counts."""
    n, k = float(weight.sum()), ratings.shape[1]
    if n < 2:
        return np.nan
    mean, rows = float(weight @ ratings.mean(axis=1) / n), ratings.mean(axis=1)
    columns = weight @ ratings / n
    between = k * float(weight @ (rows - mean) ** 2) / (n - 1)
    raters = n * float(((columns - mean) ** 2).sum()) / (k - 1)
    rest = ratings - rows[:, None] - columns + mean
    error = float(weight @ (rest**2).sum(axis=1)) / ((n - 1) * (k - 1))
    below = between + (k - 1) * error + k * (raters - error) / n
    return (between - error) / below if abs(below) > 1e-300 else float("nan")


def _checked(found: Floats, true: Floats, group: Groups) -> tuple[Floats, Floats, NDArray[np.int64]]:
    found, true = np.asarray(found, np.float64), np.asarray(true, np.float64)
    if not (found.ndim == 1 and found.shape == true.shape and len(group) == found.size):
        raise ValueError(f"{found.shape} and {true.shape} values of {len(group)} groups: three of the same (n,)")
    if found.size < 2:
        raise ValueError("agreement needs two images or more")
    if not (np.isfinite(found).all() and np.isfinite(true).all()):
        raise ValueError("a value is not finite")
    return found, true, np.unique(np.asarray(group), return_inverse=True)[1].astype(np.int64)
