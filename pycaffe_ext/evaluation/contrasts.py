"""Contrasts between schemes over training seeds: one estimate, one test and one verdict for each claim.

A study trains every scheme with each of several seeds and tests the nets of a seed on one test set.  A contrast is a
weighted sum of the schemes' figures, fixed beforehand, and is taken seed by seed: d[seed].  Seeds differ because a net
was trained again (training) and because their test sets hold different groups (cases); test sets overlap, so the
second part does not average out.  The variance of the mean of d is that of Obuchowski and Rockette (1995) with
training seeds as readers:

    Var(mean d) = MS / S + C,    MS = variance of d between the S seeds,    C = mean covariance of two seeds' cases

C comes from a resampling by group of all seeds together, at least 0; seeds without a common group have none, seeds
with the same test set all of it.  MS has S - 1 degrees of freedom, C about groups - 1, and mean d is referred to the
Behrens-Fisher distribution of sqrt(MS / S) * t[S - 1] + sqrt(C) * t[groups - 1].

Chosen by simulation (`evaluation.study_worlds`, `make coverage`) among the rules for this design.  With 3, 5 and 10
seeds, half-shared and equal test sets and any share of training in the variance, the 95 % interval covers 95 to 98 %.
The plain t interval over seeds falls to 52 %; Satterthwaite's degrees of freedom (Hillis 2007) to 92 %;
Nadeau and Bengio's corrected t (2003) covers 96 to 100 %, which costs power, and 90 % where the test sets are equal.

A study in folds has another variance, that of `folds`.

What it cannot see: trainings that resemble each other because their training sets overlap.  The inference is to other
trainings and other test groups of this data set's kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from math import nan, sqrt

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import folds
from pycaffe_ext.evaluation.folds import in_folds
from pycaffe_ext.evaluation.intervals import Interval, checked_confidence

LEVEL = 0.05
POWER = 0.8
STEEP = 0.3  # of the scales, see `Estimate._tail`
NODES, REACH = 801, 14.0  # of the integral of the Behrens-Fisher distribution; sinh(14) covers t with one degree


class Verdict(Enum):
    """What a study says about a claim.

    INCONCLUSIVE is used of claims with a margin: neither within it nor beyond it is shown.
    """

    SHOWN = "shown"
    AGAINST = "shown against"
    NOT_SHOWN = "not shown"
    INCONCLUSIVE = "inconclusive"
    NOT_TESTED = "not tested"


@dataclass(frozen=True)
class Estimate:
    """The mean of a figure or a contrast over seeds, with its two sources of variance.

    value : the mean        seed_error : sqrt(MS / S)        case_error : sqrt(C), see the module's head
    seeds, groups : how many, groups in groups of one size; degrees of freedom are one less
    training_sd, case_sd : standard deviations of one seed's value owing to training and to the cases of its test set
    folds : of each seed; 0 without folds.  With folds seed_error is all of the error, cases included (`folds`), with
    `freedom` degrees of freedom; training_sd and case_sd are those of one fold, case_sd nan where it is unknown.
    """

    value: float
    seed_error: float
    case_error: float
    seeds: int
    groups: float
    training_sd: float
    case_sd: float
    folds: int = 0
    freedom: float | None = None

    @property
    def seed_freedom(self) -> float:
        """Degrees of freedom of `seed_error`."""
        return self.seeds - 1 if self.freedom is None else self.freedom

    @property
    def error(self) -> float:
        """The standard error of the mean."""
        return sqrt(self.seed_error**2 + self.case_error**2)

    @property
    def total_freedom(self) -> float:
        """Satterthwaite's degrees of freedom of `error`."""
        return self.error**4 / (self.seed_error**4 / self.seed_freedom + self.case_error**4 / (self.groups - 1))

    def statistic(self, null: float = 0.0) -> float:
        """How many standard errors the value lies above `null`."""
        return (self.value - null) / self.error

    def p_above(self, null: float = 0.0) -> float:
        """One-sided p of the hypothesis that the true value is at most `null`."""
        return self._tail(self.value - null)

    def p_below(self, null: float = 0.0) -> float:
        """One-sided p of the hypothesis that the true value is at least `null`."""
        return self._tail(null - self.value)

    def p(self, null: float = 0.0) -> float:
        """Two-sided p of the hypothesis that the true value is `null`."""
        return min(1.0, 2 * self._tail(abs(self.value - null)))

    def interval(self, confidence: float = 0.95) -> Interval:
        reach = self._quantile((1 - checked_confidence(confidence)) / 2)
        return Interval(self.value - reach, self.value + reach)

    def smallest(self, level: float = LEVEL, power: float = POWER, known: bool = False) -> float:
        """The smallest true distance from the hypothesis that a study like this shows with a chance of `power`.

        For a two-sided test at `level`: the noncentral t distribution that leads beyond the critical value, with the
        degrees of freedom that Satterthwaite gives the error.  The error is put at its mean, as its estimate is below
        it more often than not; as in the sample-size tables of a t test, it does not change with the difference.
        known : whether the errors are the true ones, as assumed for a plan, and not estimated by a study
        """
        from scipy.special import chdtri, nctdtrinc

        checked_confidence(1 - level)
        checked_confidence(power)
        freedom = self.total_freedom
        reach = nctdtrinc(freedom, 1 - power, self._quantile(level / 2) / self.error)
        return float(reach * self.error / (1.0 if known else sqrt(chdtri(freedom, 0.5) / freedom)))

    def _tail(self, distance: float) -> float:
        """The chance that the estimate exceeds the truth by `distance` or more.

        It is an integral over one part.  That is the cases', whose tails are short, unless the other's scale is so much
        smaller that the integrand would be too steep for the nodes.
        """
        from scipy.special import stdtr

        (scale, inner), (other, outer) = (self.case_error, self.groups - 1), (self.seed_error, self.seed_freedom)
        if other < STEEP * scale:
            (scale, inner), (other, outer) = (other, outer), (scale, inner)
        nodes, weights = _nodes(inner)
        return float(weights @ stdtr(outer, (scale * nodes - distance) / other))

    def _quantile(self, tail: float) -> float:
        """The distance that is exceeded with a chance of `tail`."""
        from scipy.optimize import brentq

        top = self.error
        while self._tail(top) > tail:
            top *= 2
        return float(brentq(lambda distance: self._tail(distance) - tail, 0, top, xtol=1e-7 * self.error))


