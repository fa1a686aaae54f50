"""95 % intervals: exact and Wilson for a proportion, percentile bootstrap by group for anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pycaffe_ext.errors import UserError


class Interval(NamedTuple):
    low: float
    high: float


def clopper_pearson(hits: int, total: int, confidence: float = 0.95) -> Interval:
    """Exact binomial interval of hits/total: covers at least `confidence`, for independent cases."""
    return _binomial(hits, total, confidence, "exact")


def wilson(hits: int, total: int, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of hits/total: covers `confidence` on average, for independent cases."""
    return _binomial(hits, total, confidence, "wilson")


def _binomial(hits: int, total: int, confidence: float, method: str) -> Interval:
    from scipy.stats import binomtest  # here: it takes half a second to load

    if not 0 <= hits <= total or total == 0:
        raise ValueError(f"{hits} hits of {total}: an interval needs 0 <= hits <= total and total > 0")
    interval = binomtest(int(hits), int(total)).proportion_ci(confidence, method=method)
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
    for _ in range(resamples):
        drawn = rng.integers(names.size, size=names.size)
        yield np.bincount(drawn, minlength=names.size)[member]


def percentile(values: np.ndarray, confidence: float = 0.95) -> Interval:
    """Percentile interval of bootstrap values (resamples,).  Resamples without a value (nan) are left out.

    Raises UserError if more than a twentieth of them are.
    """
    defined = values[np.isfinite(values)]
    if defined.size < 0.95 * values.size or not values.size:
        raise UserError(
            f"bootstrap undefined: {values.size - defined.size} of {values.size} resamples drew no case of one kind;"
            " there are too few groups"
        )
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high))


def bootstrap_p(differences: np.ndarray) -> float:
    """Two-sided p of a paired bootstrap: twice the share of resampled differences on the rarer side of zero.

    differences : (resamples,) first minus second; zeros count on both sides; one is added to either count, so that
    p is never 0.
    """
    defined = differences[np.isfinite(differences)]
    rarer = min((defined <= 0).sum(), (defined >= 0).sum())
    return float(min(1.0, 2 * (rarer + 1) / (defined.size + 1)))
