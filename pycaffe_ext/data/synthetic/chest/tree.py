"""Vascular trees that fill a lung: radii and branching angles after Murray (1926), places by the lung's own shape.

A vessel's blood is shared by the tissue that it perfuses: a branch divides its points of lung by a plane through its
direction, and each daughter's flow is its share of them.  Murray's law of least work gives radius and angle:

    r^3 = r1^3 + r2^3        cos a1 = (r^4 + r1^4 - r2^4) / (2 r^2 r1^2)

After it has left the fork at that angle, a daughter bends towards the middle of its tissue.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
REACH = (0.32, 0.5)  # length of a branch, as a part of the way to the middle of its tissue
LENGTHS = (2.2, 14.0)  # radii that a branch is long at least and at most
STRAIGHT = 0.4  # of a branch, before it bends
LEAST = 4  # points of lung that a branch needs to divide
STEEPEST = 1.3  # radians; two daughters of about the same size leave at 0.65
LEAST_COSINE = float(np.cos(STEEPEST))


@dataclass(frozen=True)
class Tree:
    """n segments.  start, end : (n, 3) points in mm.   radius : (n, 2) mm at both ends.
    parent : (n,) segment before it, -1 = a root.   order : (n,) forks between the root and the segment."""

    start: Floats
    end: Floats
    radius: Floats
    parent: Ints
    order: Ints

    def __len__(self) -> int:
        return len(self.start)

    @property
    def length(self) -> Floats:
        return np.asarray(np.linalg.norm(self.end - self.start, axis=1))

    @property
    def volume(self) -> Floats:
        """(n,) mm3, of truncated cones."""
        a, b = self.radius.T
        return np.asarray(np.pi / 3 * self.length * (a * a + a * b + b * b))

    def take(self, rows: Any) -> Tree:
        """The segments of these rows, as they are; `parent` still counts those of this tree."""
        return Tree(self.start[rows], self.end[rows], self.radius[rows], self.parent[rows], self.order[rows])


def murray_angles(radius: float, first: float, second: float) -> tuple[float, float]:
    """Angles in radians between a vessel's direction and its two daughters, all three by their radii."""
    cosines = ((radius**4 + a**4 - b**4) / (2 * radius**2 * a**2) for a, b in ((first, second), (second, first)))
    one, two = (float(np.arccos(min(max(c, LEAST_COSINE), 1.0))) for c in cosines)
    return one, two


def joined(trees: list[Tree]) -> Tree:
    """One tree of several, with its roots."""
    shifts = np.cumsum([0, *(len(tree) for tree in trees[:-1])])
    parents = [np.where(tree.parent < 0, -1, tree.parent + shift) for tree, shift in zip(trees, shifts, strict=True)]
    return Tree(
        np.concatenate([tree.start for tree in trees]),
        np.concatenate([tree.end for tree in trees]),
        np.concatenate([tree.radius for tree in trees]),
        np.concatenate(parents),
        np.concatenate([tree.order for tree in trees]),
    )


class _Growing:
    """Segments as they are added."""

    def __init__(self) -> None:
        self.rows: list[tuple[Floats, Floats, float, float, int, int]] = []

    def add(self, start: Floats, end: Floats, radii: tuple[float, float], parent: int, order: int) -> int:
        self.rows.append((start, end, *radii, parent, order))
        return len(self.rows) - 1

    def tree(self) -> Tree:
        start, end, first, last, parent, order = zip(*self.rows, strict=True)
        return Tree(
            np.array(start),
            np.array(end),
            np.column_stack([first, last]),
            np.array(parent, np.int64),
            np.array(order, np.int64),
        )


def grow(
    points: Floats, start: Floats, direction: Floats, radius: float, thinnest: float, rng: np.random.Generator
) -> Tree:
    """A tree from `start` into (n, 3) points of a lung, mm; branches end where they would be thinner than `thinnest`.

    radius, thinnest : mm, of the root and of the last branches.   direction : of the root, any length.
    """
    growing = _Growing()
    waiting = [(points, start, direction / np.linalg.norm(direction), radius, -1, 0)]
    while waiting:
        tissue, at, towards, size, parent, order = waiting.pop()
        middle = np.add.reduce(tissue, axis=0) / len(tissue)
        last, end, towards = _branch(growing, middle, at, towards, size, parent, order, rng)
        if len(tissue) < LEAST:
            continue
        for share, way, thin in _fork(tissue, middle, towards, size, rng):
            if thin >= thinnest:
                waiting.append((share, end, way, thin, last, order + 1))
    return growing.tree()


def _length(vector: Floats) -> float:
    """As np.linalg.norm has it, without what that asks first: vessels are many and vectors short."""
    return sqrt(vector.dot(vector))


def _branch(
    growing: _Growing,
    middle: Floats,
    at: Floats,
    towards: Floats,
    size: float,
    parent: int,
    order: int,
    rng: np.random.Generator,
) -> tuple[int, Floats, Floats]:
    """Adds a branch in two pieces; its last segment, its end and its direction there.   middle : of its tissue."""
    way = middle - at
    far = _length(way)
    long = min(max(rng.uniform(*REACH) * far, LENGTHS[0] * size), LENGTHS[1] * size)
    bend = at + STRAIGHT * long * towards
    turned = towards + 0.8 * way / max(far, 1e-6) + 0.06 * rng.standard_normal(3)
    turned = turned / _length(turned)
    end = bend + (1 - STRAIGHT) * long * turned
    first = growing.add(at, bend, (size, size), parent, order)
    return growing.add(bend, end, (size, size), first, order), end, turned


def _fork(
    tissue: Floats, middle: Floats, towards: Floats, size: float, rng: np.random.Generator
) -> list[tuple[Floats, Floats, float]]:
    """(points, direction, radius) of two daughters; the plane between them holds the direction and halves the tissue
    across its longest side, not quite in the middle."""
    away = tissue - middle
    away -= (away @ towards)[:, None] * towards
    _, vectors = np.linalg.eigh(away.T @ away)
    across = vectors[:, -1]
    place = away @ across
    few = min(max(round(rng.uniform(0.3, 0.7) * len(tissue)), 1), len(tissue) - 1)
    order = np.argpartition(place, few)
    shares = tissue[order[few:]], tissue[order[:few]]
    radii = [size * (len(share) / len(tissue)) ** (1 / 3) for share in shares]
    angles = murray_angles(size, *radii)
    out = []
    for share, sign, thin, angle in zip(shares, (1, -1), radii, angles, strict=True):
        side = sign * across - sign * (across @ towards) * towards
        side /= max(_length(side), 1e-9)
        out.append((share, np.cos(angle) * towards + np.sin(angle) * side, thin))
    return out