@cache
def _nodes(freedom: float) -> tuple[np.ndarray, np.ndarray]:
    """Trapezoid rule for an expectation over a t distribution: nodes, and weights that sum to 1."""
    from scipy.special import gammaln

    steps = np.linspace(-REACH, REACH, NODES)
    nodes = np.sinh(steps)
    log = gammaln((freedom + 1) / 2) - gammaln(freedom / 2) - (freedom + 1) / 2 * np.log1p(nodes**2 / freedom)
    weights = np.exp(log) * np.cosh(steps)
    return nodes, weights / weights.sum()


def estimate(values: np.ndarray, covariance: np.ndarray, groups: float) -> Estimate:
    """The mean over seeds of a figure or contrast.

    values : (seeds,)        covariance : (seeds, seeds) of the values owing to the cases of the test sets
    groups : effective ones that carry the figure, in the smallest test set
    Raises UserError where the variance between trainings cannot be estimated: a single seed, or equal values.
    """
    values, covariance = np.asarray(values, np.float64), np.asarray(covariance, np.float64)
    seeds = values.size
    if seeds < 2:
        raise UserError(
            f"{seeds or 'no'} seed with every net of the contrast: the variance between trainings is unknown; it takes"
            " two seeds or more (SEEDS=)"
        )
    if not (np.isfinite(values).all() and np.isfinite(covariance).all()):
        raise UserError("a value or a covariance over the groups is not finite")
    if groups < 2:
        raise UserError(f"{groups:g} group with cases: the variance between cases is unknown")
    if np.ptp(values) < 1e-12:
        raise UserError(f"all {seeds} seeds give the same value: the variance between trainings is unknown")
    own = float(np.trace(covariance)) / seeds
    shared = max((float(covariance.sum()) - own * seeds) / (seeds * (seeds - 1)), 0.0)
    between = float(values.var(ddof=1))
    training = max(between - (own - shared), 0.0)
    return Estimate(
        float(values.mean()), sqrt(between / seeds), sqrt(shared), seeds, groups, sqrt(training), sqrt(max(own, 0.0))
    )


def fold_estimate(values: np.ndarray, covariance: np.ndarray, groups: float, trials: Sequence[int]) -> Estimate:
    """The mean over folds, see `folds`; the covariance (trials, trials) only says how much of a fold is its cases.

    groups : that carry the figure, in all folds of a seed together.   Raises UserError as `folds.fold_mean`.
    """
    if groups < 2:
        raise UserError(f"{groups:g} group with cases: the variance between cases is unknown")
    found = folds.fold_mean(values, trials)
    own = float(np.trace(covariance)) / len(values)
    cases = sqrt(own) if own >= 0 else nan
    training = sqrt(max(found.within - (own if own >= 0 else 0.0), 0.0))
    error = sqrt(found.variance)
    return Estimate(found.mean, error, 0.0, found.seeds, groups, training, cases, found.folds, found.freedom)


@dataclass(frozen=True)
class Figure:
    """A figure of merit of every scheme and seed, and how its values vary with the cases of the test sets.

    values : (seeds, schemes), nan where a scheme was not run with a seed
    covariance : (seeds, schemes, seeds, schemes), from resampling the groups of all test sets together
    groups : that carry the figure, in the smallest test set; of folds, in all of a seed
    trials : what the rows are, where they are folds of seeds; () = seeds
    of_one_size : how many groups of one size tell as much as these (`intervals.effective_groups`); None = all of them
    """

    values: np.ndarray
    covariance: np.ndarray
    groups: int
    trials: tuple[int, ...] = ()
    of_one_size: float | None = None

    @property
    def effective_groups(self) -> float:
        """What the t tails of the cases go by."""
        return float(self.groups) if self.of_one_size is None else self.of_one_size

    def over_seeds(self, values: np.ndarray, covariance: np.ndarray, rows: np.ndarray) -> Estimate:
        """The estimate from these rows of seeds or folds; values : (rows,), covariance : (rows, rows)."""
        groups = self.effective_groups
        if not in_folds(self.trials):
            return estimate(values, covariance, groups)
        return fold_estimate(values, covariance, groups, [self.trials[row] for row in rows.tolist()])


