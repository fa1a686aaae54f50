"""95 % intervals and tests: exact and Wilson for proportions, exact for rates, bootstrap by group for anything.

A bootstrap of few groups has too little spread, short by sqrt((groups - 1) / groups), and a normal tail stands where a
t tail belongs.  Both are put right here, in intervals and tests alike, as in Hesterberg (2015, "What teachers should
know about the bootstrap").  `groups` is the number of groups that carry the cases in question.  Where groups differ in
size it is the effective number (`effective_groups`), which need not be whole: it decides the tails, not what may be
resampled.  What the intervals cover is measured by `make coverage`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.progress import bar

ENOUGH_GROUPS = 10  # below this a bootstrap by group is said to be unreliable
CELLS = 500_000  # resamples times groups that are drawn at a time: 4 MB
LEAST_ERROR = 1e-12  # resamples with a smaller standard deviation are all alike


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


def exact_intervals(
    hits: Sequence[int] | np.ndarray, total: int | np.ndarray, confidence: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """(n,) lower and (n,) upper ends of the Clopper-Pearson intervals of hits/total, one for each of the (n,) hits.

    total : one for all, or (n,).  Raises ValueError unless both are whole, 0 <= hits <= total and total > 0.
    """
    from scipy.special import betaincinv  # here: it takes a while to load

    hits, total = _counts(hits, total)
    tail, misses = (1 - checked_confidence(confidence)) / 2, total - hits
    # at no hit, or no miss, the beta distribution is not defined: the end is 0, or 1
    low = np.where(hits > 0, betaincinv(np.maximum(hits, 1), misses + 1, tail), 0.0)
    high = np.where(misses > 0, betaincinv(hits + 1, np.maximum(misses, 1), 1 - tail), 1.0)
    return low, high


def wilson(hits: int, total: int, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of hits/total: covers `confidence` on average, for independent cases."""
    from scipy.stats import binomtest  # here: it takes half a second to load

    _counts([hits], total)
    interval = binomtest(int(hits), int(total)).proportion_ci(checked_confidence(confidence), method="wilson")
    return Interval(float(interval.low), float(interval.high))


def poisson_interval(count: int, size: float, confidence: float = 0.95) -> Interval:
    """Exact (Garwood 1936) interval of the rate count/size, for independent events: false positives per frame, say.

    Raises ValueError unless count is whole, count >= 0 and size > 0.
    """
    from scipy.special import gammaincinv

    if not (count >= 0 and float(count).is_integer() and 0 < size < np.inf):
        raise ValueError(f"{count} events in {size}: an interval needs a whole number of events and a size above 0")
    tail = (1 - checked_confidence(confidence)) / 2
    low = float(gammaincinv(count, tail)) if count else 0.0
    return Interval(low / size, float(gammaincinv(count + 1, 1 - tail)) / size)


def checked_confidence(confidence: float) -> float:
    """The confidence itself; ValueError unless it is a share between 0 and 1."""
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence of {confidence}: it must lie between 0 and 1, as 0.95 does for 95 %")
    return confidence


