"""p values of several tests in one table, adjusted so that all together keep the level."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_ext.evaluation.intervals import LEAST_ERROR


def holm(p: Sequence[float | None]) -> list[float | None]:
    """Holm's (1979) adjusted p values: each is compared with the level itself.  None (not tested) stays and is not
    counted.  Raises ValueError for a p that is not between 0 and 1."""
    tested = _tested(p)
    adjusted: list[float | None] = [None] * len(p)
    largest = 0.0
    for rank, (value, i) in enumerate(sorted(tested)):
        largest = max(largest, min(1.0, (len(tested) - rank) * value))
        adjusted[i] = largest
    return adjusted


def max_t(p: Sequence[float | None], resampled: np.ndarray) -> list[float | None]:
    """Step-down max-T p values (Westfall and Young 1993) of tests whose bootstraps ran on the same resamples.

    p : of each test, None where nothing was tested        resampled : (resamples, tests) its differences; rows with a
    nan in a tested column are left out
    Holm's method takes tests for as different as can be; those of one table share frames and nets, and where their
    resamples move together, less is lost here.  A resample's distance from the mean, in standard errors, is taken as
    normal; how often the least of its p values gets below a test's own is that test's adjusted p.  So few groups
    weigh in the p values themselves (t tails), not in the adjustment.  Never below p, nor below 1/(resamples + 1).
    Raises ValueError for arrays that do not fit or a p that is not between 0 and 1.
    """
    tested = _tested(p)
    adjusted: list[float | None] = [None] * len(p)
    if np.ndim(resampled) != 2 or np.shape(resampled)[1] != len(p):
        raise ValueError(f"resamples {np.shape(resampled)} do not fit {len(p)} tests")
    order = [i for _, i in sorted(tested)]
    if not order:
        return adjusted
    least = np.minimum.accumulate(_null_p(np.asarray(resampled)[:, order])[:, ::-1], axis=1)[:, ::-1]
    largest = 0.0
    for column, i in zip(least.T, order, strict=True):
        value = float(p[i] or 0.0)
        reached = (1 + np.count_nonzero(column <= value)) / (1 + column.size)
        largest = max(largest, value, reached)
        adjusted[i] = min(largest, 1.0)
    return adjusted


def _null_p(resampled: np.ndarray) -> np.ndarray:
    """(resamples, tests) two-sided p of each resample's distance from the mean; 1 where all resamples are alike."""
    from scipy.special import ndtr

    rows = resampled[np.isfinite(resampled).all(axis=1)]
    error = rows.std(axis=0, ddof=1)
    distance = np.abs(rows - rows.mean(axis=0)) / np.where(error > LEAST_ERROR, error, np.inf)
    return np.asarray(2 * ndtr(-distance))


def _tested(p: Sequence[float | None]) -> list[tuple[float, int]]:
    """(p, place) of what was tested."""
    tested = [(value, i) for i, value in enumerate(p) if value is not None]
    if wrong := [value for value, _ in tested if not 0 <= value <= 1]:
        raise ValueError(
            f"p = {wrong[0]}: a p value must lie between 0 and 1; None stands for a test that was not done"
        )
    return tested
