"""What several seeds tell of a figure: its mean with an interval, and paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pycaffe_ext.errors import UserError


class SeedInterval(NamedTuple):
    """mean over `seeds` runs and its 95 % t interval; low and high are None for a single seed."""

    mean: float
    low: float | None
    high: float | None
    seeds: int


class SeedDifference(NamedTuple):
    """Mean of first minus second over `seeds` pairs, 95 % t interval and two-sided p of the paired t test.

    low, high and p are None for a single seed; p also where all differences are the same number other than zero.
    """

    value: float
    low: float | None
    high: float | None
    p: float | None
    seeds: int


def seed_interval(
    values: Sequence[float], limits: tuple[float, float] = (0.0, 1.0), confidence: float = 0.95
) -> SeedInterval:
    """t interval of the mean of a figure (AUC, sensitivity) over seeds, cut at `limits`.

    It tells how far another seed's training would move the mean, on this test set; it says nothing of other test
    sets.  With three seeds it reaches 2.5 standard deviations to either side.  Raises UserError for values that are
    not finite or none at all.
    """
    finite = _finite(values)
    mean = float(finite.mean())
    if finite.size < 2:
        return SeedInterval(mean, None, None, 1)
    reach = _t_reach(finite, confidence)
    return SeedInterval(mean, max(mean - reach, limits[0]), min(mean + reach, limits[1]), finite.size)


def seed_difference(first: Sequence[float], second: Sequence[float], confidence: float = 0.95) -> SeedDifference:
    """Paired t test over seeds: first[i] and second[i] come of the same seed (split, balance, order of batches).

    Raises ValueError for different counts, UserError as `seed_interval`.
    """
    from scipy.special import stdtr

    before, after = _finite(first), _finite(second)
    if before.shape != after.shape:
        raise ValueError(f"{before.size} and {after.size} values are not pairs")
    gaps = before - after
    value = float(gaps.mean())
    if gaps.size < 2:
        return SeedDifference(value, None, None, None, 1)
    reach, error = _t_reach(gaps, confidence), float(gaps.std(ddof=1)) / np.sqrt(gaps.size)
    same = 1.0 if abs(value) < 1e-12 else None
    p = 2 * float(stdtr(gaps.size - 1, -abs(value) / error)) if error > 1e-12 else same
    return SeedDifference(value, value - reach, value + reach, p, gaps.size)


def _t_reach(values: np.ndarray, confidence: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(values.size - 1, 0.5 + confidence / 2) * values.std(ddof=1) / np.sqrt(values.size))


def _finite(values: Sequence[float]) -> np.ndarray:
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or not array.size or not np.isfinite(array).all():
        raise UserError(f"a mean over seeds needs one finite value per seed, there are {array.tolist()}")
    return array
