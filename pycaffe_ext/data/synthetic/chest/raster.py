"""Tubes, ellipsoids and other shapes on a grid of voxels: how much of each voxel they fill, from 0 to 1.

Edges are soft over one voxel, so that partial volumes are about right; what is thinner than a voxel fills a part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data.synthetic.chest.tree import Tree

Field = NDArray[np.float32]
CHUNK = 2_000_000  # voxels of small tubes that are worked on at once


@dataclass(frozen=True)
class Grid:
    """shape : (z, y, x).   step : mm of a voxel in that order.   low : point (x, y, z) of the first voxel's middle."""

    shape: tuple[int, int, int]
    step: tuple[float, float, float]
    low: tuple[float, float, float]

    @cached_property
    def soft(self) -> float:
        """mm over which an edge is soft."""
        return float(np.mean(self.step))

    def axes(self, box: Sequence[slice] | None = None) -> tuple[Field, Field, Field]:
        """x, y, z in mm of the voxels of a box, to be broadcast."""
        parts = [
            (np.arange(n) * step + low).astype(np.float32)
            for n, step, low in zip(self.shape, self.step, self.low[::-1], strict=True)
        ]
        z, y, x = (part[cut] for part, cut in zip(parts, box or (slice(None),) * 3, strict=True))
        return x[None, None, :], y[None, :, None], z[:, None, None]

    def box(self, low: Any, high: Any) -> tuple[slice, slice, slice]:
        """Voxels between two corners (x, y, z); an empty box where there are none."""
        first = np.floor((np.asarray(low) - self.low)[::-1] / self.step).astype(int).tolist()
        last = (np.ceil((np.asarray(high) - self.low)[::-1] / self.step).astype(int) + 1).tolist()
        z, y, x = (slice(min(max(a, 0), n), min(max(b, 0), n)) for a, b, n in zip(first, last, self.shape, strict=True))
        return z, y, x

    def holds(self, points: NDArray[np.float64], margin: float) -> NDArray[np.bool_]:
        """(n,) whether (n, 3) points lie at least `margin` mm below the outer voxels."""
        high = np.add(self.low, np.subtract(self.shape[::-1], 1) * self.step[::-1])
        return np.asarray(((points >= np.add(self.low, margin)) & (points <= high - margin)).all(axis=1))


def filled(distance: NDArray[Any], soft: float) -> Field:
    """Part of each voxel that lies inside; distance : mm to the surface, negative inside."""
    return np.asarray(np.clip(0.5 - distance / np.float32(soft), 0, 1), np.float32)


def tube_distance(
    x: Any, y: Any, z: Any, start: Any, end: Any, radii: Any, shift: Any = (0.0, 0.0, 0.0)
) -> tuple[Field, Field]:
    """Distance in mm to the surface of a cone with round ends, negative inside, and the place along it, 0 to 1.

    shift : mm by which its axis is moved sideways.
    """
    start, along = np.asarray(start, np.float32) + np.asarray(shift, np.float32), np.asarray(end - start, np.float32)
    px, py, pz = x - start[0], y - start[1], z - start[2]
    square = max(float(along @ along), 1e-12)
    t = np.clip((px * along[0] + py * along[1] + pz * along[2]) / np.float32(square), 0, 1)
    gap = np.sqrt((px - t * along[0]) ** 2 + (py - t * along[1]) ** 2 + (pz - t * along[2]) ** 2)
    return gap - (np.float32(radii[0]) + t * np.float32(radii[1] - radii[0])), t


def paint_tree(field: Field, grid: Grid, tree: Tree, wider: float = 0.0) -> None:
    """Fill `field` with the vessels of a tree.   wider : mm added to each radius."""
    thick = tree.radius.max(axis=1) + wider > 1.5 * grid.soft
    for i in np.flatnonzero(thick):
        box = _box(grid, tree.start[i], tree.end[i], tree.radius[i].max() + wider)
        distance, _ = tube_distance(*grid.axes(box), tree.start[i], tree.end[i], tree.radius[i] + wider)
        np.maximum(field[box], filled(distance, grid.soft), out=field[box])
    _paint_thin(field, grid, tree.take(~thick), wider)


def _box(grid: Grid, start: Any, end: Any, radius: float) -> tuple[slice, slice, slice]:
    reach = radius + grid.soft
    return grid.box(np.minimum(start, end) - reach, np.maximum(start, end) + reach)


def _paint_thin(field: Field, grid: Grid, tree: Tree, wider: float) -> None:
    """Many thin vessels at once, by the voxels around points along each."""
    if not len(tree):
        return
    counts = np.ceil(tree.length / grid.soft).astype(int) + 1
    which = np.repeat(np.arange(len(tree)), counts)
    t = (np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)) / np.maximum(counts - 1, 1)[which]
    points = tree.start[which] + t[:, None] * (tree.end - tree.start)[which]
    radius = tree.radius[which, 0] + t * (tree.radius[which, 1] - tree.radius[which, 0]) + wider
    around = np.array([[i, j, k] for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)])
    around = np.concatenate([around, 2 * np.array([[i, j, k] for i, j, k in around if abs(i) + abs(j) + abs(k) == 1])])
    for first in range(0, len(points), CHUNK // len(around)):
        part = slice(first, first + CHUNK // len(around))
        _splat(field, grid, points[part], radius[part], around)


def _splat(field: Field, grid: Grid, points: Any, radius: Any, around: Any) -> None:
    """Spheres of at most a few voxels; one thinner than a voxel fills the part that its cross-section does."""
    voxels = np.rint((points - grid.low)[:, ::-1] / grid.step).astype(int)[:, None, :] + around
    inside = ((voxels >= 0) & (voxels < grid.shape)).all(axis=2)
    places = voxels[..., ::-1] * np.array(grid.step[::-1]) + grid.low
    distance = np.linalg.norm(places - points[:, None, :], axis=2) - radius[:, None]
    most = np.minimum(np.pi * radius**2 / grid.soft**2, 1)[:, None]
    value = np.minimum(np.clip(0.5 - distance / grid.soft, 0, 1), most).astype(np.float32)
    flat = np.ravel_multi_index(tuple(voxels[inside].T), grid.shape)
    np.maximum.at(field.reshape(-1), flat, value[inside])


def ellipsoid(grid: Grid, middle: Any, half: Any, turn: Any = None) -> tuple[tuple[slice, slice, slice], Field]:
    """The box around an ellipsoid and how much of each voxel of it is filled.   turn : (3, 3), rows are its axes."""
    half = np.asarray(half, float)
    reach = half.max() + grid.soft if turn is not None else half + grid.soft
    box = grid.box(np.asarray(middle) - reach, np.asarray(middle) + reach)
    x, y, z = grid.axes(box)
    parts = np.float32(x - middle[0]), np.float32(y - middle[1]), np.float32(z - middle[2])
    turn = np.eye(3) if turn is None else turn
    scaled = [
        sum(np.float32(row[i]) * parts[i] for i in range(3)) / np.float32(h) for row, h in zip(turn, half, strict=True)
    ]
    radius = np.sqrt(scaled[0] ** 2 + scaled[1] ** 2 + scaled[2] ** 2)
    return box, filled((radius - 1) * np.float32(half.min()), grid.soft)


def mix(values: Field, part: Field, value: Any) -> None:
    """Put `value` where a voxel is filled, in place, in proportion."""
    values += part * (np.float32(value) - values)