def covariance_of(deviation: np.ndarray) -> np.ndarray:
    """(seeds, schemes, seeds, schemes), as `Figure` has it, from (draws or groups, seeds, schemes)."""
    flat = deviation.reshape(len(deviation), -1)
    covariance: np.ndarray = (flat.T @ flat).reshape(*deviation.shape[1:], *deviation.shape[1:])
    return covariance


def covariance_by_group(influence: np.ndarray, groups: float) -> np.ndarray:
    """`covariance_of` influence values by group, with the factor groups / (groups - 1); nan for a single group."""
    return covariance_of(influence * np.sqrt(groups / (groups - 1) if groups > 1 else nan))


@dataclass(frozen=True)
class Test:
    """The test of a claim about one contrast, or about every one of several.

    estimate : of the contrast; of several, of the weakest, whose name is `weakest`
    null : the value that is tested: 0, or minus the margin
    p : two-sided        above : whether the evidence, such as it is, is for a value above `null`
    function : what made it
    """

    estimate: Estimate
    null: float
    p: float
    above: bool
    function: str
    weakest: str = ""
    __test__ = False  # no test of pytest's

    @property
    def statistic(self) -> float:
        return self.estimate.statistic(self.null)


def contrast(figure: Figure, weights: np.ndarray) -> Estimate:
    """sum(weights * values) over the seeds at which every scheme with a weight was run.

    weights : (schemes,)        Raises UserError as `estimate`.
    """
    weights = np.asarray(weights, np.float64)
    used = np.flatnonzero(weights)
    seeds = np.flatnonzero(np.isfinite(figure.values[:, used]).all(axis=1))
    values = figure.values[np.ix_(seeds, used)] @ weights[used]
    covariance = figure.covariance[np.ix_(seeds, used, seeds, used)]
    return figure.over_seeds(values, np.einsum("a,iajb,b->ij", weights[used], covariance, weights[used]), seeds)


def contrast_test(figure: Figure, weights: np.ndarray, null: float = 0.0) -> Test:
    """Whether a contrast lies above or below `null`.  Raises UserError as `estimate`."""
    found = contrast(figure, weights)
    return Test(found, null, found.p(null), found.value >= null, _path(contrast_test))


def every_test(figure: Figure, weights: Mapping[str, np.ndarray], null: float = 0.0) -> Test:
    """Whether every one of several contrasts is above `null`.

    An intersection-union test (Berger 1982): the claim is shown when each contrast by itself is, so its p is the
    largest; no adjustment is due.  One contrast that is shown to be below `null` is evidence against the claim; there
    Bonferroni's factor, the number of contrasts, is due.  The p is twice the smaller of the two.
    Raises UserError if a contrast cannot be tested, see `estimate`.
    """
    found = {name: contrast(figure, own) for name, own in weights.items()}
    above = max(own.p_above(null) for own in found.values())
    below = min(1.0, len(found) * min(own.p_below(null) for own in found.values()))
    weakest = min(found, key=lambda name: found[name].statistic(null))
    return Test(found[weakest], null, min(1.0, 2 * min(above, below)), above <= below, _path(every_test), weakest)


def verdict(above: bool, p: float, margin: bool = False, level: float = LEVEL) -> Verdict:
    """p : adjusted for the number of claims        margin : whether the claim allows for one"""
    if p < level:
        return Verdict.SHOWN if above else Verdict.AGAINST
    return Verdict.INCONCLUSIVE if margin else Verdict.NOT_SHOWN


def mean_difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(schemes,) weights of the mean over `first` minus the mean over `second`, both (schemes,) bool.

    Raises ValueError if either is empty.
    """
    if not first.any() or not second.any():
        raise ValueError("a difference needs a scheme on either side")
    difference: np.ndarray = first / first.sum() - second / second.sum()
    return difference


def rise(position: np.ndarray) -> np.ndarray:
    """(schemes,) weights of the straight line's rise from the lowest to the highest position, by least squares.

    position : (schemes,) float, nan for schemes that do not belong to the line.  Raises ValueError for fewer than two
    different positions.
    """
    inside = np.isfinite(position)
    if np.unique(position[inside]).size < 2:
        raise ValueError("a line needs two different positions")
    centred = np.where(inside, position - position[inside].mean(), 0.0)
    weights: np.ndarray = centred / (centred**2).sum() * np.ptp(position[inside])
    return weights


def _path(function: object) -> str:
    return f"{function.__module__.removeprefix('pycaffe_ext.')}.{function.__qualname__}"  # type: ignore[attr-defined]
