"""Candidates for clots: dark hollows in vessels, scored by how much they resemble a clot in contrast.

The score is the hand-crafted baseline.  Its weights were set on phantoms of another seed and on training and validation
patients of the default one, never on its test patients.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data.items import Floats
from pycaffe_ext.data.volumes.geometry import Hounsfield
from pycaffe_ext.detector.vessels.grid import coarsened
from pycaffe_ext.detector.vessels.lungs import Mask, Step, find_lungs
from pycaffe_ext.detector.vessels.segmentation import DENSE, Values, Vessels, find_vessels
from pycaffe_ext.detector.vessels.toboggan import Places, slide

MOST = 60
BLUR = 0.6  # mm, deviation of the Gaussian before voxels slide
EDGE = 0.8  # mm: a voxel with lung within that counts as its brightest one, so that a vessel's edge is not dark
DARK = 0.5  # of the arteries' enhancement: darker ends are candidates
USUAL = 350.0  # HU, enhancement that is assumed where there is no contrast
TOGETHER = 5.0  # mm between two ends that are one
APART = 12.0  # mm between two candidates: a large clot has many ends, and small ones need a place as well
CORE, NEAR, FAR = 2.0, 3.5, 7.0  # mm: radii of the balls whose parts are counted
CLOT = (10, 110)  # HU of clots as they are seen
LUNG = -500  # HU: darker is lung
AT_ONCE = 2_000_000  # voxels that are looked up
WEIGHTS = {"volume": 1.0, "bright": 5.0, "beside": 20.0, "clot": 2.5, "alone": 2.5, "inside": 18.0}


@dataclass(frozen=True)
class Candidates:
    """voxel : (n, 3) places z, y, x.   score : (n,), higher = more clot-like.   volume : (n,) mm3 of dark voxels that
    slide there.   The highest score comes first."""

    voxel: Places
    score: Floats
    volume: Floats

    def __len__(self) -> int:
        return len(self.score)


def find_candidates(values: Hounsfield, step: Step, most: int = MOST) -> Candidates:
    """Up to `most` candidates in (z, y, x) HU; none where there are no lungs."""
    field = find_lungs(values, step)
    if not field.coarse.any():
        return _none()
    box = field.box()
    cells = coarsened(values[box], step)
    vessels = find_vessels(cells.values, cells.mask(field.mask(box)), cells.step)
    found = candidates_in(cells.values, vessels, cells.step, most)
    corner = np.array([cut.start for cut in box])
    return Candidates(cells.voxels(found.voxel) + corner, found.score, found.volume)


def candidates_in(values: Hounsfield, vessels: Vessels, step: Step, most: int = MOST) -> Candidates:
    """Candidates in vessels that are known."""
    level = USUAL if np.isnan(vessels.enhancement) else vessels.enhancement
    potential = potential_of(values, step)
    places, end = slide(potential, vessels.mask)
    dark = potential[vessels.mask] < DARK * level
    volume = np.bincount(end[dark], minlength=len(places)) * float(np.prod(step))
    ends = np.flatnonzero(volume > 0)
    if not len(ends):
        return _none()
    voxel, volume = merged(places[ends], volume[ends], step)
    score = _scores(values, vessels.field, voxel, volume, step, level)
    chosen = spread(voxel, score, step)[:most]
    return Candidates(voxel[chosen], score[chosen], volume[chosen])


def _none() -> Candidates:
    return Candidates(np.zeros((0, 3), np.int64), np.zeros(0), np.zeros(0))


def potential_of(values: Hounsfield, step: Step) -> Values:
    """(z, y, x) HU on which voxels slide: smoothed, and beside lung the brightest of the closest neighbours."""
    from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter  # here: it takes a while to load

    size = [2 * max(1, round(EDGE / s)) + 1 for s in step]  # one voxel is blurred in any case
    smooth = gaussian_filter(values, [BLUR / s for s in step], output=np.float32, mode="nearest", truncate=3.0)
    inside = minimum_filter((values > DENSE).view(np.uint8), size).view(bool)
    return np.where(inside, smooth, maximum_filter(smooth, size))


def merged(places: Places, volume: Floats, step: Step) -> tuple[Places, Floats]:
    """Ends of which none is nearer than TOGETHER to a larger one, which gets their volumes; the largest first."""
    from scipy.spatial import cKDTree

    order = np.argsort(-volume, kind="stable")
    places, volume = places[order], volume[order]
    near = cKDTree(places * step).query_ball_point(places * step, TOGETHER)
    owner = np.full(len(places), -1)
    for i, around in enumerate(near):
        if owner[i] < 0:
            free = [j for j in around if owner[j] < 0]
            owner[free] = i
    kept = np.flatnonzero(owner == np.arange(len(places)))
    return places[kept], np.bincount(owner, volume, len(places)).astype(np.float64)[kept]


def spread(places: Places, score: Floats, step: Step) -> Places:
    """Rows of places of which none is nearer than APART to one with a higher score; the highest first."""
    from scipy.spatial import cKDTree

    order = np.argsort(-score, kind="stable")
    near = cKDTree(places[order] * step).query_ball_point(places[order] * step, APART)
    free, kept = np.ones(len(order), bool), []
    for i, around in enumerate(near):
        if free[i]:
            kept.append(i)
            free[around] = False
    return order[kept]


def _scores(values: Hounsfield, field: Mask, voxel: Places, volume: Floats, step: Step, level: float) -> Floats:
    """(n,) from what lies in balls around each; field : of the lungs."""
    contrast = values > DARK * level
    bright = share_around(contrast, voxel, step, NEAR)
    as_clot = (values > CLOT[0]) & (values < CLOT[1])
    features = {
        "volume": np.log1p(volume),
        "bright": bright,
        "beside": bright * share_around((values > DENSE) & ~contrast, voxel, step, NEAR),  # a defect in contrast
        "clot": share_around(as_clot, voxel, step, NEAR),
        "alone": share_around(as_clot, voxel, step, CORE) * share_around(values < LUNG, voxel, step, FAR),
        "inside": share_around(field, voxel, step, FAR),
    }
    return np.asarray(sum(WEIGHTS[name] * value for name, value in features.items()))


def share_around(mask: Mask, voxel: Places, step: Step, radius: float) -> NDArray[np.float64]:
    """(n,) share of the voxels within `radius` mm of each that are in a mask; beyond the array its outermost go on."""
    reach = [int(radius / s) for s in step]
    offsets = np.argwhere(np.ones([2 * r + 1 for r in reach])) - reach
    offsets = offsets[np.linalg.norm(offsets * step, axis=1) <= radius]
    found = np.empty(len(voxel))
    at_once = max(1, AT_ONCE // len(offsets))
    for first in range(0, len(voxel), at_once):
        part = slice(first, first + at_once)
        around = np.clip(voxel[part, None, :] + offsets, 0, np.array(mask.shape) - 1)
        found[part] = mask[tuple(np.moveaxis(around, -1, 0))].mean(axis=1)
    return found
