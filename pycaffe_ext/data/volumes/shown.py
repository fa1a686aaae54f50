"""Slices of a volume as pictures for a reader: upright, in the window of the mediastinum, with boxes around places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data.items import Floats, Picture
from pycaffe_ext.data.volumes.geometry import Geometry, Upright
from pycaffe_ext.data.volumes.window import Window, windowed

SIDE = 16.0  # mm of a box
LEAST = 384  # pixels of a slice's shorter side, below which it is enlarged by a whole number
CONTRAST = Window(150, 700)  # -200 to 500 HU: a clot is grey, contrast nearly white


def levels(geometry: Geometry, points: Floats) -> NDArray[np.int64]:
    """(n,) number of the slice, counted from the feet, that holds each of (n, 3) points (x, y, z) in mm."""
    upright = Upright.of(geometry)
    place = upright.seen(geometry.to_voxels(points))[:, 0]
    return np.clip(np.rint(place), 0, upright.size[0] - 1).astype(np.int64)


@dataclass(frozen=True)
class Slices:
    """values : (z, y, x) HU of the volume, or a mask of it.  Slices lie across the patient's long axis, as nearly as
    the array's own do; the patient's right is on the left of the picture."""

    geometry: Geometry
    values: NDArray[Any]

    @property
    def upright(self) -> Upright:
        return Upright.of(self.geometry)

    @property
    def zoom(self) -> int:
        """Pixels of the picture for each of the slice."""
        return max(1, -(-LEAST // min(self.upright.size[1:])))

    def level(self, points: Floats) -> NDArray[np.int64]:
        """As `levels`."""
        return levels(self.geometry, points)

    def near(self, level: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(n,) which of the slices lie so close to the first that a clot of usual size reaches it."""
        away = np.abs(level - level[:1]) * self.upright.steps(self.geometry)[0]
        return np.asarray(away <= SIDE / 4)

    def discs(self, points: Floats, level: int, radius: float) -> NDArray[np.bool_]:
        """(H, W) cuts of a slice with balls of `radius` mm around (n, 3) points (x, y, z) in mm."""
        size, step = self.upright.size, np.array(self.upright.steps(self.geometry))
        row, column = np.indices((size[1], size[2]))
        found = np.zeros(row.shape, bool)
        for z, y, x in self.upright.seen(self.geometry.to_voxels(points)):
            away = np.stack([np.full(row.shape, level - z), row - y, column - x], axis=-1) * step
            found |= np.linalg.norm(away, axis=-1) <= radius
        return np.repeat(np.repeat(found, self.zoom, axis=0), self.zoom, axis=1)

    def plane(self, level: int) -> NDArray[Any]:
        """(H, W) values of a slice, enlarged."""
        plane = self.upright.view(self.values)[level]
        return np.repeat(np.repeat(plane, self.zoom, axis=0), self.zoom, axis=1)

    def picture(self, level: int) -> Picture:
        """(H, W, 3) uint8 BGR of a slice."""
        return np.repeat(windowed(self.plane(level), CONTRAST)[..., None], 3, axis=2)

    def boxes(self, points: Floats, side: float = SIDE) -> NDArray[np.float32]:
        """(n, 4) x, y, width, height in pixels of boxes around (n, 3) points (x, y, z) in mm."""
        places = self.upright.seen(self.geometry.to_voxels(points))[:, :0:-1]
        size = side / np.array(self.upright.steps(self.geometry))[:0:-1]
        corner = (places + 0.5 - size / 2) * self.zoom
        return np.concatenate([corner, np.broadcast_to(size * self.zoom, corner.shape)], axis=1).astype(np.float32)
