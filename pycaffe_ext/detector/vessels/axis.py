"""Along which axis a vessel runs: the direction in which its density curves least, by the Hessian at its scale.

The volume is sampled around each point on a grid of the patient's own axes, so spacing and direction of its voxels
do not matter.  Values are clipped at the density of clots, so that a vessel looks alike where a clot fills it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data.items import Floats
from pycaffe_ext.data.volumes.geometry import AIR, Geometry, sampled
from pycaffe_ext.detector.vessels.segmentation import HIGH, LOW

SCALES = (1.5, 2.5, 4.0)  # mm, deviations of the Gaussians; a vessel answers most to about its radius over 1.4
STEP = 1.0  # mm of the grid
REACH = 2.5  # deviations at which it ends
AT_ONCE = 64  # points whose surroundings are in memory


def vessel_axes(
    values: NDArray[Any], geometry: Geometry, points: Floats, scales: tuple[float, ...] = SCALES
) -> NDArray[np.float64]:
    """(n, 3) unit vectors (x, y, z) in the patient along the vessels at (n, 3) points (x, y, z) in mm.

    values : (z, y, x) HU.   The sign is chosen so that the component of the largest size is positive.
    """
    points = np.asarray(points, np.float64).reshape(-1, 3)
    parts = [points[i : i + AT_ONCE] for i in range(0, len(points), AT_ONCE)]
    return np.concatenate([np.zeros((0, 3)), *(_axes(values, geometry, part, scales) for part in parts)])


def _axes(values: NDArray[Any], geometry: Geometry, points: Floats, scales: tuple[float, ...]) -> NDArray[np.float64]:
    best, strength = np.zeros((len(points), 3)), np.full(len(points), -np.inf)
    for scale in scales:
        offsets, kernels = second_derivatives(scale)
        seen = np.clip(sampled(values, geometry, points[:, None, :] + offsets, AIR), LOW, HIGH)
        eigenvalues, vectors = np.linalg.eigh(np.einsum("nm,mij->nij", seen, kernels))
        across = -eigenvalues[:, 1] * scale**2
        stronger = across > strength
        strength[stronger], best[stronger] = across[stronger], vectors[stronger, :, 2]
    return _signed(best)


def second_derivatives(scale: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(m, 3) offsets in mm and (m, 3, 3) weights, whose sum with values there is the Hessian smoothed by `scale` mm.

    Weights sum to 0, and give a parabola's second derivative of 1 exactly as 1.
    """
    half = int(np.ceil(REACH * scale / STEP))
    offsets = np.asarray((np.argwhere(np.ones((2 * half + 1,) * 3)) - half) * STEP, np.float64)
    gauss = np.exp(-(offsets**2).sum(axis=1) / (2 * scale**2))
    kernels = gauss[:, None, None] * offsets[:, :, None] * offsets[:, None, :]
    for i in range(3):  # on the diagonal: offset squared, less what makes the sum 0
        square = offsets[:, i] ** 2
        kernels[:, i, i] = gauss * (square - (gauss @ square) / gauss.sum())
        kernels[:, i, i] /= kernels[:, i, i] @ square / 2
    for i, j in ((0, 1), (0, 2), (1, 2)):
        weight = kernels[:, i, j] / (kernels[:, i, j] @ (offsets[:, i] * offsets[:, j]))
        kernels[:, i, j] = kernels[:, j, i] = weight
    return offsets, kernels


def _signed(axes: NDArray[np.float64]) -> NDArray[np.float64]:
    largest = np.abs(axes).argmax(axis=1)
    return np.asarray(axes * np.where(np.take_along_axis(axes, largest[:, None], axis=1) < 0, -1, 1))
