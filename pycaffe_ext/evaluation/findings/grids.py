"""Contrasts of a grid: sums over schemes and fractions, over applications, and draws of all columns together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import sqrt

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.contrasts import Estimate, Figure, contrast
from pycaffe_ext.evaluation.findings.model import Evidence
from pycaffe_ext.evaluation.folds import fold_means, in_folds
from pycaffe_ext.evaluation.intervals import ENOUGH_GROUPS

DRAWS = 4000
LEAST_SEEDS = 2
Cells = Mapping[tuple[str, str], float]  # (scheme, fraction) -> weight


def estimate(evidence: Evidence, cells: Cells) -> Estimate:
    """sum(weight * value), over the seeds that have all of these runs.

    Raises UserError where a run is missing at every seed, where fewer than two seeds have all, and for fewer than
    ENOUGH_GROUPS test groups.
    """
    for scheme, fraction in cells:
        if not evidence.finished(scheme, fraction):
            raise UserError(f"no run of {scheme} at {fraction} of the data is finished")
    check_groups(evidence)
    weights = np.zeros(evidence.figure.values.shape[1])
    for (scheme, fraction), weight in cells.items():
        weights[evidence.column(scheme, fraction)] += weight
    return contrast(evidence.figure, weights)


def one_each(evidence: Sequence[Evidence], net: str) -> tuple[list[Evidence], str]:
    """The first evidence of each application of a net, or family of nets, for claims over applications; and what is
    left out, in words.

    Two donors or two data sets of one application say nothing about another application.
    """
    of_task: dict[str, Evidence] = {}
    left_out = []
    for own in evidence:
        if (own.family or own.net) == net and of_task.setdefault(own.task or own.application, own) is not own:
            left_out.append(own.title)
    return list(of_task.values()), f"without {', '.join(left_out)}: an application counts once" if left_out else ""


def check_groups(evidence: Evidence) -> None:
    """Raises UserError for fewer than ENOUGH_GROUPS test groups."""
    if (groups := evidence.figure.groups) < ENOUGH_GROUPS:
        raise UserError(f"a test set has {groups} groups; {ENOUGH_GROUPS} are needed")


def mean_error(evidence: Evidence, scheme: str, fraction: str) -> float:
    """How far the mean of a scheme over its seeds lies from a perfect net: the unit in which applications are compared.

    Raises UserError where it has no finished run, or is perfect.
    """
    if not evidence.finished(scheme, fraction):
        raise UserError(f"no run of {scheme} at {fraction} of the data is finished")
    error = evidence.merit.best - float(np.nanmean(evidence.figure.values[:, evidence.column(scheme, fraction)]))
    if not error > 0:
        raise UserError(f"{scheme} at {fraction} of the data makes no error: nothing can be measured by it")
    return error


def scaled(found: Estimate, factor: float) -> Estimate:
    """The estimate of `factor` times the value, which is taken as known."""
    size = abs(factor)
    return replace(
        found,
        value=factor * found.value,
        seed_error=size * found.seed_error,
        case_error=size * found.case_error,
        training_sd=size * found.training_sd,
        case_sd=size * found.case_sd,
    )


def combined(found: Sequence[Estimate], weights: Sequence[float], sources: Sequence[str]) -> Estimate:
    """sum(weight * value) of estimates of several applications.

    Their trainings are independent: variances add, with Satterthwaite's degrees of freedom, and so do those of cases
    of different `sources`.  Applications of one source share its pictures; how their errors covary is unknown, and
    they are taken as fully correlated, the safe end.  So is all of the error of estimates in folds, cases included.
    """
    parts = [scaled(own, weight) for own, weight in zip(found, weights, strict=True)]
    of_seeds, of_cases = [], []
    for source in dict.fromkeys(sources):
        own = [part for part, its in zip(parts, sources, strict=True) if its == source]
        of_cases.append((sum(part.case_error for part in own), min(part.groups for part in own) - 1))
        of_seeds += [(part.seed_error, part.seed_freedom) for part in own if not part.folds]
        if folded := [part for part in own if part.folds]:
            of_seeds.append((sum(part.seed_error for part in folded), min(part.seed_freedom for part in folded)))
    (seed, freedom), (case, case_freedom) = _summed(of_seeds), _summed(of_cases)
    training, cases = (sqrt(sum(getattr(part, name) ** 2 for part in parts)) for name in ("training_sd", "case_sd"))
    return Estimate(
        sum(part.value for part in parts),
        seed,
        case,
        min(part.seeds for part in parts),
        case_freedom + 1,
        training,
        cases,
        freedom=freedom,
    )


def _summed(parts: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Standard error and Satterthwaite's degrees of freedom of a sum of independent parts (error, degrees)."""
    variance = sum(error**2 for error, _ in parts)
    if variance == 0:
        return 0.0, min(freedom for _, freedom in parts)
    return sqrt(variance), variance**2 / sum(error**4 / freedom for error, freedom in parts)


