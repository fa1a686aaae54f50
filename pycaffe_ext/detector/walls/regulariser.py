"""From two maps of a boundary, higher = more boundary-like, to two curves that are smooth, in order, and near enough.

Both curves are found together, by dynamic programming over the columns: the pair with the largest sum of both maps
along it less what its slopes cost.  It is the optimum over all pairs of whole rows; a parabola through the map's three
values around each then gives parts of a pixel, and a Gaussian along the wall takes the steps away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data.items import Floats

Cost = NDArray[np.float32]
FORBIDDEN = np.float32(-np.inf)


@dataclass(frozen=True)
class Regulariser:
    """thickness : mm, the least and the most distance of the two boundaries in a column.
    steepest : rows that a boundary may move from one column to the next.
    slope : what a slope of 1 costs in a column, in units of the maps; it grows with the slope's square.
    parallel : the same of the difference of the two slopes.
    smooth : mm, standard deviation of the Gaussian along the wall; 0 leaves it out.
    """

    thickness: tuple[float, float] = (0.25, 2.0)
    steepest: int = 1
    slope: float = 0.5
    parallel: float = 0.5
    smooth: float = 0.3

    def __post_init__(self) -> None:
        low, high = self.thickness
        if not 0 <= low < high < math.inf:
            raise ValueError(f"a thickness of {low} to {high} mm: it needs 0 <= least < most")
        costs = (self.slope, self.parallel, self.smooth)
        if self.steepest < 1 or not all(0 <= cost < math.inf for cost in costs):
            raise ValueError(f"{self}: steepest must be 1 or more; slope, parallel and smooth finite and not below 0")


def boundaries_of(
    li_map: Floats, ma_map: Floats, mm_per_pixel: float, regulariser: Regulariser | None = None
) -> tuple[Floats, Floats]:
    """(W,) rows of the lumen-intima and (W,) of the media-adventitia boundary, in pixels of the maps.

    li_map, ma_map : (H, W), finite, higher = more boundary-like: log probabilities, probabilities, gradients.  A column
    without evidence is constant; there the curves go on as smoothness wants.
    Raises ValueError for maps that differ in shape, are not finite, or are too low for the least thickness.
    """
    chosen = regulariser or Regulariser()
    thin, thick = _rows_apart(li_map, ma_map, mm_per_pixel, chosen)
    li, apart = _best_rows(np.asarray(li_map, np.float32), np.asarray(ma_map, np.float32), (thin, thick), chosen)
    li_fine, ma_fine = _refined(li_map, li), _refined(ma_map, li + apart)
    sigma = chosen.smooth / mm_per_pixel
    return _in_order(_smoothed(li_fine, sigma), _smoothed(ma_fine, sigma), chosen.thickness[0] / mm_per_pixel)


def straightened(image: Floats, top: Floats, height: int) -> Floats:
    """(height, W) rows top to top + height of each column, between rows on straight lines; 0 outside the image.

    image : (H, W).   top : (W,) in rows, any numbers.  Along a wall that `top` follows, boundaries become level, so
    that their slopes cost nothing; add `top` to the rows that are found.
    """
    rows = np.asarray(top, np.float64)[None, :] + np.arange(height)[:, None]
    first = np.floor(rows).astype(np.int64)
    part = rows - first
    padded = np.pad(np.asarray(image, np.float64), ((1, 1), (0, 0)))
    columns = np.arange(image.shape[1])[None, :]
    above, below = (padded[np.clip(first + step, 0, len(padded) - 1), columns] for step in (1, 2))
    return above * (1 - part) + below * part


def _rows_apart(li_map: Floats, ma_map: Floats, mm_per_pixel: float, chosen: Regulariser) -> tuple[int, int]:
    """The least and the most rows between the boundaries."""
    if li_map.ndim != 2 or li_map.shape != ma_map.shape or not li_map.size:
        raise ValueError(f"maps of shape {li_map.shape} and {ma_map.shape}: two of the same (H, W) are needed")
    if not (np.isfinite(li_map).all() and np.isfinite(ma_map).all()):
        raise ValueError("a map has values that are not finite")
    if not 0 < mm_per_pixel < math.inf:
        raise ValueError(f"{mm_per_pixel} mm per pixel: it must be above 0")
    thin = max(1, math.ceil(chosen.thickness[0] / mm_per_pixel))
    thick = min(math.floor(chosen.thickness[1] / mm_per_pixel), li_map.shape[0] - 1)
    if thick < thin:
        raise ValueError(f"no room for two boundaries {thin} rows apart in maps of {li_map.shape[0]} rows")
    return thin, thick


def _best_rows(
    li_map: Cost, ma_map: Cost, apart: tuple[int, int], chosen: Regulariser
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(W,) rows of LI and (W,) rows from LI to MA with the largest sum.

    States are (row of LI, rows to MA).  Only the best sum up to each column is kept for each state; the way back is
    found by asking again where it came from, which costs nothing for one state.
    """
    height, width = li_map.shape
    thin, thick = apart
    both = _evidence(li_map, ma_map, thin, thick)
    moves = _moves(chosen)
    reach = chosen.steepest
    sums = np.full((width, height + 2 * reach, thick - thin + 1 + 4 * reach), FORBIDDEN)
    inner = (slice(reach, reach + height), slice(2 * reach, 2 * reach + thick - thin + 1))
    sums[0][inner] = both[0]
    for x in range(1, width):
        sums[x][inner] = both[x] + _best_before(sums[x - 1], moves, inner)
    return _way_back(sums, moves, inner, thin)


