"""What looks like a clot and is none: lymph nodes, mixing of blood, beam hardening beside the cava, motion.

Mucus in bronchi is painted with the airways, partial volume at forks comes from the voxels themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pycaffe_ext.data.synthetic.chest.body import CAVA, HU
from pycaffe_ext.data.synthetic.chest.raster import Field, Grid, ellipsoid, mix
from pycaffe_ext.data.synthetic.chest.tree import Floats, Tree

NODES = (3, 9)  # lymph nodes beside the arteries of the hila
NODE = (2.5, 7.0)  # mm, half of their short axis and of their long one
MIXING = (0, 3)  # places where unmixed blood flows
STREAKS = (5, 9)  # of beam hardening


@dataclass(frozen=True)
class Node:
    middle: Floats
    half: Floats
    turn: Floats


def draw_nodes(arteries: Tree, rng: np.random.Generator) -> list[Node]:
    """Ellipsoids that touch large arteries from outside."""
    large = np.flatnonzero((arteries.radius[:, 0] > 2.5) & (arteries.order >= 0))
    found = []
    for _ in range(int(rng.integers(*NODES))):
        i = int(rng.choice(large))
        half = np.sort(rng.uniform(*NODE, 3))
        way = np.cross(arteries.end[i] - arteries.start[i], rng.standard_normal(3))
        way /= max(float(np.linalg.norm(way)), 1e-9)
        middle = (arteries.start[i] + arteries.end[i]) / 2 + way * (arteries.radius[i].max() + 0.85 * half[0])
        along = arteries.end[i] - arteries.start[i]
        along /= max(float(np.linalg.norm(along)), 1e-9)
        found.append(Node(middle, half, np.stack([way, np.cross(along, way), along])))
    return found


def paint_nodes(values: Field, grid: Grid, nodes: list[Node], rng: np.random.Generator) -> None:
    for node in nodes:
        box, part = ellipsoid(grid, node.middle, node.half, node.turn)
        mix(values[box], part, HU["node"] + rng.uniform(-15, 25))


def flow(grid: Grid, arteries: Tree, rng: np.random.Generator) -> Field:
    """(z, y, x) factor of enhancement: blood that is not yet mixed, smooth and without an edge."""
    factor = np.ones(grid.shape, np.float32)
    large = np.flatnonzero(arteries.radius[:, 0] > 3)
    for _ in range(int(rng.integers(*MIXING, endpoint=True))):
        middle = arteries.start[int(rng.choice(large))]
        size = float(rng.uniform(6, 14))
        x, y, z = grid.axes(box := grid.box(middle - 3 * size, middle + 3 * size))
        square = (x - middle[0]) ** 2 + (y - middle[1]) ** 2 + (z - middle[2]) ** 2
        factor[box] *= 1 - np.float32(rng.uniform(0.25, 0.5)) * np.exp(-square / np.float32(2 * size**2))
    return factor


def paint_beam_hardening(values: Field, grid: Grid, cava: float, rng: np.random.Generator) -> None:
    """Dark and bright streaks that fan out from the dense cava, in slices above the heart, where there is tissue."""
    x, y, z = grid.axes()
    dx, dy = x - CAVA[0], y - CAVA[1]
    angle, far = np.arctan2(dy, dx), np.hypot(dx, dy)
    pattern = np.zeros(angle.shape, np.float32)
    for _ in range(int(rng.integers(*STREAKS))):
        middle, width = rng.uniform(-np.pi, np.pi), rng.uniform(0.03, 0.1)
        turned = np.abs(np.angle(np.exp(1j * (angle - middle)))).astype(np.float32)
        pattern += np.float32(rng.choice([-1.0, -0.7, 0.6])) * np.exp(-((turned / np.float32(width)) ** 2))
    strength = np.float32(0.14 * cava * rng.uniform(0.5, 1.0)) * np.exp(-far / np.float32(28))
    height = np.clip((z + 15) / 20, 0, 1)
    values += (pattern * strength * (far > 9)) * height * (values > -500)


def moved(values: Field, grid: Grid, rng: np.random.Generator) -> Field:
    """Some slices, around the heart or the bases, seen twice: breath or pulse during a rotation."""
    if rng.uniform() > 0.5:
        return values
    z = grid.axes()[2]
    middle, width = float(rng.uniform(-70, 10)), float(rng.uniform(8, 20))
    part = np.float32(rng.uniform(0.3, 0.5)) * np.exp(-(((z - middle) / width) ** 2))
    shift = round(float(rng.uniform(1.5, 4)) / grid.step[1])
    return values + part * (np.roll(values, shift, axis=1) - values)