def _counts(hits: Sequence[int] | np.ndarray, total: int | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as floats; ValueError if they are not the hits of a total."""
    hits, of = np.broadcast_arrays(np.asarray(hits, np.float64), np.asarray(total, np.float64))
    for fits, need in (
        ((of > 0) & (hits >= 0) & (hits <= of), "0 <= hits <= total and total > 0"),
        ((hits % 1 == 0) & (of % 1 == 0), "whole numbers of both"),
    ):
        if not fits.all():
            at = np.argmin(fits)
            raise ValueError(f"{hits.flat[at]:g} hits of {of.flat[at]:g}: an interval needs {need}")
    return hits, of


def effective_groups(sizes: Sequence[float] | np.ndarray) -> float:
    """How many groups of one size tell as much as groups of these sizes: Kish's (sum n)^2 / sum n^2.

    sizes : cases of each group, those without any left out or 0.  A video with half of all cases counts for much more
    than one of twenty; t tails for twenty would be too short.  1 for a single group, else at least 2.
    """
    sizes = np.asarray(sizes, np.float64)
    sizes = sizes[sizes > 0]
    return max(float(sizes.sum() ** 2 / (sizes**2).sum()), 2.0) if sizes.size > 1 else float(sizes.size)


def group_resamples(group: Sequence[object] | np.ndarray, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yield `resamples` times how often each member counts when whole groups are drawn with replacement.

    group : (n,) the group (video, patient) of each member; yields (n,) int.  Raises UserError for fewer than two
    groups: their spread cannot be estimated then.
    """
    names, member = np.unique(np.asarray(group), return_inverse=True)
    for counts in group_counts(names.size, resamples, seed):
        for drawn in counts:
            yield drawn[member]


def group_counts(groups: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each group is drawn in the same resamples, a block at a time: (some, groups) int, `resamples` in all.

    Raises UserError for fewer than two groups.
    """
    if groups < 2:
        raise UserError(f"a bootstrap by group needs two groups or more, there is {groups}")
    rng, step = np.random.default_rng(seed), max(CELLS // groups, 1)
    with bar(total=resamples, title="resampling") as shown:
        for start in range(0, resamples, step):
            rows = min(step, resamples - start)
            drawn = rng.integers(groups, size=(rows, groups)) + groups * np.arange(rows)[:, None]
            yield np.bincount(drawn.ravel(), minlength=rows * groups).reshape(rows, groups)
            shown.update(rows)


def logit_intervals(
    values: np.ndarray, resampled: np.ndarray, groups: float, confidence: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """(k,) lower and (k,) upper ends of intervals of figures between 0 and 1, from their bootstrap by group.

    values : (k,) in the sample        resampled : (resamples, k)
    t distribution, standard error of the resamples times sqrt(groups / (groups - 1)), set out on the logit scale; where
    all groups agree, `alike_bounds`.  A row that is nan (its resample drew no case of one kind) is left out.
    Raises UserError if more than a twentieth of the rows are, or for fewer than two groups.
    """
    resampled, groups = _defined(resampled), _groups(groups)
    reach = t_quantile(groups, confidence) * _error(resampled, groups)
    return on_logit_scale(np.asarray(values, np.float64), reach, all_alike(groups, confidence))


def area_interval(value: float, resampled: np.ndarray, groups: float, confidence: float = 0.95) -> Interval:
    """`logit_intervals` of one figure: an AUC, a mean sensitivity.  resampled : (resamples,)"""
    low, high = logit_intervals(np.array([value]), np.asarray(resampled)[:, None], groups, confidence)
    return Interval(float(low[0]), float(high[0]))


def on_logit_scale(values: np.ndarray, reach: np.ndarray, alike: float) -> tuple[np.ndarray, np.ndarray]:
    """Ends of values -/+ reach, set out on the scale of log(value / (1 - value)), so that they stay within 0 and 1.

    reach : (k,) quantile times standard error; where it is 0, or a value is 0 or 1, the ends are those of
    `alike_bounds`, and no nearer than the reach.    alike : as `all_alike`
    """
    from scipy.special import expit, logit

    low, high = alike_bounds(values, alike, 0.0, 1.0)
    inside = (values > 0) & (values < 1) & (reach > LEAST_ERROR)
    value = np.where(inside, values, 0.5)
    on_scale = reach / (value * (1 - value))
    return (
        np.where(inside, expit(logit(value) - on_scale), np.clip(np.minimum(low, values - reach), 0, 1)),
        np.where(inside, expit(logit(value) + on_scale), np.clip(np.maximum(high, values + reach), 0, 1)),
    )


def logit_interval(value: float, reach: float, alike: float) -> Interval:
    """`on_logit_scale` of one value."""
    low, high = on_logit_scale(np.array([value]), np.array([reach]), alike)
    return Interval(float(low[0]), float(high[0]))


def alike_bounds(
    values: float | np.ndarray, alike: float, least: float, most: float
) -> tuple[float | np.ndarray, float | np.ndarray]:
    """Ends of the interval of a mean although all groups came to it: a part `alike` of groups may be at either limit.

    least, most : what a group can come to.  At a value of 0 or 1 it is the exact interval of as many cases as groups.
    """
    return values + alike * (least - values), values + alike * (most - values)


def all_alike(groups: float, confidence: float = 0.95) -> float:
    """The largest part of groups that may differ although all of `groups` independent groups came to the same.

    The upper end of the Clopper-Pearson interval of 0 in `groups`.  It holds however alike the cases within a group
    are: of groups of one size with a true share s, one comes to 1 with a chance of s at most.
    """
    return float(1 - ((1 - checked_confidence(confidence)) / 2) ** (1 / groups))


def t_quantile(groups: float, confidence: float = 0.95) -> float:
    """How many standard errors a two-sided interval reaches to either side; t with groups - 1 degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(groups - 1, 0.5 + checked_confidence(confidence) / 2))


def paired_difference(value: float, resampled: np.ndarray, groups: float, confidence: float = 0.95) -> Difference:
    """Interval and test of a difference of two figures between 0 and 1, from its bootstrap by group.

    value : the difference in the sample        resampled : (resamples,) the differences of the same resamples
    t distribution, standard error of the resamples times sqrt(groups / (groups - 1)).  The counted share of resamples
    beyond zero could not get below 1/resamples, too coarse for a table of a hundred comparisons; this p can.  It is
    never below `least_p`.  Where all resamples are alike, the interval is that of `alike_bounds`.
    Raises UserError as `logit_intervals`.
    """
    from scipy.special import stdtr

    resampled, groups = _defined(resampled), _groups(groups)
    error = float(_error(resampled, groups))
    if error > LEAST_ERROR:
        reach = t_quantile(groups, confidence) * error
        low, high = value - reach, value + reach
        p = 2 * float(stdtr(groups - 1, -abs(value) / error))
    else:
        low, high = (float(end) for end in alike_bounds(value, all_alike(groups, confidence), -1.0, 1.0))
        p = float(abs(value) < LEAST_ERROR)
    return Difference(float(value), max(low, -1.0), min(high, 1.0), max(p, least_p(groups)))


def least_p(groups: float) -> float:
    """The least p that a test by groups can reach, when all agree in sign: five groups show nothing at p < .05."""
    return float(2.0 ** (1 - groups))


def _defined(values: np.ndarray) -> np.ndarray:
    """The resamples with a value; UserError if more than a twentieth have none."""
    values = np.asarray(values, np.float64)
    defined: np.ndarray = values[np.isfinite(values).reshape(len(values), -1).all(axis=1)]
    if len(defined) < 0.95 * len(values) or len(defined) < 2:
        raise UserError(
            f"bootstrap undefined: {len(values) - len(defined)} of {len(values)} resamples drew no case of one kind;"
            " there are too few groups"
        )
    return defined


def _error(resampled: np.ndarray, groups: float) -> np.ndarray:
    """Standard error from (resamples, ...) values of a bootstrap by group."""
    return np.asarray(np.std(resampled, axis=0, ddof=1) * np.sqrt(groups / (groups - 1)))


def _groups(groups: float) -> float:
    if not groups > 1:
        raise UserError(f"a bootstrap by group needs two groups with cases or more, there is {groups:g}")
    return groups
