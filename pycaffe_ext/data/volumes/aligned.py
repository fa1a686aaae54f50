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
from pycaffe_ext.data.volumes.geometry import AIR, Geometry, at_voxels
from pycaffe_ext.data.volumes.window import EMBOLISM, Window, windowed

EXTENTS = (10.0, 15.0, 20.0)  # mm
ANGLES = (0.0, 36.0, 72.0, 108.0, 144.0)  # degrees about the axis; at 180 the planes are mirrored
SHIFTS = (0.0, -2.0, 2.0)  # mm along the axis; the first view is the plain one
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
    planes = _room_for_planes(size)  # once: fresh memory for each patch takes longer than to fill it
    for number, (place, view) in enumerate(zip(np.asarray(places, np.float64), views, strict=True)):
        middle, ends = _corner(place[:3], place[3:], view)
        _planes(geometry.to_voxels(middle), geometry.to_voxels(ends), view, planes)
        out[number] = windowed(at_voxels(values, planes, AIR), window)
    return out


def plane_points(point: Floats, axis: Floats, view: View, size: int) -> NDArray[np.float64]:
    """(3, size, size, 3) points (x, y, z) in mm of the pixels of the three planes."""
    return np.moveaxis(_planes(*_corner(point, axis, view), view, _room_for_planes(size)), 0, -1)


def _corner(point: Floats, axis: Floats, view: View) -> tuple[Floats, Floats]:
    """The middle of the planes, and (3, 3) points 1 mm from it along each of the frame's vectors."""
    vectors = frame(axis, view.angle)
    middle = point + view.shift * vectors[0]
    return middle, middle + vectors


def _room_for_planes(size: int) -> NDArray[np.float64]:
    return np.empty((3, 3, size, size))


def _planes(middle: Floats, ends: Floats, view: View, out: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, 3, size, size), in `out`: coordinates, of which there are three, of the pixels of three planes.

    middle, ends : as `_corner` has them, in mm or in voxels: the way from one to the other is linear.
    """
    along, first, second = ends - middle
    size = out.shape[-1]
    place = ((np.arange(size) + 0.5) / size - 0.5) * view.extent
    for plane, (a, b) in enumerate(((along, first), (along, second), (first, second))):
        for i in range(3):
            np.add((middle[i] + place * a[i])[:, None], place * b[i], out=out[i, plane])
    return out


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
