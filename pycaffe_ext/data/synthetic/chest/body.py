"""What lies around the vessels: thorax, lungs, heart, airways, bones, large vessels, in Hounsfield units.

Millimetres from the middle of the chest at the height of the hila: x to the patient's left, y to the back, z to the
head.  It is a slender adult's chest from above the aortic arch to the domes of the diaphragm.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data.synthetic.chest.raster import Field, Grid, ellipsoid, filled, mix, paint_tree, tube_distance
from pycaffe_ext.data.synthetic.chest.tree import Floats, Tree

HU = {
    "air": -1000.0,
    "lung": -860.0,
    "fat": -95.0,
    "muscle": 52.0,
    "bone": 260.0,
    "cortex": 620.0,
    "blood": 42.0,
    "heart": 95.0,
    "node": 60.0,
    "mucus": 22.0,
    "wall": -250.0,  # of an airway, thinner than a voxel
}
THORAX = (150.0, 104.0)  # half width and depth of the body
LUNGS = {"right": (-66.0, -4.0), "left": (68.0, 0.0)}  # middle in x and y
HALF = (59.0, 82.0, 118.0)  # of a lung
BASE = -92.0  # height of the domes of the diaphragm
APEX = 100.0
HILUM = {"right": (-30.0, 6.0, 2.0), "left": (33.0, 12.0, 10.0)}
TRUNK = (6.0, -18.0, 4.0)  # where the pulmonary trunk divides
CAVA = (-24.0, -14.0)  # x and y of the superior vena cava
TRACHEA, CARINA = 7.5, (0.0, 10.0, 34.0)  # mm, radius of the windpipe; where it divides
LUNG_POINTS = 9000  # of a lung, that its vessels share


@dataclass(frozen=True)
class Contrast:
    """HU of enhanced blood.   artery, vein : of the lung.   cava, aorta : of the large vessels beside it."""

    artery: float
    vein: float
    cava: float
    aorta: float


@dataclass(frozen=True)
class Body:
    """heart : its half axes in mm.   dome : mm by which the middle of the diaphragm is higher than its rim.
    fat : mm below the skin."""

    heart: tuple[float, float, float]
    dome: float
    fat: float

    def inside_lung(self, x: Field, y: Field, z: Field, side: str) -> Field:
        """Distance in mm, nearly, to the surface of a lung; negative inside."""
        cx, cy = LUNGS[side]
        taper = 1 - 0.22 * np.clip(z / APEX, 0, 1) ** 2
        px, py, pz = (x - cx) / (HALF[0] * taper), (y - cy) / (HALF[1] * taper), z / HALF[2]
        outer = (np.sqrt(px**2 + py**2 + pz**2) - 1) * min(HALF)
        floor = BASE + self.dome * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * 45.0**2)) - z
        found = np.maximum(np.maximum(outer, floor), self._mediastinum(x, y, z, side))
        return np.asarray(np.maximum(found, -self._heart(x, y, z)), np.float32)

    def _mediastinum(self, x: Field, y: Field, z: Field, side: str) -> Field:
        """Distance into the middle of the chest, which is wider in front and narrow behind the sternum."""
        half = 21 + 6 * np.clip((y + 60) / 60, 0, 1) - 8 * np.clip((y - 20) / 40, 0, 1)
        return np.asarray(half - (x if side == "left" else -x) + 0 * z, np.float32)

    def _heart(self, x: Field, y: Field, z: Field) -> Field:
        a, b, c = self.heart
        px, py, pz = (x - 22) / a, (y + 26) / b, (z + 52) / c
        return np.asarray((np.sqrt(px**2 + py**2 + pz**2) - 1) * min(self.heart), np.float32)


def draw_body(rng: np.random.Generator) -> Body:
    return Body(
        heart=(float(rng.uniform(46, 54)), float(rng.uniform(36, 42)), float(rng.uniform(46, 54))),
        dome=float(rng.uniform(18, 32)),
        fat=float(rng.uniform(10, 20)),
    )


def lung_points(body: Body, side: str, count: int, rng: np.random.Generator) -> Floats:
    """(count, 3) points spread evenly over a lung, 3 mm and more below its surface."""
    cx, cy = LUNGS[side]
    low, high = np.array([cx - HALF[0], cy - HALF[1], BASE]), np.array([cx + HALF[0], cy + HALF[1], HALF[2]])
    kept: list[Floats] = []
    while sum(map(len, kept)) < count:
        points = rng.uniform(low, high, (4 * count, 3))
        x, y, z = points.T.astype(np.float32)
        kept.append(points[body.inside_lung(x, y, z, side) < -3])
    return np.concatenate(kept)[:count]


def paint_body(grid: Grid, body: Body, rng: np.random.Generator) -> tuple[Field, Field]:
    """(z, y, x) HU of everything but vessels and airways, and how much of each voxel is lung."""
    x, y, z = grid.axes()
    values = np.full(grid.shape, HU["air"], np.float32)
    skin = (np.sqrt((x / THORAX[0]) ** 2 + (y / THORAX[1]) ** 2) - 1) * THORAX[1] + 0 * z
    mix(values, filled(skin, grid.soft), HU["fat"])
    mix(values, filled(skin + np.float32(body.fat), grid.soft), HU["muscle"])
    _paint_bones(values, grid, body, skin)
    mix(values, filled(np.abs(x) / 26 * 20 + np.abs(y + 6) / 70 * 20 - 20 + 0 * z, 6 * grid.soft) * 0.8, -70.0)
    lung = np.zeros(grid.shape, np.float32)
    for side in LUNGS:
        np.maximum(lung, filled(body.inside_lung(x, y, z, side), grid.soft), out=lung)
    mix(values, lung, HU["lung"] + 0.45 * y + 12 * _patches(grid, rng))
    return values, lung


def _paint_bones(values: Field, grid: Grid, body: Body, skin: NDArray[Any]) -> None:
    """Ribs run down from the spine to the front; spine and sternum."""
    x, y, z = grid.axes()
    shell = np.abs(skin + np.float32(body.fat + 9)) - 4
    slope = 0.55 * (y - 60) + 0.05 * np.abs(x)
    rows = np.abs((z - slope) % 25.0 - 12.5) - 5.0
    behind_sternum = 30 - np.abs(x) - 200 * (y > -40)
    rib = np.maximum(np.maximum(shell, rows), behind_sternum)
    mix(values, filled(rib, grid.soft), HU["cortex"])
    mix(values, filled(rib + 2.0, grid.soft), HU["bone"])
    for middle, half in (((0.0, 66.0), (17.0, 14.0)), ((0.0, -body_front(body)), (17.0, 6.0))):
        shape = (np.sqrt(((x - middle[0]) / half[0]) ** 2 + ((y - middle[1]) / half[1]) ** 2) - 1) * min(half) + 0 * z
        mix(values, filled(shape, grid.soft), HU["cortex"])
        mix(values, filled(shape + 1.8, grid.soft), HU["bone"] - 60)
    canal = np.sqrt(x**2 + (y - 85) ** 2) - 7 + 0 * z
    mix(values, filled(canal, grid.soft), HU["blood"] - 10)


def body_front(body: Body) -> float:
    """Depth of the sternum in front of the middle."""
    return THORAX[1] - body.fat - 7


def paint_heart(values: Field, grid: Grid, body: Body, contrast: Contrast) -> None:
    """Muscle, the right chambers in the arteries' contrast, the left ones in the veins'."""
    a, b, c = body.heart
    parts = [
        ((22, -26, -52), (a, b, c), HU["heart"]),
        ((-4, -34, -44), (0.42 * a, 0.5 * b, 0.6 * c), 0.9 * contrast.artery),
        ((20, -42, -56), (0.55 * a, 0.36 * b, 0.55 * c), contrast.artery),
        ((38, -18, -58), (0.45 * a, 0.42 * b, 0.55 * c), contrast.vein),
        ((8, 2, -30), (0.6 * a, 0.3 * b, 0.36 * c), contrast.vein),
    ]
    for middle, half, value in parts:
        box, part = ellipsoid(grid, middle, half)
        mix(values[box], part, value)


def paint_large_vessels(values: Field, grid: Grid, contrast: Contrast) -> None:
    """Aorta with its arch, superior vena cava, pulmonary trunk."""
    for pieces, radius, value in (
        (
            ((-2, -22, -20), (-6, -26, 30), (0, -12, 58), (16, 18, 62), (24, 44, 50), (22, 50, -120)),
            12.5,
            contrast.aorta,
        ),
        (((*CAVA, 130), (*CAVA, -20)), 9.0, contrast.cava),
        (((16, -44, -32), (14, -36, -12), TRUNK), 13.0, contrast.artery),
    ):
        for start, end in pairwise(pieces):
            paint_tube(values, grid, start, end, radius, value)


def paint_tube(values: Field, grid: Grid, start: object, end: object, radius: float, value: float) -> None:
    first, last = np.array(start, float), np.array(end, float)
    box = grid.box(np.minimum(first, last) - radius - 3, np.maximum(first, last) + radius + 3)
    distance, _ = tube_distance(*grid.axes(box), first, last, (radius, radius))
    mix(values[box], filled(distance, grid.soft), value)


def paint_airways(values: Field, grid: Grid, airways: Tree, mucus: Tree) -> None:
    """Walls and air; `mucus` are branches that are filled."""
    for radius, value in ((TRACHEA + 1.5, HU["muscle"]), (TRACHEA, HU["air"])):
        paint_tube(values, grid, (0.0, 4.0, 130.0), CARINA, radius, value)
    for tree, inside in ((airways, HU["air"]), (mucus, HU["mucus"])):
        for wider, value in ((0.9, HU["wall"] if inside < 0 else HU["muscle"]), (0.0, inside)):
            part = np.zeros(grid.shape, np.float32)
            paint_tree(part, grid, tree, wider)
            mix(values, part, value)


def _patches(grid: Grid, rng: np.random.Generator) -> Field:
    """Slow random changes, of unit variance, nearly."""
    coarse = rng.standard_normal([max(int(n * s / 18), 2) for n, s in zip(grid.shape, grid.step, strict=True)])
    height, width = grid.shape[1:]
    planes = [cv2.resize(plane.astype(np.float32), (width, height)) for plane in coarse]
    place = np.linspace(0, len(planes) - 1.001, grid.shape[0])
    parts = ((planes[int(t)], planes[int(t) + 1], np.float32(t % 1)) for t in place)
    return np.stack([below + t * (above - below) for below, above, t in parts])
