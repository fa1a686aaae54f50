"""Where a volume's voxels lie in the patient: spacing, origin and the full direction matrix.

A voxel is (z, y, x), an index into the array, 0 the middle of the first voxel; parts of voxels are allowed.  A point is
(x, y, z) in millimetres in DICOM's patient coordinates (LPS): x grows to the patient's left, y to the back, z to the
head.  The axes of the array may point anywhere; they are perpendicular to each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data.items import Floats

Hounsfield = NDArray[np.int16]
Three = tuple[float, float, float]
Nine = tuple[float, ...]
AIR = -1024  # HU outside of a volume
SAME_SHARE = 0.01  # of a voxel, by which two geometries that are the same may differ
AXES = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "S": (2, 1), "I": (2, -1)}  # letter -> axis, sign in LPS
RIGHT_ANGLE = 1e-3  # by which the product of two axes may differ from 0


@dataclass(frozen=True)
class Geometry:
    """size : voxels along z, y, x.   spacing : mm along x, y, z.   origin : point of the first voxel's middle.
    direction : 3 x 3 by rows; its columns are the unit vectors of the array's x, y and z axis in the patient."""

    size: tuple[int, int, int]
    spacing: Three
    origin: Three = (0.0, 0.0, 0.0)
    direction: Nine = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)

    def __post_init__(self) -> None:
        """Raise ValueError, in words that follow a file's name, unless it can be a volume's geometry."""
        if len(self.size) != 3 or min(self.size) < 1:
            raise ValueError(f"has {' x '.join(map(str, self.size))} voxels; a volume has three axes")
        if not all(0 < step < np.inf for step in self.spacing):
            raise ValueError(f"states a spacing of {' x '.join(f'{s:g}' for s in self.spacing)} mm")
        if not np.isfinite([*self.origin, *self.direction]).all():
            raise ValueError("states an origin or a direction that is not finite")
        product = self.axes.T @ self.axes
        if np.abs(product - np.eye(3)).max() > RIGHT_ANGLE:
            raise ValueError("has axes that are not perpendicular unit vectors; resample it to perpendicular ones")

    @property
    def axes(self) -> NDArray[np.float64]:
        """(3, 3); column k is the unit vector of axis x, y or z."""
        return np.array(self.direction, np.float64).reshape(3, 3)

    @property
    def step(self) -> Three:
        """Spacing in the order of the array: z, y, x."""
        return self.spacing[2], self.spacing[1], self.spacing[0]

    @property
    def voxel_volume(self) -> float:
        """mm3"""
        return float(np.prod(self.spacing))

    def to_patient(self, voxels: Any) -> NDArray[np.float64]:
        """(..., 3) points (x, y, z) in mm of (..., 3) voxels (z, y, x)."""
        steps = np.asarray(voxels, np.float64)[..., ::-1] * self.spacing
        return steps @ self.axes.T + self.origin

    def to_voxels(self, points: Any) -> NDArray[np.float64]:
        """(..., 3) voxels (z, y, x), parts included, of (..., 3) points (x, y, z) in mm."""
        steps = (np.asarray(points, np.float64) - self.origin) @ np.linalg.inv(self.axes).T
        return np.asarray((steps / self.spacing)[..., ::-1])

    def contains(self, points: Any) -> NDArray[np.bool_]:
        """(...) whether points lie in a voxel of the volume."""
        voxels = self.to_voxels(points)
        return np.asarray(((voxels >= -0.5) & (voxels <= np.array(self.size) - 0.5)).all(axis=-1))

    def corners(self) -> NDArray[np.float64]:
        """(8, 3) points of the middles of the corner voxels."""
        last = np.array(self.size) - 1
        return self.to_patient(np.array([[i & 1, i >> 1 & 1, i >> 2 & 1] for i in range(8)]) * last)

    def same(self, other: Geometry) -> bool:
        """Whether every corner of the two lies within a hundredth of a voxel."""
        if self.size != other.size:
            return False
        return bool(np.abs(self.corners() - other.corners()).max() <= SAME_SHARE * min(self.spacing))


