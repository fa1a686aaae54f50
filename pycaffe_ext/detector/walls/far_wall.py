"""Where the far wall of the artery lies, roughly: a bright layer below a wide band that is nearly black.

Muscle and veins are dark too, but not as an artery's lumen is; so greys are saturated first, which makes the darkest
stand out.  Of two walls alike the deeper is taken, because the vein lies above the artery.  The way through the columns
is found by dynamic programming.  The constants were set on images, never learned from a training set.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data.boundaries.burned_in import Grey, Marks
from pycaffe_ext.data.items import Floats, Ints

BRIGHT = 95  # percentile of the image's greys that counts as 1
SATURATION = 0.35  # of it, at which brightness is two thirds of the most
BLUR = (1.0, 0.1)  # mm across and down, of a Gaussian
WALL = (0.2, 1.6)  # mm below the boundary, where it is bright
LUMEN = (2.5, 4.5)  # mm above the boundary, in which it is dark: both count
GAP = 0.3  # mm directly above the boundary that do not count: the boundary is not sharp
DEEPER = 0.01  # what 1 mm of depth is worth
SLOPE = 0.02  # what a slope of 1 costs in a column
EARLY = 0.24  # mm by which the bright layer begins below the boundary
SMOOTH = 1.0  # mm along the wall, of a Gaussian
ABOVE, BELOW = 1.2, 2.4  # mm of the region around the boundary


@dataclass(frozen=True)
class FarWall:
    """x : (n,) consecutive columns.   li : (n,) approximate row of the lumen-intima boundary in each."""

    x: Ints
    li: Floats

    def region(self, mm_per_pixel: float, above: float = ABOVE, below: float = BELOW) -> tuple[Floats, int]:
        """(n,) first row and height of a band that follows the wall: `above` and `below` mm around the boundary."""
        return self.li - above / mm_per_pixel, int(np.ceil((above + below) / mm_per_pixel)) + 1


def find_far_wall(grey: Grey, marks: Marks, mm_per_pixel: float) -> FarWall:
    """The far wall of an image, (H, W) uint8 with burned-in graphics filled, in every column that shows tissue.

    Raises ValueError, in words that follow a file's name, if the part with tissue is too low for lumen and wall.
    """
    from scipy.ndimage import gaussian_filter1d  # here: it takes a while to load

    top, bottom, left, right = marks.view
    need = LUMEN[1] + WALL[1]
    if (bottom - top) * mm_per_pixel < need or right <= left:
        raise ValueError(
            f"shows {(bottom - top) * mm_per_pixel:.1f} mm of tissue by its {mm_per_pixel:g} mm per pixel; lumen and"
            f" far wall need {need:.1f} mm"
        )
    likely = likeness(grey[top:bottom, left:right], mm_per_pixel)
    rows = best_path(likely, SLOPE) - EARLY / mm_per_pixel
    smooth = gaussian_filter1d(rows, SMOOTH / mm_per_pixel, mode="nearest")
    return FarWall(np.arange(left, right), smooth + top)


def likeness(tissue: Grey, mm_per_pixel: float) -> Floats:
    """(H, W) how much each pixel of (H, W) looks like the top of a far wall; -2 where no lumen has room above."""
    blur = [size / mm_per_pixel for size in BLUR]
    smooth = cv2.GaussianBlur(tissue.astype(np.float64), (0, 0), sigmaX=blur[0], sigmaY=blur[1])
    light = 1 - np.exp(-smooth / (SATURATION * max(float(np.percentile(smooth, BRIGHT)), 1.0)))

    def mean(first: float, last: float) -> Floats:
        return mean_of_rows(light, round(first / mm_per_pixel), round(last / mm_per_pixel))

    found = mean(*WALL) - sum(mean(-height, -GAP) for height in LUMEN)
    found += DEEPER * mm_per_pixel * np.arange(len(tissue))[:, None]
    found[: round(LUMEN[1] / mm_per_pixel)] = -2
    return found


def mean_of_rows(values: Floats, first: int, last: int) -> Floats:
    """(H, W) mean of the rows from `first` to before `last`, counted from each row; cut off at the border."""
    height = len(values)
    total = np.vstack([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    rows = np.arange(height)
    start, end = np.clip(rows + first, 0, height), np.clip(rows + last, 0, height)
    return np.asarray((total[end] - total[start]) / np.maximum(end - start, 1)[:, None])


def best_path(values: Floats, slope: float) -> NDArray[np.int64]:
    """(W,) rows of the path through (H, W) with the largest sum, which moves by a row a column at a cost of `slope`."""
    height, width = values.shape
    sums = np.full((width, height + 2), -np.inf)
    sums[0, 1:-1] = values[:, 0]
    for x in range(1, width):
        before = sums[x - 1]
        sums[x, 1:-1] = values[:, x] + np.maximum(before[1:-1], np.maximum(before[:-2], before[2:]) - slope)
    path = np.empty(width, np.int64)
    path[-1] = int(np.argmax(sums[-1]))
    cost = np.array([slope, 0.0, slope])
    for x in range(width - 1, 0, -1):
        at = path[x]
        path[x - 1] = at - 1 + int(np.argmax(sums[x - 1, at - 1 : at + 2] - cost))
    return path - 1
