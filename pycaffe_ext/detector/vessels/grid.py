"""The grid on which vessels are searched: about as coarse for every volume, whatever its own voxels are.

How far an edge between vessel and lung is blurred depends on the scanner and on how a volume was resampled, not on how
small its voxels are.  On one grid in mm the search sees the same edges, and counts the same neighbours, at any spacing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data.volumes.geometry import Hounsfield
from pycaffe_ext.detector.vessels.lungs import Step

GRID = 1.25  # mm; an axis with larger voxels keeps them


@dataclass(frozen=True)
class Coarsened:
    """values : (z, y, x) HU, means over cells.   step : mm of a cell.   share : cells of a voxel along each axis."""

    values: Hounsfield
    step: Step
    share: Step

    def voxels(self, cells: Any) -> NDArray[np.int64]:
        """(..., 3) voxels of the volume at the middles of (..., 3) cells."""
        return np.floor((np.asarray(cells) + 0.5) / self.share).astype(np.int64)

    def mask(self, voxels: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(z, y, x) of the cells, of a mask of the volume's voxels: what it is in their middles."""
        middles = (np.arange(n) + 0.5 for n in self.values.shape)
        places = [np.floor(m / share).astype(np.int64) for m, share in zip(middles, self.share, strict=True)]
        return np.asarray(voxels[np.ix_(*places)])


def coarsened(values: Hounsfield, step: Step, grid: float = GRID) -> Coarsened:
    """A volume in cells of `grid` mm, from its first voxel on; a part of a cell at the end is left out."""
    share = [min(1.0, s / grid) for s in step]
    found: NDArray[Any] = values
    for axis, part in enumerate(share):
        if part < 1:
            found = _averaged(found, axis, part)
    z, y, x = (s / part for s, part in zip(step, share, strict=True))
    return Coarsened(np.rint(found).astype(np.int16), (z, y, x), (share[0], share[1], share[2]))


def _averaged(values: NDArray[Any], axis: int, share: float) -> NDArray[np.float32]:
    """Means along an axis over cells of 1 / share voxels; voxels on an edge count in part on both sides."""
    count = max(1, int(values.shape[axis] * share))
    edges = np.minimum(np.arange(count + 1) / share, values.shape[axis])
    first, last = np.floor(edges[:-1]).astype(int), np.ceil(edges[1:]).astype(int)
    shape = [count if other == axis else n for other, n in enumerate(values.shape)]
    out = np.zeros(shape, np.float32)
    for k in range(int((last - first).max())):
        voxel = np.minimum(first + k, values.shape[axis] - 1)
        overlap = np.clip(np.minimum(first + k + 1, edges[1:]) - np.maximum(first + k, edges[:-1]), 0, None)
        weight = (overlap / np.diff(edges)).astype(np.float32)
        out += np.take(values, voxel, axis) * weight.reshape([-1 if other == axis else 1 for other in range(3)])
    return out
