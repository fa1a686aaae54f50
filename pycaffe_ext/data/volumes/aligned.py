"""Patches that lie along a vessel: two longitudinal planes and the cross-section as the channels of a picture.

This is a documented variant of the paper's 2.5-D representation, whose details the text at hand leaves open; extents,
angles and shifts are its defaults here.  The axis runs down in the longitudinal planes, through their middle.
Interpolation is linear in the volume's own voxels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data.items import Floats
from pycaffe_ext.data.volumes.geometry import AIR, Geometry, sampled
from pycaffe_ext.data.volumes.window import EMBOLISM, Window, windowed

EXTENTS = (10.0, 15.0, 20.0)  # mm
ANGLES = (0.0, 36.0, 72.0, 108.0, 144.0)  # degrees about the axis; at 180 the planes are mirrored
SHIFTS = (-2.0, 0.0, 2.0)  # mm along the axis
COLUMNS = ("extent_mm", "angle", "shift_mm")
CHANNELS = ("along the axis", "along it, at a right angle", "across")


@dataclass(frozen=True)
class View:
    """extent : mm of a side.   angle : degrees about the axis.   shift : mm along it."""

    extent: float
    angle: float = 0.0
    shift: float = 0.0


@dataclass(frozen=True)
class Views:
    """The ways to cut a candidate; view k is the k-th of all combinations, extents first."""

    extents: tuple[float, ...] = EXTENTS
    angles: tuple[float, ...] = ANGLES
    shifts: tuple[float, ...] = SHIFTS
    columns: tuple[str, ...] = COLUMNS

    def __len__(self) -> int:
        return len(self.extents) * len(self.angles) * len(self.shifts)

    def view(self, number: int) -> View:
        return View(*list(product(self.extents, self.angles, self.shifts))[number])

    def row(self, view: int) -> tuple[float, float, float]:
        """What the index says of a view: the three COLUMNS."""
        found = self.view(view)
        return found.extent, found.angle, found.shift


def aligned_patches(
    values: NDArray[Any],
    geometry: Geometry,
    places: Floats,
    views: Sequence[View],
    size: int,
    window: Window = EMBOLISM,
) -> NDArray[np.uint8]:
    """(m, 3, size, size) uint8, channels as CHANNELS says, of m places with a view each.

    values : (z, y, x) HU.   places : (m, 6) point (x, y, z) in mm and unit vector of the vessel's axis there, in the
    patient.   size : pixels of a side; the extent reaches from edge to edge of the outer pixels.
    """
    out = np.empty((len(places), 3, size, size), np.uint8)
    for number, (place, view) in enumerate(zip(np.asarray(places, np.float64), views, strict=True)):
        points = plane_points(place[:3], place[3:], view, size)
        out[number] = windowed(sampled(values, geometry, points, AIR), window)
    return out


def plane_points(point: Floats, axis: Floats, view: View, size: int) -> NDArray[np.float64]:
    """(3, size, size, 3) points (x, y, z) in mm of the pixels of the three planes."""
    along, first, second = frame(axis, view.angle)
    place = ((np.arange(size) + 0.5) / size - 0.5) * view.extent
    middle = point + view.shift * along
    down, across = place[:, None, None], place[None, :, None]
    return np.stack([middle + down * a + across * b for a, b in ((along, first), (along, second), (first, second))])


def frame(axis: Floats, angle: float = 0.0) -> NDArray[np.float64]:
    """(3, 3): the axis as a unit vector and two unit vectors across, right-handed, turned by `angle` degrees about it.

    At 0 the first across is the one nearest to the patient's x, y or z axis along which the vessel runs least.
    """
    along = np.asarray(axis, np.float64) / np.linalg.norm(axis)
    least = np.eye(3)[int(np.abs(along).argmin())]
    first = least - (least @ along) * along
    first /= np.linalg.norm(first)
    second = np.cross(along, first)
    turn = np.radians(angle)
    return np.stack([along, np.cos(turn) * first + np.sin(turn) * second, np.cos(turn) * second - np.sin(turn) * first])
