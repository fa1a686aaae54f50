"""Vessels in the lung field, with whatever fills them: contrast by a threshold, dense tubes by the Hessian matrix.

A clot is no brighter than muscle, so contrast alone leaves it out.  Clipped at the density of clots, a vessel looks
alike with and without contrast; there a tube has two negative second derivatives across (Sato et al. 1998, Frangi et
al. 1998), where the chest's wall or a fissure has one and dense tissue none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data.volumes.geometry import Hounsfield
from pycaffe_ext.detector.vessels.lungs import Mask, Step

Values = NDArray[np.float32]
DENSE = -50  # HU: what is darker is neither clot nor contrast
CONTRAST = 0.55  # of the arteries' enhancement: what is brighter is contrast
ENHANCED = (
    150,
    99.0,
)  # HU above which voxels of the field count as enhanced; percentile above which are bones and the cava
LOW, HIGH = -300, 60  # HU between which the Hessian sees
SCALES = (1.6, 3.0)  # mm, deviations of its Gaussians
TUBE = 12.0  # HU, least second derivative across, times the scale squared
AROUND = 3.0  # mm around contrast that belong to the vessel
AXES = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))  # of the matrix, in z, y, x


@dataclass(frozen=True)
class Vessels:
    """mask : (z, y, x) voxels of vessels.   enhancement : HU of well-filled arteries; NaN where there is none.
    field : (z, y, x) of the lungs."""

    mask: Mask
    enhancement: float
    field: Mask


def find_vessels(values: Hounsfield, field: Mask, step: Step) -> Vessels:
    """Vessels of (z, y, x) HU in the lung field, a mask of the same shape."""
    dense = field & (values > DENSE)
    level = enhancement(values[dense])
    if np.isnan(level):
        return Vessels(tubes(values, dense, step), level, field)
    beside = dense & near(dense & (values > CONTRAST * level), step, AROUND)
    return Vessels(beside | tubes(values, dense & ~beside, step), level, field)


def enhancement(dense: NDArray[np.int16]) -> float:
    """HU of well-filled arteries: the middle of the dense voxels that are enhanced; NaN if there are none."""
    bright = dense[dense > ENHANCED[0]]
    bright = bright[bright <= np.percentile(bright, ENHANCED[1])] if bright.size else bright
    return float(np.median(bright[bright >= np.percentile(bright, 50)])) if bright.size else float("nan")


def near(mask: Mask, step: Step, reach: float) -> Mask:
    """Voxels within so many mm of a mask, by a box that is as wide."""
    from scipy.ndimage import maximum_filter  # here: it takes a while to load

    size = [2 * max(1, round(reach / s)) + 1 for s in step]
    return np.asarray(maximum_filter(mask.view(np.uint8), size), bool)


def tubes(values: Hounsfield, asked: Mask, step: Step) -> Mask:
    """Which of the voxels asked for have two second derivatives of the clipped volume that are clearly negative, at one
    of SCALES."""
    clipped = np.clip(values, LOW, HIGH).astype(np.float32)
    found = np.zeros(asked.shape, bool)
    for scale in SCALES:
        found[asked] |= two_below(hessian(clipped, asked, scale, step), -TUBE / scale**2)
    return found


def two_below(matrices: Values, level: float) -> Mask:
    """(n,) whether two or three eigenvalues of (n, 3, 3) symmetric matrices lie below `level`.

    By Descartes' rule of signs, which counts exactly where all roots are real: the negative roots of the characteristic
    polynomial are the changes of sign of its coefficients at -x.  Ten times faster than the eigenvalues themselves.
    """
    a, b, c = (matrices[:, i, i].astype(np.float64) - level for i in range(3))
    d, e, f = (matrices[:, i, j].astype(np.float64) for i, j in ((0, 1), (0, 2), (1, 2)))
    trace = a + b + c
    minors = a * b - d * d + a * c - e * e + b * c - f * f
    determinant = a * (b * c - f * f) - d * (d * c - f * e) + e * (d * f - b * e)
    return np.asarray(((minors > 0) & (trace < 0)) | ((determinant > 0) & ((trace < 0) | (minors < 0))))


def hessian(values: Values, inside: Mask, scale: float, step: Step) -> Values:
    """(n, 3, 3) second derivatives in HU / mm2 along z, y, x at the n voxels of a mask, smoothed by `scale` mm."""
    from scipy.ndimage import gaussian_filter

    sigma = [scale / s for s in step]
    found = np.empty((int(np.count_nonzero(inside)), 3, 3), np.float32)
    for i, j in AXES:
        order = [(i == k) + (j == k) for k in range(3)]
        part = gaussian_filter(values, sigma, order, np.float32, mode="nearest", truncate=3.0)[inside]
        found[:, i, j] = found[:, j, i] = part / np.float32(step[i] * step[j])
    return found
