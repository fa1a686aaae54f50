"""The recommendation: the shallowest scheme that is shown to be not worse than the best by a margin given beforehand.

Lack of a significant difference shows nothing; a scheme is shown to be as good only by a lower bound above minus the
margin.  Which scheme is the best is not known: it was chosen by the same data, so a comparison with the apparent best
alone would favour the scheme that had luck.  Hence a scheme must be shown against every other one (intersection-union),
by one-sided bounds that hold for all schemes together against a rival:

    bound(s, t) = difference(s, t) - c(t) * error(s, t),    c(t) = quantile of max over s of the drawn t statistics

with the draws of `grids.draws`, which know how the comparisons covary.  The true best is one of the rivals, so the
chance of recommending a scheme that is truly worse than it by the margin or more is at most LEVEL, in each
recommendation.

Chosen by simulation among the rules for this (4 schemes, 3 and 5 seeds, all others or one of two worse by the margin):
this one errs in 1 to 4 %.  Without adjustment the error is 5 to 12 %, as the shallowest of several schemes is picked;
Bonferroni's factor errs in 0 to 3 % and finds half as much with three seeds (quantiles of t with 2 degrees of freedom);
a fixed order from deep to shallow (no adjustment) finds next to nothing where a middle depth is the best, which is what
claim 3 says may happen.  `make coverage` repeats it.

One-sided 5 %, since a recommendation is a decision between schemes all of which may be used, at most one in twenty of
which may be wrong; the claims have 2.5 % on either side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.contrasts import POWER, Estimate
from pycaffe_ext.evaluation.findings import grids
from pycaffe_ext.evaluation.findings.model import Candidate, Evidence, Recommendation

LEVEL = 0.05  # one-sided
SEEDS = (2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50, 70, 100)  # numbers that may be needed


@dataclass(frozen=True)
class _Table:
    """Every pair of schemes.  pairs : (first, second) -> the estimate of their difference.   drawn : (draws, schemes)
    about the means."""

    names: tuple[str, ...]
    pairs: dict[tuple[str, str], Estimate]
    drawn: np.ndarray


def recommendation(
    evidence: Evidence, fraction: str, rng: np.random.Generator, draws: int = grids.DRAWS
) -> Recommendation:
    """The shallowest scheme of those with two finished seeds or more that is shown to be good enough.

    Compared over the seeds that have all of these schemes; of a study in folds over the means of its folds, in which
    every group is tested once.  Where nothing can be tested, `reason` says why.
    """
    count = {own.name: evidence.finished(own.name, fraction) for own in evidence.schemes}
    names = tuple(name for name, seeds in count.items() if seeds >= grids.LEAST_SEEDS)
    merit, missing = evidence.merit, tuple(name for name in count if name not in names)
    plain = Recommendation(evidence.title, fraction, merit.margin, merit.unit, None, missing=missing)
    try:
        table = _table(evidence, names, fraction, rng, draws)
        candidates = _candidates(table, merit.margin)
    except UserError as error:
        return replace(plain, reason=str(error))
    shown = next((own.scheme for own in candidates if own.shown), None)
    needs = "" if shown else _needs(candidates, evidence, merit.margin)
    return replace(plain, scheme=shown, candidates=tuple(candidates), needs=needs)


def _table(evidence: Evidence, names: Sequence[str], fraction: str, rng: np.random.Generator, draws: int) -> _Table:
    if evidence.seeds < grids.LEAST_SEEDS:
        raise UserError(f"one seed: {grids.UNKNOWN}")
    if len(names) < 2:
        raise UserError(f"fewer than two schemes with two finished seeds at {fraction}: nothing to compare")
    grids.check_groups(evidence)
    columns = np.array([evidence.column(name, fraction) for name in names])
    drawn = grids.draws(evidence.figure, columns.tolist(), rng, draws)
    rows = np.flatnonzero(np.isfinite(evidence.figure.values[:, columns]).all(axis=1))
    values = evidence.figure.values[np.ix_(rows, columns)]
    covariance = evidence.figure.covariance[np.ix_(rows, columns, rows, columns)]
    pairs = {}
    for i, first in enumerate(names):
        for j, second in enumerate(names):
            if i != j:
                own = covariance[:, i, :, i] + covariance[:, j, :, j] - covariance[:, i, :, j] - covariance[:, j, :, i]
                difference = values[:, i] - values[:, j]
                pairs[first, second] = evidence.figure.over_seeds(difference, own, rows)
    return _Table(tuple(names), pairs, drawn - values.mean(axis=0))


def _candidates(table: _Table, margin: float) -> list[Candidate]:
    reach = {rival: _quantile(table, rival) for rival in table.names}
    return [_candidate(table, name, reach, margin) for name in table.names]


def _quantile(table: _Table, rival: str) -> float:
    """How many errors below its difference to a rival the bound of every scheme lies, all of them together."""
    place = {name: i for i, name in enumerate(table.names)}
    others = [name for name in table.names if name != rival]
    statistics = [
        (table.drawn[:, place[name]] - table.drawn[:, place[rival]]) / table.pairs[name, rival].error for name in others
    ]
    return float(np.quantile(np.max(statistics, axis=0), 1 - LEVEL))


def _candidate(table: _Table, name: str, reach: dict[str, float], margin: float) -> Candidate:
    rivals = {rival: table.pairs[name, rival] for rival in table.names if rival != name}
    bounds = {rival: own.value - reach[rival] * own.error for rival, own in rivals.items()}
    rival = min(bounds, key=bounds.__getitem__)
    shown = bounds[rival] > -margin
    needed = None if shown else _seeds_needed(list(rivals.values()), margin)
    return Candidate(name, rival, rivals[rival], bounds[rival], shown, needed)


def _seeds_needed(found: Sequence[Estimate], margin: float) -> int | None:
    """About how many of SEEDS would show all of these differences to be above minus the margin with a chance of 80 %,
    if estimates and variances were the true ones; at Bonferroni's level.  None if none would, and in folds, where more
    seeds do not make the error smaller."""
    if any(own.folds for own in found):
        return None
    tail = LEVEL / len(found)
    return next((n for n in SEEDS if all(_reach(own, n, tail) <= own.value + margin for own in found)), None)


def _reach(found: Estimate, seeds: int, tail: float) -> float:
    """How far above what is tested a difference must lie to be shown with a chance of 80 % by that number of seeds."""
    from scipy.special import stdtrit

    own = replace(found, seeds=seeds, seed_error=found.seed_error * sqrt(found.seeds / seeds))
    quantiles = stdtrit(own.total_freedom, 1 - tail) + stdtrit(own.total_freedom, POWER)
    return float(quantiles * own.error)


def _needs(candidates: Sequence[Candidate], evidence: Evidence, margin: float) -> str:
    """What it would take, in words."""
    least = min(candidates, key=lambda own: own.margin_shown)
    unit, seeds = evidence.merit.unit, candidates[0].difference.seeds
    wider = f"the smallest margin that this study shows is {least.margin_shown:.3g} {unit}, for {least.scheme}"
    possible = next((own for own in candidates if own.seeds_needed is not None), None)
    if possible:
        return f"about {possible.seeds_needed} seeds instead of {seeds} would show {possible.scheme}; {wider}"
    if all(own.difference.value <= -margin for own in candidates):
        return f"every scheme is behind another by the margin or more in some comparison; {wider}"
    if candidates[0].difference.folds:
        return f"more seeds would not do, as they are tested on the same groups; {wider}"
    return f"more seeds alone would not do: the {evidence.figure.groups} test groups are too few; {wider}"
