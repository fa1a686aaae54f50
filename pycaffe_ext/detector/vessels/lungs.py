"""The lung field: both lungs with the vessels in them and the hila between them, on a coarse grid.

Air in the body is lung (or airway); air that reaches the sides of the slices is outside.  Closing fills in what is
dense in a lung: vessels, clots, nodes, consolidations, and the bay of the hilum (Hu et al. 2001 for the scheme).

What was not scanned is not air: where a lung ends at a scanner's circle, or at the border of a volume that was turned
when it was resampled, it would lead from the lung to the sides, and the lung would be taken for what lies outside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data.volumes.geometry import AIR as UNSCANNED
from pycaffe_ext.data.volumes.geometry import Hounsfield

Mask = NDArray[np.bool_]
Step = tuple[float, float, float]
COARSE = 2.5  # mm
AIR = -450  # HU: below it is lung or air
LEAST = 15_000.0  # mm3 of a lung or of a part of one
CLOSED = 16.0  # mm that are bridged


@dataclass(frozen=True)
class LungField:
    """coarse : mask on a grid of every k-th voxel.   factors : that k along z, y, x.   shape : of the volume."""

    coarse: Mask
    factors: tuple[int, int, int]
    shape: tuple[int, int, int]

    def box(self) -> tuple[slice, slice, slice]:
        """Voxels of the volume around the field; the whole volume if the field is empty."""
        places = np.argwhere(self.coarse)
        if not len(places):
            return (slice(0, self.shape[0]), slice(0, self.shape[1]), slice(0, self.shape[2]))
        low, high = places.min(axis=0) * self.factors, (places.max(axis=0) + 1) * self.factors
        z, y, x = (slice(int(a), int(min(b, n))) for a, b, n in zip(low, high, self.shape, strict=True))
        return z, y, x

    def mask(self, box: tuple[slice, slice, slice]) -> Mask:
        """The field voxel by voxel in a box of the volume."""
        z, y, x = (np.arange(part.start, part.stop) // k for part, k in zip(box, self.factors, strict=True))
        return np.asarray(self.coarse[np.ix_(z, y, x)])


def factors_of(step: Step, wanted: float) -> tuple[int, int, int]:
    """Every how many voxels make a grid of about `wanted` mm."""
    z, y, x = (max(1, round(wanted / s)) for s in step)
    return z, y, x


def find_lungs(values: Hounsfield, step: Step) -> LungField:
    """The lung field of (z, y, x) HU; it is empty where there is no air inside the body.

    Voxels of -1024 HU, the least value a volume can have, were not scanned.
    """
    factors = factors_of(step, COARSE)
    kz, ky, kx = factors
    coarse = values[::kz, ::ky, ::kx]
    box = _scanned(coarse)
    air = (coarse[box] < AIR) & (coarse[box] > UNSCANNED)
    size = (step[0] * kz, step[1] * ky, step[2] * kx)
    lungs = _large(_inside(air), LEAST / float(np.prod(size)))
    field = np.zeros(coarse.shape, bool)
    field[box] = _closed(lungs, size, CLOSED)
    z, y, x = values.shape
    return LungField(field, factors, (z, y, x))


def _scanned(values: Hounsfield) -> tuple[slice, ...]:
    """The box around all that was scanned; everything if nothing was."""
    from scipy.ndimage import find_objects  # here: it takes a while to load

    boxes = find_objects((values > UNSCANNED).view(np.uint8))
    return boxes[0] if boxes else (slice(None),) * values.ndim


def _inside(air: Mask) -> Mask:
    """Air that is not connected to the sides within its slice.

    Through all slices, the one in which a lung meets the air outside, by motion or where the scan ends, would lose both
    lungs; here it loses one in that slice, and closing bridges it.
    """
    from scipy.ndimage import generate_binary_structure, label  # here: it takes a while to load

    within = generate_binary_structure(3, 1)
    within[[0, 2]] = False
    parts, count = label(air, within)
    outside = np.zeros(count + 1, bool)
    outside[0] = True
    for side in (parts[:, 0], parts[:, -1], parts[:, :, 0], parts[:, :, -1]):
        outside[np.unique(side)] = True
    return np.asarray(~outside[parts])


def _large(mask: Mask, least: float) -> Mask:
    from scipy.ndimage import label

    parts, _ = label(mask)
    large = np.bincount(parts.ravel()) >= least
    large[0] = False
    return np.asarray(large[parts])


def _closed(mask: Mask, step: Step, reach: float) -> Mask:
    """Closing by a ball of `reach` mm."""
    from scipy.ndimage import distance_transform_edt as distances

    if not mask.any():
        return mask
    room = [(int(np.ceil(reach / s)) + 1,) * 2 for s in step]
    padded = np.pad(mask, room, mode="edge")  # a lung that is cut off goes on beyond the last slice
    wide = distances(~padded, sampling=step) <= reach
    closed = distances(wide, sampling=step) > reach
    cut = tuple(slice(a, a + n) for (a, _), n in zip(room, mask.shape, strict=True))
    return np.asarray(closed[cut] | mask)
