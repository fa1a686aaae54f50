"""How much lower a figure is on another data set than on the test part of one's own: internal minus external.

The two samples of groups are independent of each other, so the variances of the cases add; the trainings are the same,
so the difference is taken seed by seed, d[s] = internal[s] - external[s].  As in `contrasts`,

    Var(mean d) = MS / S + C_internal + C_external,    MS = variance of d between the S seeds

C is the mean covariance of two seeds' figures owing to the cases: of the internal test sets as far as they overlap, of
the external set all of it, as every seed is tested on the same one.  What a training owes to luck is in MS alone, and
there only as far as the two tests do not share it.  mean d is referred to the Behrens-Fisher distribution with S - 1
degrees of freedom for MS; for C the smaller of the two numbers of effective groups counts, minus 1, which is never too
many (Mickey and Brown 1966).

In folds the mean over folds has the variance of `folds.fold_mean` of d, in which the internal cases are, and the
external set adds its C_external, which no number of folds lessens: every fold's net is tested on all of it. So has the
external figure by itself.

With a single seed, or seeds that all came to the same (a detector that is trained once for all), the interval is for
other groups only, of both data sets, not for other trainings: there C is the variance of the mean owing to its cases.
The intervals of either test are set out between the limits of the figure, those of a fall of a figure between two
limits end at their distance.

`fall_worlds` simulates it (`make coverage`).  It does not know of near-duplicates between the sets: with those in the
internal test part the samples are not independent.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite, nan, sqrt

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import contrasts, folds
from pycaffe_ext.evaluation.contrasts import Estimate, Figure
from pycaffe_ext.evaluation.folds import in_folds
from pycaffe_ext.evaluation.intervals import Interval, all_alike, t_quantile
from pycaffe_ext.evaluation.seeds import SHARE, Limits, SeedInterval, scheme_interval, set_out

ALIKE = 1e-12  # seeds whose values differ by less came to the same


@dataclass(frozen=True)
class Fall:
    """A net's figure here and there, and its fall; every one the mean over `seeds` seeds (or folds of seeds).

    The ends of an interval are None where there is none.   trainings : whether the interval of the fall allows for
    other trainings, besides other groups.
    """

    internal: SeedInterval
    external: SeedInterval
    value: float
    low: float | None
    high: float | None
    trainings: bool

    @property
    def seeds(self) -> int:
        return self.internal.seeds


def fall(internal: Figure, external: Figure, scheme: int, overlap: float, limits: Limits = SHARE) -> Fall:
    """The fall of one scheme over the seeds with which it was tested on both.

    internal, external : of the same seeds and schemes; of a study in folds, which `internal.trials` says, the external
    one is computed as if the folds were seeds, for their test sets are one.   scheme : column.   overlap : of the
    internal test sets, limits : of the figure, both as `seeds.seed_interval` takes them.
    Raises ValueError for figures of other shapes.
    """
    if internal.values.shape != external.values.shape or external.trials:
        raise ValueError("a fall needs the same seeds and schemes in both tests")
    there = np.isfinite(internal.values) & np.isfinite(external.values)
    rows = np.flatnonzero(there[:, scheme])
    values = (internal.values - external.values)[rows, scheme]
    own, other = (_of(figure, scheme, rows) for figure in (internal, external))
    interval, trainings = _interval(values, own, other, rows, internal, external)
    low, high = _within(interval, limits) if interval else (None, None)
    trials = [internal.trials[row] for row in rows.tolist()] if in_folds(internal.trials) else []
    sides = _side(internal, scheme, overlap, limits), _external(external, scheme, rows, trials, limits)
    return Fall(*sides, float(values.mean()), low, high, trainings)


def _of(figure: Figure, scheme: int, rows: np.ndarray) -> np.ndarray:
    """(rows, rows) covariance owing to the cases."""
    return figure.covariance[:, scheme, :, scheme][np.ix_(rows, rows)]


def _interval(
    values: np.ndarray, own: np.ndarray, other: np.ndarray, rows: np.ndarray, internal: Figure, external: Figure
) -> tuple[Interval | None, bool]:
    groups = min(internal.effective_groups, external.effective_groups)
    folded = in_folds(internal.trials)
    if not folded and np.ptp(values) < ALIKE:
        return _of_cases(float(values.mean()), float(own.mean() + other.mean()), groups), False
    try:
        if folded:
            trials = [internal.trials[row] for row in rows.tolist()]
            found = _fold_estimate(values, other, external.effective_groups, trials)
        else:
            found = contrasts.estimate(values, own + other, groups)
    except UserError:
        return None, False
    return found.interval(), True


def _of_cases(value: float, variance: float, groups: float) -> Interval | None:
    """For other groups; None where the variance is unknown or nothing varied."""
    if not (isfinite(variance) and variance > 0 and groups > 1):
        return None
    reach = t_quantile(groups) * sqrt(variance)
    return Interval(value - reach, value + reach)


def _within(interval: Interval, limits: Limits) -> Interval:
    """No difference of two shares or areas is larger than 1."""
    most = limits[1] - limits[0] if limits else inf
    return Interval(max(interval.low, -most), min(interval.high, most))


def _fold_estimate(values: np.ndarray, other: np.ndarray, groups: float, trials: list[int]) -> Estimate:
    """Raises UserError as `folds.fold_mean`, and for a covariance that is not known."""
    if not np.isfinite(other).all() or groups < 2:
        raise UserError("how the figure varies with the external groups is unknown")
    found = folds.fold_mean(values, trials)
    count = len(values)
    shared = max(float(other.sum() - np.trace(other)) / (count * (count - 1)), 0.0)
    error = sqrt(found.variance)
    return Estimate(
        found.mean, error, sqrt(shared), found.seeds, groups, nan, nan, folds=found.folds, freedom=found.freedom
    )


def _side(figure: Figure, scheme: int, overlap: float, limits: Limits) -> SeedInterval:
    """One test's mean and interval; that for other groups alone where no seed differs."""
    found = scheme_interval(figure, scheme, overlap, limits)
    rows = np.flatnonzero(np.isfinite(figure.values[:, scheme]))
    variance, groups = float(_of(figure, scheme, rows).mean()), figure.effective_groups
    varied = bool(figure.trials) or np.ptp(figure.values[rows, scheme]) >= ALIKE
    if varied or not isfinite(variance) or not groups > 1:
        return found
    reach = t_quantile(groups) * sqrt(max(variance, 0.0))
    return SeedInterval(found.mean, *set_out(found.mean, reach, limits, all_alike(groups)), found.seeds)


def _external(figure: Figure, scheme: int, rows: np.ndarray, trials: list[int], limits: Limits) -> SeedInterval:
    """The external mean and interval; trials : the folds that its rows are of, none of seeds."""
    if not trials:
        return _side(figure, scheme, 1.0, limits)
    values = figure.values[rows, scheme]
    try:
        found = _fold_estimate(values, _of(figure, scheme, rows), figure.effective_groups, trials)
    except UserError:
        return SeedInterval(float(values.mean()), None, None, len(values))
    reach = found.interval().high - found.value
    ends = set_out(found.value, reach, limits, all_alike(figure.effective_groups))
    return SeedInterval(found.value, *ends, len(values))
