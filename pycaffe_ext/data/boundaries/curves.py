"""The points of two boundaries as one depth a column, and what is wrong with points that cannot be a wall's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data.items import Floats, Ints

BOUNDARIES = ("LI", "MA")  # lumen-intima, media-adventitia
NAMES = {"LI": "lumen-intima", "MA": "media-adventitia"}
LEAST_COLUMNS = 10  # that both boundaries must have in common
Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Curves:
    """x : (n,) int64 consecutive columns that both boundaries reach.   li, ma : (n,) float64 depth in pixels."""

    x: Ints
    li: Floats
    ma: Floats

    def thickness(self, mm_per_pixel: float) -> Floats:
        """(n,) vertical distance of the two boundaries in mm."""
        return (self.ma - self.li) * mm_per_pixel


def points_of(x: Sequence[float] | NDArray[np.floating], y: Sequence[float] | NDArray[np.floating]) -> Points:
    """((x, y), ...) of two columns of numbers, sorted by x."""
    return tuple(sorted((float(a), float(b)) for a, b in zip(x, y, strict=True)))


def curves_of(li: Points, ma: Points) -> Curves:
    """Depth of both boundaries in each column that both reach, on straight lines between the points.

    Points of one column are averaged.  Raises ValueError in words that follow a file's name if there is no such part,
    or the boundaries cross or touch in it.
    """
    low, high = (max(li[0][0], ma[0][0]), min(li[-1][0], ma[-1][0])) if li and ma else (0.0, -1.0)
    x = np.arange(np.ceil(low), np.floor(high) + 1).astype(np.int64)
    if x.size < LEAST_COLUMNS:
        raise ValueError(f"the two boundaries have {x.size} columns in common, at least {LEAST_COLUMNS} are needed")
    found = Curves(x, _depth(li, x), _depth(ma, x))
    crossed = x[found.ma <= found.li]
    if crossed.size:
        raise ValueError(
            f"the boundaries cross at x = {crossed[0]}: LI (lumen-intima) must lie above MA (media-adventitia), at"
            " smaller y"
        )
    return found


def check_points(li: Points, ma: Points, size: tuple[int, int] | None = None) -> None:
    """Raise ValueError, in words that follow a file's name, for points that are no two boundaries of an image.

    size : (height, width) of the image, where the points are compared with it.
    """
    for kind, points in zip(BOUNDARIES, (li, ma), strict=True):
        if not points:
            raise ValueError(f"no points of {kind} ({NAMES[kind]}); both boundaries are needed")
        if not np.isfinite(points).all():
            raise ValueError(f"a point of {kind} is not a finite number")
    curves_of(li, ma)
    if size is not None:
        _check_inside(li, ma, size)


def _check_inside(li: Points, ma: Points, size: tuple[int, int]) -> None:
    height, width = size
    for kind, points in zip(BOUNDARIES, (li, ma), strict=True):
        for x, y in points:
            if not (-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5):
                raise ValueError(
                    f"{kind} has a point at x = {x:g}, y = {y:g}, outside the image of {width} x {height} pixels"
                )


def _depth(points: Points, x: Ints) -> Floats:
    at, first = np.unique([point[0] for point in points], return_inverse=True)
    y = np.bincount(first, [point[1] for point in points]) / np.bincount(first)
    return np.interp(x, at, y)
