"""Errors of a boundary that is one depth a column, in micrometres, and thicknesses of a wall.

Signed errors are found minus true, in rows: positive = drawn too deep.  A column with NaN in either is not judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class BoundaryErrors:
    """Of one boundary in one image, in micrometres.  columns : how many were judged.

    signed : mean of found minus true.   mean, median, percentile95 : of the absolute errors.
    hausdorff : symmetric Hausdorff distance of the two curves as points, one a column.
    """

    columns: int
    signed: float
    mean: float
    median: float
    percentile95: float
    hausdorff: float


def column_errors(found: Floats, true: Floats, mm_per_pixel: float) -> Floats:
    """(n,) signed error in micrometres of each column; NaN where it is not judged.  found, true : (n,) rows."""
    found, true = _pair(found, true, mm_per_pixel)
    return np.asarray((found - true) * (1000 * mm_per_pixel))


def boundary_errors(found: Floats, true: Floats, mm_per_pixel: float, x: Floats | None = None) -> BoundaryErrors:
    """Errors of a boundary in an image.  found, true : (n,) rows.   x : (n,) their columns; None = neighbours.

    Raises ValueError if no column can be judged.
    """
    errors = column_errors(found, true, mm_per_pixel)
    judged = np.isfinite(errors)
    if not judged.any():
        raise ValueError("no column of the boundary can be judged")
    size = np.abs(errors[judged])
    at = np.arange(errors.size, dtype=np.float64) if x is None else np.asarray(x, np.float64)
    curves = [np.column_stack([at[judged], np.asarray(rows, np.float64)[judged]]) for rows in (found, true)]
    return BoundaryErrors(
        columns=int(judged.sum()),
        signed=float(errors[judged].mean()),
        mean=float(size.mean()),
        median=float(np.median(size)),
        percentile95=float(np.percentile(size, 95)),
        hausdorff=hausdorff(*curves) * 1000 * mm_per_pixel,
    )


def hausdorff(first: Floats, second: Floats) -> float:
    """Largest distance from a point of one set to the nearest of the other, either way; (n, d) and (m, d) points."""
    from scipy.spatial import cKDTree  # here: it takes a while to load

    if not (len(first) and len(second)):
        raise ValueError("a Hausdorff distance needs a point in both sets")
    return float(max(cKDTree(second).query(first)[0].max(), cKDTree(first).query(second)[0].max()))


def thickness(li: Floats, ma: Floats, mm_per_pixel: float) -> Floats:
    """(n,) vertical distance of the boundaries in mm; NaN where one is missing."""
    li, ma = _pair(li, ma, mm_per_pixel)
    return np.asarray((ma - li) * mm_per_pixel)


def mean_thickness(li: Floats, ma: Floats, mm_per_pixel: float) -> float:
    """Mean thickness of an image in mm; ValueError if no column has both boundaries."""
    found = thickness(li, ma, mm_per_pixel)
    found = found[np.isfinite(found)]
    if not found.size:
        raise ValueError("no column has both boundaries")
    return float(found.mean())


def pooled(errors: Sequence[Floats]) -> Floats:
    """Signed errors of the judged columns of all images, one after the other: for box plots."""
    return np.concatenate([each[np.isfinite(each)] for each in errors]) if errors else np.empty(0)


def _pair(first: Floats, second: Floats, mm_per_pixel: float) -> tuple[Floats, Floats]:
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"curves of shape {first.shape} and {second.shape}: two of the same (n,) are needed")
    if not 0 < mm_per_pixel < np.inf:
        raise ValueError(f"{mm_per_pixel} mm per pixel: it must be above 0")
    return first, second
