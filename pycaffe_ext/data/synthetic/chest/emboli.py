"""Clots: how many and how large they are, which part of the arterial tree they lie in, and their four shapes.

Numbers and volumes are drawn from distributions fitted to the 95 clots (26-connected parts) in the published masks of
FUMPE (Masoudi et al. 2018): 33 of its 35 patients have clots, 1 to 15 each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data.synthetic.chest.raster import Field, Grid, filled, tube_distance
from pycaffe_ext.data.synthetic.chest.tree import Floats, Ints, Tree

WITHOUT = 2 / 35  # patients without a clot
BEYOND_FIRST = (0.637, 0.253)  # negative binomial of the clots beyond the first (moments: mean 1.88, variance 7.42)
MOST = 15
VOLUME = (6.825, 2.253)  # mean and deviation of the logarithm of a clot's volume in mm3
VOLUMES = (8.0, 30000.0)  # mm3 that are drawn: FUMPE's smallest are single voxels, its largest 35 000
KINDS = ("central", "eccentric", "occlusion", "web")
SHARES = (0.35, 0.3, 0.25, 0.1)  # of the kinds
FILLS = {"central": 0.42, "eccentric": 0.5, "occlusion": 1.5, "web": 0.35}  # of the vessel's volume along the clot
SLENDER = (5.0, 0.45)  # length of a clot in radii of its vessel: median, deviation of the logarithm
CORE = 0.65  # radius of a central clot, of the vessel's
OFFSET, LENS = 0.75, 0.95  # an eccentric clot: where its axis lies and its radius, of the vessel's
WIDER = 1.22  # an occluded vessel's radius, of its usual one
WEB = 0.9  # mm, half the thickness of a web
HU = (32.0, 75.0)  # of clots
APART = 6.0  # mm between two clots


@dataclass(frozen=True)
class Embolus:
    """kind : one of KINDS.   segments : (k,) of the arterial tree, connected, from the heart outwards.
    last : (k,) part of each that is filled, from its start.   side : unit vector, to which side of the vessel it lies.
    """

    kind: str
    segments: Ints
    last: Floats
    side: Floats
    hounsfield: float
    volume: float


def draw_count(rng: np.random.Generator) -> int:
    """Clots of a patient."""
    if rng.uniform() < WITHOUT:
        return 0
    return int(min(1 + rng.negative_binomial(*BEYOND_FIRST), MOST))


def draw_volumes(count: int, rng: np.random.Generator) -> Floats:
    """(count,) mm3; what lies outside VOLUMES is drawn again."""
    found = np.exp(rng.normal(*VOLUME, count))
    while (wrong := (found < VOLUMES[0]) | (found > VOLUMES[1])).any():
        found[wrong] = np.exp(rng.normal(*VOLUME, int(wrong.sum())))
    return found


def draw_emboli(tree: Tree, volumes: Floats, allowed: NDArray[np.bool_], rng: np.random.Generator) -> list[Embolus]:
    """A clot for each volume, the largest first, in vessels where it is about SLENDER times as long as wide.

    allowed : (n,) segments of the tree in which a clot may begin; it never begins in a root, across the trunk's fork.
    A clot lies at least APART from the others; one for which no such place is found after some tries is left out.
    """
    children = _children(tree)
    allowed = allowed & (tree.parent >= 0)
    if not allowed.any():
        return []
    found: list[Embolus] = []
    taken = np.zeros((0, 3))
    for volume in np.sort(volumes)[::-1]:
        kind = str(rng.choice(KINDS, p=SHARES))
        for _ in range(30):
            embolus = _placed(tree, children, allowed, kind, float(volume), rng)
            places = _places(tree, embolus)
            if not len(taken) or _nearest(places, taken) > APART + 2 * tree.radius[embolus.segments[0], 0]:
                found.append(embolus)
                taken = np.concatenate([taken, places])
                break
    return found


def _placed(
    tree: Tree,
    children: list[list[int]],
    allowed: NDArray[np.bool_],
    kind: str,
    volume: float,
    rng: np.random.Generator,
) -> Embolus:
    long = SLENDER[0] * np.exp(rng.normal(0, SLENDER[1]))
    wanted = (volume / (np.pi * FILLS[kind] * long)) ** (1 / 3)
    if kind == "web":
        wanted = max(wanted, 2.5)
    misfit = np.abs(np.log(tree.radius[:, 0] / wanted))
    misfit[~allowed] = np.inf
    nearest = np.flatnonzero(misfit <= max(0.15, float(misfit.min()) + 1e-9))
    first = int(rng.choice(nearest))
    segments, last = _filled_to(tree, children, first, volume / FILLS[kind])
    side = rng.standard_normal(3)
    return Embolus(kind, segments, last, side / np.linalg.norm(side), float(rng.uniform(*HU)), volume)


def _filled_to(tree: Tree, children: list[list[int]], first: int, room: float) -> tuple[Ints, Floats]:
    """Segments from `first` outwards, nearest first, until they hold `room` mm3; parts of them that are filled."""
    segments, last, waiting = [], [], [first]
    while waiting and room > 0:
        at = waiting.pop(0)
        size = float(tree.volume[at])
        segments.append(at)
        last.append(min(1.0, room / max(size, 1e-9)))
        room -= size
        waiting += children[at]
    return np.array(segments, np.int64), np.array(last)


def _children(tree: Tree) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in range(len(tree))]
    for i, parent in enumerate(tree.parent):
        if parent >= 0:
            found[parent].append(i)
    return found


def _places(tree: Tree, embolus: Embolus) -> Floats:
    start, end = tree.start[embolus.segments], tree.end[embolus.segments]
    return np.concatenate([start, (start + end) / 2, end])


def _nearest(a: Floats, b: Floats) -> float:
    return float(np.linalg.norm(a[:, None] - b[None], axis=2).min())


def paint_embolus(grid: Grid, tree: Tree, embolus: Embolus, lumen: Field) -> tuple[tuple[slice, slice, slice], Field]:
    """A box and how much of each of its voxels the clot fills; an occlusion widens `lumen` in place."""
    start, end, radius = (part[embolus.segments] for part in (tree.start, tree.end, tree.radius))
    end = start + embolus.last[:, None] * (end - start)
    reach = WIDER * radius.max() + 2 * grid.soft
    box = grid.box(np.minimum(start, end).min(axis=0) - reach, np.maximum(start, end).max(axis=0) + reach)
    axes = grid.axes(box)
    clot = np.full([part.stop - part.start for part in box], np.float32(1e3))
    wide = clot.copy()
    for a, b, radii in zip(start, end, radius, strict=True):
        np.minimum(clot, _distance(axes, a, b, radii, embolus), out=clot)
        if embolus.kind == "occlusion":
            np.minimum(wide, tube_distance(*axes, a, b, WIDER * radii)[0], out=wide)
    np.maximum(lumen[box], filled(wide, grid.soft), out=lumen[box])
    return box, np.minimum(filled(clot, grid.soft), lumen[box])


def _distance(axes: tuple[Field, Field, Field], a: Floats, b: Floats, radii: Floats, embolus: Embolus) -> Field:
    """mm to the surface of the clot in one segment."""
    along = (b - a) / max(float(np.linalg.norm(b - a)), 1e-9)
    side = embolus.side - (embolus.side @ along) * along
    side /= max(float(np.linalg.norm(side)), 1e-9)
    if embolus.kind == "central":
        return tube_distance(*axes, a, b, CORE * radii)[0]
    if embolus.kind == "eccentric":
        return tube_distance(*axes, a, b, LENS * radii, OFFSET * radii.mean() * side)[0]
    tube = tube_distance(*axes, a, b, (WIDER if embolus.kind == "occlusion" else 1.0) * radii)[0]
    if embolus.kind == "occlusion":
        return tube
    x, y, z = (np.float32(p) - np.float32(q) for p, q in zip(axes, a, strict=True))
    plate = np.abs(x * np.float32(side[0]) + y * np.float32(side[1]) + z * np.float32(side[2])) - np.float32(WEB)
    return np.asarray(np.maximum(tube, plate))