def draws(figure: Figure, columns: Sequence[int], rng: np.random.Generator, count: int = DRAWS) -> np.ndarray:
    """(count, columns) what the true means of these columns may be, given the study: drawn on two levels.

    Seeds: the deviations of the seeds from their mean are summed with normal weights, which gives MS / S, and get the
    t tail of S - 1 degrees of freedom.  Groups: normal errors with the mean covariance that two seeds have by their
    common groups, with the t tail of groups - 1.  It is the multiplier bootstrap of both levels; any contrast of the
    columns is drawn from the Behrens-Fisher distribution by which `contrasts.Estimate` tests it, whereas a bootstrap
    that draws three seeds with replacement has ten different samples and too little spread.
    Taken from the seeds that have all the columns.  Of a study in folds, see `_fold_draws`.
    Raises UserError for fewer than two seeds, and where no seed has all its folds.
    """
    own = np.asarray(columns, np.intp)
    rows = np.flatnonzero(np.isfinite(figure.values[:, own]).all(axis=1))
    if in_folds(figure.trials):
        return _fold_draws(figure, own, rows, rng, count)
    seeds = rows.size
    if seeds < LEAST_SEEDS:
        raise UserError(f"{seeds or 'no'} seed with all of these runs: {UNKNOWN}")
    values = figure.values[np.ix_(rows, own)]
    shared = _shared(figure.covariance[np.ix_(rows, own, rows, own)])
    mean = values.mean(axis=0)
    normal = rng.normal(size=(count, seeds)) @ (values - mean) / sqrt(seeds * (seeds - 1))
    cases = rng.normal(size=(count, own.size)) @ _root(shared)
    tails = _tail(seeds - 1, count, rng), _tail(figure.effective_groups - 1, count, rng)
    found: np.ndarray = mean + tails[0][:, None] * normal + tails[1][:, None] * cases
    return found


def _fold_draws(
    figure: Figure, columns: np.ndarray, rows: np.ndarray, rng: np.random.Generator, count: int
) -> np.ndarray:
    """As `draws` of a study in folds, rows : of the figure, with all the columns.

    The held-out cases of a seed's folds count together, as the mean over its folds, with the variance of
    `folds.fold_mean`: a multivariate t with the covariance between folds, so that any contrast of the columns is drawn
    from the distribution by which it is tested.
    """
    found = fold_means(figure.values[np.ix_(rows, columns)], [figure.trials[row] for row in rows.tolist()])
    normal = rng.normal(size=(count, columns.size)) @ _root(found.within * found.factor)
    drawn: np.ndarray = found.mean + _tail(found.freedom, count, rng)[:, None] * normal
    return drawn


UNKNOWN = "how much a net varies from training to training is unknown; it takes two seeds or more (SEEDS=)"


def _shared(covariance: np.ndarray) -> np.ndarray:
    """(columns, columns) mean over all pairs of different seeds, made symmetric.

    covariance : (seeds, columns, seeds, columns).  Raises UserError if it is not finite.
    """
    if not np.isfinite(covariance).all():
        raise UserError("a covariance over the groups is not finite: a class has too few cases")
    seeds = covariance.shape[0]
    whole = covariance.sum(axis=(0, 2)) - np.einsum("iaib->ab", covariance)
    found: np.ndarray = (whole + whole.T) / 2 / (seeds * (seeds - 1))
    return found


def _root(covariance: np.ndarray) -> np.ndarray:
    """R with R.T @ R = the covariance, its negative eigenvalues set to 0."""
    values, vectors = np.linalg.eigh(covariance)
    found: np.ndarray = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
    return found


def _tail(freedom: float, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count,) what makes normal draws draws of a t distribution."""
    found: np.ndarray = np.sqrt(freedom / rng.chisquare(freedom, count))
    return found