def _evidence(li_map: Cost, ma_map: Cost, thin: int, thick: int) -> Cost:
    """(W, H, T) sum of both maps in each state; FORBIDDEN where MA lies below the map."""
    height, width = li_map.shape
    below = np.concatenate([ma_map, np.full((thick, width), FORBIDDEN)])
    windows = np.lib.stride_tricks.sliding_window_view(below[thin:], thick - thin + 1, axis=0)[:height]
    return np.ascontiguousarray((li_map[:, :, None] + windows).transpose(1, 0, 2))


def _moves(chosen: Regulariser) -> list[tuple[int, int, np.float32]]:
    """(rows that LI moved, change of the distance, cost) of every step from one column to the next."""
    steps = range(-chosen.steepest, chosen.steepest + 1)
    return [
        (a, b - a, np.float32(chosen.slope * (a * a + b * b) + chosen.parallel * (a - b) ** 2))
        for a in steps
        for b in steps
    ]


def _best_before(
    before: Cost, moves: list[tuple[int, int, np.float32]], inner: tuple[slice, slice]
) -> NDArray[np.float32]:
    """The best sum up to the column before, less the step's cost, for each state of this column."""
    rows, gaps = inner
    best = np.full((rows.stop - rows.start, gaps.stop - gaps.start), FORBIDDEN)
    for down, wider, cost in moves:
        shifted = before[rows.start - down : rows.stop - down, gaps.start - wider : gaps.stop - wider]
        np.maximum(best, shifted - cost, out=best)
    return best


def _way_back(
    sums: Cost, moves: list[tuple[int, int, np.float32]], inner: tuple[slice, slice], thin: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    width = len(sums)
    path = np.empty((width, 2), np.int64)
    path[-1] = np.unravel_index(np.argmax(sums[-1]), sums[-1].shape)
    for x in range(width - 1, 0, -1):
        row, gap = path[x]
        values = [sums[x - 1, row - down, gap - wider] - cost for down, wider, cost in moves]
        down, wider, _ = moves[int(np.argmax(values))]
        path[x - 1] = row - down, gap - wider
    return path[:, 0] - inner[0].start, path[:, 1] - inner[1].start + thin


def _refined(values: Floats, rows: NDArray[np.int64]) -> Floats:
    """Rows moved by up to half a pixel, to the top of the parabola through three values; only where there is a top."""
    height, width = values.shape
    columns = np.arange(width)
    inside = (rows > 0) & (rows < height - 1)
    middle = np.where(inside, rows, 1 if height > 2 else 0)
    above, at, below = (np.asarray(values, np.float64)[np.clip(middle + d, 0, height - 1), columns] for d in (-1, 0, 1))
    bend = above - 2 * at + below
    top = inside & (bend < 0) & (at >= above) & (at >= below)
    moved = np.where(top, (above - below) / np.where(top, 2 * bend, 1.0), 0.0)
    return np.asarray(rows + moved, np.float64)


def _smoothed(curve: Floats, sigma: float) -> Floats:
    from scipy.ndimage import gaussian_filter1d  # here: it takes a while to load

    if sigma <= 0:
        return curve
    x = np.arange(curve.size, dtype=np.float64)
    line = np.polyval(np.polyfit(x, curve, 1), x) if curve.size > 1 else curve  # a filter bends a slope at its ends
    return line + gaussian_filter1d(curve - line, sigma, mode="nearest")


def _in_order(li: Floats, ma: Floats, least: float) -> tuple[Floats, Floats]:
    """Both moved apart by the same where parts of a pixel brought them nearer than the least thickness."""
    lacks = np.maximum(least - (ma - li), 0) / 2
    return li - lacks, ma + lacks