@dataclass(frozen=True)
class Upright:
    """A volume's array seen with its axes along the patient's z, y, x, as far as they go along these, without a copy.

    order : the array's axes that run along z, y, x most.   flip : whether each runs towards the feet, the front or the
    right, and is reversed.   size : voxels along the three.
    """

    order: tuple[int, int, int]
    flip: tuple[bool, bool, bool]
    size: tuple[int, int, int]

    @classmethod
    def of(cls, geometry: Geometry) -> Upright:
        column = _nearest_axes(geometry.axes)
        z, y, x = (2 - column[i] for i in (2, 1, 0))
        down, back, left = (bool(geometry.axes[i, column[i]] < 0) for i in (2, 1, 0))
        size = geometry.size
        return cls((z, y, x), (down, back, left), (size[z], size[y], size[x]))

    def view(self, values: NDArray[Any]) -> NDArray[Any]:
        """A view of (z, y, x) values of the volume."""
        z, y, x = (slice(None, None, -1 if back else None) for back in self.flip)
        return values.transpose(self.order)[z, y, x]

    def steps(self, geometry: Geometry) -> Three:
        """mm of a voxel along the view's axes."""
        z, y, x = (geometry.step[axis] for axis in self.order)
        return z, y, x

    def seen(self, voxels: Any) -> NDArray[np.float64]:
        """(..., 3) places in the view of (..., 3) voxels (z, y, x) of the array."""
        return self._turned(np.asarray(voxels, np.float64)[..., list(self.order)])

    def voxels(self, places: Any) -> NDArray[np.float64]:
        """(..., 3) voxels (z, y, x) of the array of (..., 3) places in the view."""
        found = np.empty(np.shape(places), np.float64)
        found[..., list(self.order)] = self._turned(np.asarray(places, np.float64))
        return found

    def _turned(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(self.flip, np.array(self.size) - 1 - places, places)


def oriented(geometry: Geometry, axes: str = "LPS", spacing: Three | None = None) -> Geometry:
    """The geometry whose x, y and z axis point as the letters say, and which covers all of the volume.

    axes : three of L or R, P or A, S or I, one of each pair, such as LPS.   spacing : mm along its x, y, z; None = of
    the volume's own axes, in the order that fits best.  Raises ValueError for other letters.
    """
    if sorted(AXES.get(letter, (3, 0))[0] for letter in axes) != [0, 1, 2]:
        raise ValueError(f"orientation {axes!r}; it is three letters, one each of L or R, P or A, S or I")
    direction = np.zeros((3, 3))
    for column, letter in enumerate(axes):
        direction[AXES[letter][0], column] = AXES[letter][1]
    order = _nearest_axes(direction.T @ geometry.axes)
    steps = np.array(spacing if spacing is not None else [geometry.spacing[i] for i in order])
    corners = geometry.corners() @ direction
    low, high = corners.min(axis=0), corners.max(axis=0)
    count = np.ceil((high - low) / steps - SAME_SHARE).astype(int) + 1
    return Geometry(
        size=(int(count[2]), int(count[1]), int(count[0])),
        spacing=(float(steps[0]), float(steps[1]), float(steps[2])),
        origin=_three(direction @ low),
        direction=tuple(direction.ravel().tolist()),
    )


def resampled(values: Hounsfield, geometry: Geometry, target: Geometry, outside: int = AIR) -> Hounsfield:
    """(z, y, x) int16 of `target`: linear between the middles of the volume's voxels; `outside` beyond them.

    Where the two grids meet voxel on voxel, as with axes that are only swapped or flipped, values are kept exactly.
    """
    import SimpleITK as sitk  # noqa: N813 - as everybody calls it; here: it takes a while to load

    image = sitk.GetImageFromArray(np.ascontiguousarray(values))
    image.SetSpacing(geometry.spacing)
    image.SetOrigin(geometry.origin)
    image.SetDirection(geometry.direction)
    work = sitk.ResampleImageFilter()
    work.SetSize(target.size[::-1])
    work.SetOutputSpacing(target.spacing)
    work.SetOutputOrigin(target.origin)
    work.SetOutputDirection(target.direction)
    work.SetInterpolator(sitk.sitkLinear)
    work.SetDefaultPixelValue(outside)
    work.SetOutputPixelType(sitk.sitkFloat32)  # else values are cut off, not rounded
    return np.rint(sitk.GetArrayFromImage(work.Execute(image))).astype(np.int16)


def sampled(values: NDArray[Any], geometry: Geometry, points: Floats, outside: float = AIR) -> NDArray[np.float32]:
    """(...) values at (..., 3) points (x, y, z) in mm, linear between voxels; `outside` beyond the volume."""
    return at_voxels(values, np.moveaxis(geometry.to_voxels(points), -1, 0), outside)


def at_voxels(values: NDArray[Any], voxels: Floats, outside: float = AIR) -> NDArray[np.float32]:
    """(...) values at (3, ...) voxels z, y, x, parts included; as `sampled`."""
    from scipy.ndimage import map_coordinates  # here: it takes a while to load

    return np.asarray(map_coordinates(values, voxels, np.float32, order=1, cval=outside))


def _nearest_axes(products: NDArray[np.float64]) -> list[int]:
    """For each target axis the volume's axis along it, each once; products : (target, volume) of unit vectors."""
    from itertools import permutations

    return list(max(permutations(range(3)), key=lambda order: sum(abs(products[i, j]) for i, j in enumerate(order))))


def _three(values: NDArray[np.float64]) -> Three:
    x, y, z = (float(value) for value in values)
    return x, y, z
