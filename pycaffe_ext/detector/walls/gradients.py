"""The hand-crafted baseline: both boundaries of the far wall as edges from dark to bright, through the regulariser.

After the published gradient and dynamic-programming methods for the far wall (Liang et al. 2000, Faita et al. 2008):
smoothed vertical derivatives.  The lumen-intima boundary is the faint edge below the lumen, so greys are saturated for
it and what lies above must be dark; the media-adventitia boundary is the strong edge below.

An edge seems to lie higher or lower than the boundary that is meant by it, by the scanner's pulse and grey map and by
the expert's habit; `fitted_offsets` learns by how much, on training images.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from pycaffe_ext.data.boundaries.burned_in import Grey
from pycaffe_ext.data.items import Floats
from pycaffe_ext.detector.walls.far_wall import FarWall, mean_of_rows
from pycaffe_ext.detector.walls.regulariser import Regulariser, boundaries_of, straightened

BLUR = (0.5, 0.1)  # mm across and down, of a Gaussian
BRIGHT, LEAST = 95, 10.0  # percentile of the region's greys that counts as 1, and the grey that it is at least
SATURATION = 0.15  # of it, for the lumen-intima boundary
LUMEN = (0.8, 0.1)  # mm above it, from and to, where it is dark
DARKNESS = 0.5  # weight of that darkness beside the edge
STEP = 0.2  # mm over which an edge's change of grey is counted
Pair = tuple[float, float]  # of lumen-intima and of media-adventitia
REGULARISER = Regulariser(thickness=(0.3, 1.8))


def edge_maps(region: Floats, mm_per_pixel: float) -> tuple[Floats, Floats]:
    """(H, W) of lumen-intima and (H, W) of media-adventitia; region : (H, W) greys in which the wall is level."""
    light = np.minimum(region / max(float(np.percentile(region, BRIGHT)), LEAST), 1.5)
    saturated = _blurred(1 - np.exp(-light / SATURATION), mm_per_pixel)
    above = mean_of_rows(saturated, -round(LUMEN[0] / mm_per_pixel), -round(LUMEN[1] / mm_per_pixel))
    return _edges(saturated, mm_per_pixel) - DARKNESS * above, _edges(_blurred(light, mm_per_pixel), mm_per_pixel)


def edges_along(grey: Grey, wall: FarWall, mm_per_pixel: float) -> tuple[Floats, Floats, Floats]:
    """Of an image, (H, W) uint8: (n,) first row of a band that follows the wall in the columns `wall.x`, and both
    `edge_maps` of the band."""
    top, height = wall.region(mm_per_pixel)
    return top, *edge_maps(straightened(grey[:, wall.x].astype(np.float64), top, height), mm_per_pixel)


def baseline(
    edges: tuple[Floats, Floats, Floats],
    mm_per_pixel: float,
    offsets: Pair = (0.0, 0.0),
    regulariser: Regulariser = REGULARISER,
) -> tuple[Floats, Floats]:
    """(n,) rows of both boundaries in the columns of a wall.

    edges : as `edges_along` gives them.   offsets : mm by which the boundaries lie below their edges.
    """
    top, li_edges, ma_edges = edges
    li, ma = boundaries_of(li_edges, ma_edges, mm_per_pixel, regulariser)
    down = [offset / mm_per_pixel for offset in offsets]
    return li + top + down[0], ma + top + down[1]


def fitted_offsets(signed: Sequence[tuple[Floats, Floats]]) -> Pair:
    """mm to go down from the edges, for `baseline`: the median image's.

    signed : of each training image the signed errors of both boundaries in micrometres, found minus true; NaN where a
    column is not judged.
    """
    means = [[np.nanmean(errors) for errors in pair] for pair in signed]
    li, ma = -np.median(np.array(means), axis=0) / 1000
    return float(li), float(ma)


def _blurred(light: Floats, mm_per_pixel: float) -> Floats:
    across, down = (size / mm_per_pixel for size in BLUR)
    return np.asarray(cv2.GaussianBlur(light, (0, 0), across, sigmaY=down, borderType=cv2.BORDER_REPLICATE))


def _edges(light: Floats, mm_per_pixel: float) -> Floats:
    """Change from dark above to bright below over STEP; 0 the other way round."""
    return np.maximum(np.gradient(light, axis=0), 0) * (STEP / mm_per_pixel)
