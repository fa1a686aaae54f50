"""Candidates for clots: dark hollows in vessels, scored by how much they resemble a clot in contrast.

The score is the hand-crafted baseline.  Its weights were set by hand, on phantoms of other seeds than the tests'.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data.items import Floats
from pycaffe_ext.data.volumes.geometry import Hounsfield
from pycaffe_ext.detector.vessels.lungs import Step, find_lungs
from pycaffe_ext.detector.vessels.segmentation import DENSE, Values, Vessels, find_vessels
from pycaffe_ext.detector.vessels.toboggan import Places, slide

MOST = 60
BLUR = 0.6  # mm, deviation of the Gaussian before voxels slide
EDGE = 0.8  # mm: a voxel with lung within that counts as its brightest one, so that a vessel's edge is not dark
DARK = 0.5  # of the arteries' enhancement: darker ends are candidates
USUAL = 350.0  # HU, enhancement that is assumed where there is no contrast
APART = 5.0  # mm between two candidates
NEAR, FAR = 3.5, 7.0  # mm: radii of the balls whose parts are counted
WEIGHTS = {"volume": 1.0, "bright": 2.0, "rim": 2.0, "soft": -4.0, "hounsfield": 1.0}
CLOT = (55.0, 45.0)  # HU of clots as they are seen, and by how much they differ


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
    part = values[box]
    vessels = find_vessels(part, field.mask(box), step)
    found = candidates_in(part, vessels, step, most)
    corner = np.array([cut.start for cut in box])
    return Candidates(found.voxel + corner, found.score, found.volume)


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
    score = _scores(values, voxel, volume, step, level)
    order = np.argsort(-score, kind="stable")[:most]
    return Candidates(voxel[order], score[order], volume[order])


def _none() -> Candidates:
    return Candidates(np.zeros((0, 3), np.int64), np.zeros(0), np.zeros(0))


def potential_of(values: Hounsfield, step: Step) -> Values:
    """(z, y, x) HU on which voxels slide: smoothed, and beside lung the brightest of the closest neighbours."""
    from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter  # here: it takes a while to load

    size = [2 * max(0, round(EDGE / s)) + 1 for s in step]
    smooth = gaussian_filter(values, [BLUR / s for s in step], output=np.float32, mode="nearest", truncate=3.0)
    inside = minimum_filter((values > DENSE).view(np.uint8), size).view(bool)
    return np.where(inside, smooth, maximum_filter(smooth, size))


def merged(places: Places, volume: Floats, step: Step) -> tuple[Places, Floats]:
    """Ends of which none is nearer than APART to a larger one, which gets their volumes; the largest first."""
    from scipy.spatial import cKDTree

    order = np.argsort(-volume, kind="stable")
    places, volume = places[order], volume[order]
    near = cKDTree(places * step).query_ball_point(places * step, APART)
    owner = np.full(len(places), -1)
    for i, around in enumerate(near):
        if owner[i] < 0:
            free = [j for j in around if owner[j] < 0]
            owner[free] = i
    kept = np.flatnonzero(owner == np.arange(len(places)))
    return places[kept], np.bincount(owner, volume, len(places)).astype(np.float64)[kept]


def _scores(values: Hounsfield, voxel: Places, volume: Floats, step: Step, level: float) -> Floats:
    """(n,) from what lies in two balls around each: dark, contrast, soft tissue."""
    near, far = (_ball(values, voxel, step, radius, level) for radius in (NEAR, FAR))
    mean = near["mean"]
    features = {
        "volume": np.log1p(volume),
        "bright": near["bright"],
        "rim": far["bright"],
        "soft": far["soft"],
        "hounsfield": np.exp(-(((mean - CLOT[0]) / CLOT[1]) ** 2) / 2),
    }
    return np.asarray(sum(WEIGHTS[name] * value for name, value in features.items()))


def _ball(values: Hounsfield, voxel: Places, step: Step, radius: float, level: float) -> dict[str, Floats]:
    """Shares of the voxels around each place that are bright as contrast or dense without, and the mean of these."""
    reach = [int(radius / s) for s in step]
    offsets = np.argwhere(np.ones([2 * r + 1 for r in reach])) - reach
    offsets = offsets[np.linalg.norm(offsets * step, axis=1) <= radius]
    found: dict[str, list[NDArray[np.float64]]] = {"bright": [], "soft": [], "mean": []}
    for some in np.array_split(voxel, max(1, len(voxel) * len(offsets) // 2_000_000)):
        around = np.clip(some[:, None, :] + offsets, 0, np.array(values.shape) - 1)
        seen = values[tuple(np.moveaxis(around, -1, 0))].astype(np.float64)
        bright = seen > DARK * level
        soft = (seen > DENSE) & ~bright
        found["bright"].append(bright.mean(axis=1))
        found["soft"].append(soft.mean(axis=1))
        found["mean"].append((seen * soft).sum(axis=1) / np.maximum(soft.sum(axis=1), 1))
    return {name: np.concatenate(parts) if parts else np.zeros(0) for name, parts in found.items()}
