"""The places where the wall is looked at, and patches of a physical size around them.

The lattice's rows are STEP mm apart and its columns ACROSS steps, counted from the middle of the image's first pixel:
images of any spacing are seen alike.  For a net an image is resampled once, to a whole number of its pixels a
step; a patch is cut from that, so patches of neighbouring places share their pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data.boundaries.burned_in import Grey, Mask, clear_columns
from pycaffe_ext.data.boundaries.curves import Curves
from pycaffe_ext.data.boundaries.image import WallImage
from pycaffe_ext.data.items import Floats, Ints, Picture

STEP = 0.1  # mm from a row of the lattice to the next
ACROSS = 4  # steps from a column to the next: hardly more than the beam is wide
BLUR = 0.4  # of the step between two pixels of a smaller picture, a standard deviation
AROUND = 0.3  # mm above and below the wall in which nothing may be burned in
REACH = 0.2  # mm beside it


@dataclass(frozen=True)
class Lattice:
    """column : (K,) number of each column, ascending.   first : (K,) number of its first row.   rows : of each."""

    column: Ints
    first: Ints
    rows: int

    def places(self) -> tuple[Ints, Ints]:
        """(K rows,) column and row of every place, column by column."""
        return np.repeat(self.column, self.rows), (self.first[:, None] + np.arange(self.rows)).ravel()

    def columns_x(self, mm_per_pixel: float) -> Floats:
        """(K,) x in pixels."""
        return self.column * (ACROSS * STEP / mm_per_pixel)

    def inside(self, first: float, last: float, mm_per_pixel: float) -> Lattice:
        """Its columns from x = first to last, in pixels."""
        x = self.columns_x(mm_per_pixel)
        kept = (x >= first) & (x <= last)
        return Lattice(self.column[kept], self.first[kept], self.rows)


def lattice_along(x: Ints, row: Floats, mm_per_pixel: float, above: float, below: float) -> Lattice:
    """Places from `above` mm above to `below` mm below a curve.

    row : (n,) of the curve at the consecutive columns `x`, (n,), in pixels.
    """
    width = ACROSS * STEP / mm_per_pixel
    column = np.arange(int(np.ceil(x[0] / width)), int(np.floor(x[-1] / width)) + 1)
    middle = np.interp(column * width, x, row) * mm_per_pixel
    first = np.rint((middle - above) / STEP).astype(np.int64)
    return Lattice(column, first, round((above + below) / STEP) + 1)


def in_pixels(column: Ints, row: Ints, mm_per_pixel: float) -> tuple[Floats, Floats]:
    """x and y of places."""
    return column * (ACROSS * STEP / mm_per_pixel), row * (STEP / mm_per_pixel)


def on_lattice(x: Floats, y: Floats, mm_per_pixel: Floats | float) -> tuple[Ints, Ints]:
    """Numbers of column and row of places that `in_pixels` gave, in whatever precision they were kept."""
    column, row = x * mm_per_pixel / (ACROSS * STEP), y * mm_per_pixel / STEP
    return np.rint(column).astype(np.int64), np.rint(row).astype(np.int64)


def truth_at(curves: Curves | None, x: Floats, valid: Mask, mm_per_pixel: float) -> Floats:
    """(K, 2) rows of both boundaries at x, (K,) in pixels; NaN beside them and where something burned in is near."""
    found = np.full((len(x), 2), np.nan)
    if curves is None:
        return found
    found[:, 0], found[:, 1] = (
        np.interp(x, curves.x, depth, left=np.nan, right=np.nan) for depth in (curves.li, curves.ma)
    )
    drawn = np.isfinite(found).all(axis=1)
    around = AROUND / mm_per_pixel
    top, bottom = np.where(drawn, found[:, 0], 0) - around, np.where(drawn, found[:, 1], 0) + around
    clear = clear_columns(valid, np.rint(x).astype(np.int64), top, bottom, round(REACH / mm_per_pixel))
    found[~(drawn & clear)] = np.nan
    return found


def labels_of(row: Floats, truth: Floats, mm_per_pixel: float, distance: float) -> NDArray[np.int32]:
    """(n,) 0 background, 1 lumen-intima, 2 media-adventitia: the nearer boundary, at most `distance` mm away.

    row : (n,) in pixels.   truth : (n, 2) rows of both boundaries; NaN = unknown, background.
    """
    away = np.where(np.isfinite(truth), np.abs(row[:, None] - truth) * mm_per_pixel, np.inf)
    near = away.min(axis=1) <= distance
    return np.where(near, 1 + away.argmin(axis=1), 0).astype(np.int32)


def pixels_a_step(size: int, extent: float) -> int:
    """Pixels of a net's input, `size` wide, to a STEP, so that a patch shows about `extent` mm."""
    return max(1, round(size * STEP / extent))


@dataclass(frozen=True)
class Canvas:
    """grey : (H, W) uint8, an image resampled to `scale` pixels a step.   left, top : of its first pixel, counted in
    such pixels from the middle of the image's first one; it goes `margin` pixels beyond the tissue on each side."""

    grey: Grey
    scale: int
    left: int
    top: int

    def corner(self, column: Ints, row: Ints, size: int) -> tuple[Ints, Ints]:
        """x and y on the canvas of the first pixel of the patches around places."""
        half = size // 2
        return column * ACROSS * self.scale - half - self.left, row * self.scale - half - self.top


@lru_cache(maxsize=8)
def canvas_of(item: WallImage, scale: int, margin: int) -> Canvas:
    """The image for a net; beyond the part that shows tissue its edge is repeated."""
    grey, marks = item.scan()
    top, bottom, left, right = marks.view
    ratio = STEP / (scale * item.mm_per_pixel)  # pixels of the image to one of the canvas
    tissue = grey[top:bottom, left:right]
    if ratio > 1:
        tissue = np.asarray(cv2.GaussianBlur(tissue, (0, 0), BLUR * ratio), np.uint8)
    start = [int(np.floor(edge / ratio)) - margin for edge in (left, top)]
    end = [int(np.ceil(edge / ratio)) + margin for edge in (right, bottom)]
    move = np.array([[ratio, 0, start[0] * ratio - left], [0, ratio, start[1] * ratio - top]])
    size = end[0] - start[0], end[1] - start[1]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    drawn = cv2.warpAffine(tissue, move, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return Canvas(np.asarray(drawn, np.uint8), scale, start[0], start[1])


def canvas_for(item: WallImage, size: int) -> Canvas:
    """The canvas that patches of `size` pixels are cut from."""
    scale = pixels_a_step(size, item.patch_mm)
    return canvas_of(item, scale, size + round(3 * scale / STEP))  # a wall's region may leave the tissue by 3 mm


def cut(item: WallImage, places: NDArray[np.float32], mirrored: NDArray[np.bool_], size: int) -> Iterator[Picture]:
    """(3, size, size) uint8, three equal channels, around each place.

    places : (m, 2) x and y in pixels.   mirrored : (m,), left to right.
    """
    canvas = canvas_for(item, size)
    column, row = on_lattice(places[:, 0].astype(np.float64), places[:, 1].astype(np.float64), item.mm_per_pixel)
    left, top = canvas.corner(column, row, size)
    for x, y, mirror in zip(left.tolist(), top.tolist(), mirrored.tolist(), strict=True):
        patch = canvas.grey[y : y + size, x : x + size]
        yield np.repeat((patch[:, ::-1] if mirror else patch)[None], 3, axis=0)
