"""Learning curves: performance by the amount of training data, and what twice the data would bring.

With three fractions or more an inverse power law is fitted to the error, the distance from a perfect net,

    error = floor + span * share ** -rate,    floor, span >= 0,    RATES[0] <= rate <= RATES[1]

as in Figueroa et al. (2012), whose weights it has: a point counts by its share of the data, as the curve is to be
continued at its end.  Exponents of deep nets lie between 0.07 and 0.35 as measured, and up to 1 in theory (Hestness et
al. 2017); without bounds three points of few seeds give any exponent.  Two fractions give a straight line in log n,
which is not continued where it would pass a perfect net, and a single one gives nothing.  The uncertainty is that of
seeds and groups together: the curve is fitted to each of the draws of `grids.draws`.  It does not know whether the law
goes on; no more data than twice is spoken of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.contrasts import Estimate
from pycaffe_ext.evaluation.findings import grids
from pycaffe_ext.evaluation.findings.model import Doubling, Evidence, LearningCurve, Merit, Point
from pycaffe_ext.evaluation.seeds import SeedInterval, scheme_interval

LAW, LINE = "inverse power law", "straight line in log n"
RATES = (0.05, 1.0)
STEPS = 1901  # rates that are tried
LEAST_FRACTIONS = 3  # for the law
PASSES = "the straight line through two fractions is better than a perfect net; three fractions or more are needed"
DRAWN = 40  # points of a curve
FITS = 300  # draws that the law is fitted to
TAILS = (2.5, 97.5)


class PowerLaw(NamedTuple):
    """error = floor + span * share ** -rate"""

    floor: float
    span: float
    rate: float

    def __call__(self, share: np.ndarray | float) -> np.ndarray:
        return np.asarray(self.floor + self.span * np.asarray(share, np.float64) ** -self.rate)

    @property
    def gain(self) -> float:
        """How much error twice a share of 1 saves."""
        return float(self.span * (1 - 2**-self.rate))


def fit(share: np.ndarray, error: np.ndarray) -> PowerLaw:
    """The law by least squares with the shares as weights.

    share : (n,) of the data, above 0, the largest 1.   error : (n,); negative ones count as 0
    Raises UserError for fewer than LEAST_FRACTIONS different shares.
    """
    (found,) = fits(share, error[None]).tolist()
    return PowerLaw(*found)


def fits(share: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """(draws, 3) floor, span and rate of `fit` of each row of `errors`, (draws, n).

    For a rate the other two are a non-negative least-squares problem of two unknowns, solved as its normal equations: a
    solution with a negative one is replaced by that on the border.  All rates between the bounds are tried in small
    steps, for all draws together.
    """
    if np.unique(share).size < LEAST_FRACTIONS:
        raise UserError(f"{np.unique(share).size} fractions: a power law needs {LEAST_FRACTIONS} or more")
    rates, weight = np.linspace(*RATES, STEPS), np.sqrt(share)
    goal, powers = weight * np.maximum(errors, 0.0), weight * share ** -rates[:, None]
    ones, cross, squares = weight @ weight, powers @ weight, (powers**2).sum(axis=1)
    level, slope = (goal @ weight)[:, None], goal @ powers.T  # (draws, 1), (draws, rates)
    determinant = ones * squares - cross**2
    floor = (squares * level - cross * slope) / determinant
    span = (ones * slope - cross * level) / determinant
    span = np.where(floor < 0, slope / squares, span)
    floor = np.where(span < 0, level / ones, np.maximum(floor, 0.0))
    span = np.maximum(span, 0.0)
    rest = floor**2 * ones + 2 * floor * span * cross + span**2 * squares - 2 * (floor * level + span * slope)
    draws, best = np.arange(len(errors)), rest.argmin(axis=1)
    return np.stack([floor[draws, best], span[draws, best], rates[best]], axis=1)


def curve(evidence: Evidence, scheme: str, rng: np.random.Generator, draws: int = FITS) -> LearningCurve:
    """Performance by fraction of one scheme.  Fractions without a finished run are named and left out."""
    there = [fraction for fraction in evidence.fractions if evidence.finished(scheme, fraction)]
    missing = tuple(fraction for fraction in evidence.fractions if fraction not in there)
    points = tuple(_point(evidence, scheme, fraction) for fraction in there)
    plain = LearningCurve(evidence.title, scheme, evidence.merit.unit, points, missing=missing)
    if len(there) < 2:
        count = "no" if not there else "one"
        return replace(plain, reason=f"{count} fraction with a finished run: a learning curve needs two or more")
    columns = [evidence.column(scheme, fraction) for fraction in there]
    rows = np.isfinite(evidence.figure.values[:, columns]).all(axis=1)
    if not rows.any():
        return replace(plain, reason="no seed has a finished run at every fraction")
    values = evidence.figure.values[np.ix_(rows, columns)].mean(axis=0)
    share = evidence.shares(there)
    plain = replace(plain, base=there[0], shares=tuple(share.tolist()), trials=int(rows.sum()))
    if len(there) < LEAST_FRACTIONS:
        return _line(plain, evidence, scheme, there, share, values)
    return _law(plain, evidence, columns, share, values, rng, draws)


def _point(evidence: Evidence, scheme: str, fraction: str) -> Point:
    merit, place = evidence.merit, evidence.fractions.index(fraction)
    found = scheme_interval(evidence.figure, evidence.column(scheme, fraction), 1.0, merit.limits)
    return Point(fraction, evidence.trained[place], _as_shown(merit, found))


def _as_shown(merit: Merit, found: SeedInterval) -> SeedInterval:
    if merit.higher_is_better:
        return found
    low, high = (None if end is None else merit.shown(end) for end in (found.high, found.low))
    return SeedInterval(merit.shown(found.mean), low, high, found.seeds)


def _law(
    plain: LearningCurve,
    evidence: Evidence,
    columns: Sequence[int],
    share: np.ndarray,
    values: np.ndarray,
    rng: np.random.Generator,
    draws: int,
) -> LearningCurve:
    merit = evidence.merit
    law = fit(share, merit.best - values)
    low, high, reason = None, None, ""
    try:
        grids.check_groups(evidence)
        drawn = grids.draws(evidence.figure, columns, rng, draws)
        gains = [PowerLaw(*row).gain for row in fits(share, merit.best - drawn).tolist()]
        low, high = np.percentile(gains, TAILS).tolist()
    except UserError as error:
        reason = f"no interval: {error}"
    at = np.geomspace(share.min(), 2.0, DRAWN)
    shown = [(float(x), merit.shown(merit.best - float(law(x)))) for x in at]
    now, then = (merit.shown(merit.best - float(law(x))) for x in (1.0, 2.0))
    doubling = Doubling(now, then, law.gain, low, high)
    return replace(plain, form=LAW, parameters=law._asdict(), drawn=tuple(shown), doubling=doubling, reason=reason)


def _line(
    plain: LearningCurve,
    evidence: Evidence,
    scheme: str,
    fractions: Sequence[str],
    share: np.ndarray,
    values: np.ndarray,
) -> LearningCurve:
    merit = evidence.merit
    doublings = float(np.log2(share[0] / share[1]))
    slope = float(values[0] - values[1]) / doublings
    low, high, reason = None, None, ""
    try:
        ends = _slope(evidence, scheme, fractions, doublings).interval()
        low, high = ends.low, ends.high
    except UserError as error:
        reason = f"no interval: {error}"
    room = merit.best - float(values[0])  # no more can be gained
    places = (share.min(), 1.0) if slope > room else (share.min(), 1.0, 2.0)
    drawn = tuple((float(x), merit.shown(float(values[0] + slope * np.log2(x)))) for x in places)
    parameters = {"at_base": merit.shown(float(values[0])), "per_doubling": slope}
    made = replace(plain, form=LINE, parameters=parameters, drawn=drawn, reason=reason)
    if slope > room:
        return replace(made, reason=f"with twice the data {PASSES}")
    high = None if high is None else min(high, room)
    return replace(
        made, doubling=Doubling(parameters["at_base"], merit.shown(float(values[0]) + slope), slope, low, high)
    )


def _slope(evidence: Evidence, scheme: str, fractions: Sequence[str], doublings: float) -> Estimate:
    more, less = fractions
    return grids.estimate(evidence, {(scheme, more): 1 / doublings, (scheme, less): -1 / doublings})
