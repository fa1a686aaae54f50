"""Edges vote along their normals for the region that they enclose (paper's reference [42])."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pycaffe_ext.detector.edges import Edges, View, sample
from pycaffe_ext.detector.settings import Detector

SECTORS = 8  # four orientations of the normal, each voted from its two sides
ANGLES = np.arange(SECTORS) * (2 * np.pi / SECTORS)
UNITS = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1).astype(np.float32)
MOMENTS = np.hstack([UNITS, np.ones((SECTORS, 1), np.float32)])
FINEST = 1 / 240  # share of the field's longest side: cells of a map of votes are no smaller
MOST_PEAKS = 150  # per frame, before suppression
TYPICAL = 0.15  # radius of a middling polyp as a share of the frame's longest side


@dataclass(frozen=True)
class Peaks:
    """n maxima of the vote, float32 arrays: centre x, y and radius r in pixels, score, best first."""

    x: np.ndarray
    y: np.ndarray
    r: np.ndarray
    score: np.ndarray

    def at(self, index: slice) -> Peaks:
        return Peaks(self.x[index], self.y[index], self.r[index], self.score[index])


def enclosure(sides: np.ndarray) -> np.ndarray:
    """Combine the votes from the eight sides, (..., 8) in 0..1, to one number (...) in 0..1.

    The geometric means of all pairs of sides, weighted by 1 - cos of the angle between them: opposite sides count
    most, a single side gives 0 (so a line never wins), all eight sides in full give 1.
    """
    x, y, total = np.moveaxis(np.sqrt(sides) @ MOMENTS, -1, 0)
    return np.sqrt(np.maximum(total**2 - x**2 - y**2, 0)) / SECTORS


def cast(edges: Edges, scene: np.ndarray, radius: float, settings: Detector) -> tuple[np.ndarray, float]:
    """Votes of all edges for centres at `radius` pixels: (map (h, w) in 0..1, cell), cells of `cell` pixels.

    Each edge votes along its normal with its weight, smeared by a Gaussian of settings.spread * radius. A side whose
    boundary would lie outside `scene` counts at least settings.unseen.
    """
    spread = settings.spread
    cell = max(1.0, FINEST * max(scene.shape), radius * spread / 2)
    height, width = (int(np.ceil(n / cell)) for n in scene.shape)
    sides = _ballots(edges, radius, cell, (height, width))
    sigma = radius * spread / cell
    # The kernel has peak 1: a perfect arc of an eighth of the circle casts its length in votes on the centre.
    gain = 2 * np.pi * sigma**2 / (2 * np.pi * radius / SECTORS)
    smeared = cv2.GaussianBlur(
        np.ascontiguousarray(sides.transpose(1, 2, 0)), (0, 0), sigma, borderType=cv2.BORDER_CONSTANT
    )
    counted = smeared * gain
    np.minimum(counted, 1, out=counted)
    np.maximum(counted, settings.unseen, out=counted, where=_blind(scene, radius, cell, (height, width)))
    return enclosure(counted), cell


def _ballots(edges: Edges, radius: float, cell: float, shape: tuple[int, int]) -> np.ndarray:
    """Votes along the normals, counted per side and cell, float32 (8, h, w)."""
    height, width = shape
    col = np.floor((edges.x + radius * edges.nx + 0.5) / cell).astype(np.int64)
    row = np.floor((edges.y + radius * edges.ny + 0.5) / cell).astype(np.int64)
    seen_from = np.arctan2(-edges.ny, -edges.nx)
    side = np.round(seen_from / (2 * np.pi / SECTORS)).astype(np.int64) % SECTORS
    ok = (col >= 0) & (col < width) & (row >= 0) & (row < height)
    index = (side[ok] * height + row[ok]) * width + col[ok]
    votes = np.bincount(index, weights=edges.weight[ok], minlength=SECTORS * height * width)
    return votes.reshape(SECTORS, height, width).astype(np.float32)


def _blind(scene: np.ndarray, radius: float, cell: float, shape: tuple[int, int]) -> np.ndarray:
    """For each cell and side, whether a boundary at `radius` on that side would lie outside the scene, (h, w, 8)."""
    framed = np.pad(scene, 1)
    rows, cols = ((np.arange(n) + 0.5) * cell - 0.5 for n in shape)
    out = np.empty((*shape, SECTORS), bool)
    for k, (ux, uy) in enumerate(UNITS):
        row, col = (
            np.clip(np.round(middle + radius * step), -1, size).astype(int) + 1
            for middle, step, size in zip((rows, cols), (uy, ux), scene.shape, strict=True)
        )
        np.logical_not(framed[row].take(col, axis=1), out=out[..., k])
    return out


def radii(scene: np.ndarray, settings: Detector) -> np.ndarray:
    """The radii that are voted for, pixels, from the smallest."""
    return np.geomspace(settings.smallest, settings.largest, settings.radii) * max(scene.shape)


def at(votes: np.ndarray, cell: float, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The vote at x, y (pixels) of a map (h, w) with cells of `cell` pixels; 0 outside it."""
    columns, rows = ((a[:, None] + 0.5) / cell - 0.5 for a in (x, y))
    return sample(votes, columns, rows)[:, 0]


def find_peaks(view: View, edges: Edges, settings: Detector) -> Peaks:
    """Local maxima of the votes for every radius whose centre lies in the scene, at most MOST_PEAKS.

    view: what the edges were found in. The score is the vote times `_context`.
    """
    found = [_maxima(edges, view.scene, radius, settings) for radius in radii(view.scene, settings)]
    x, y, r, vote = np.concatenate(found, axis=1)
    score = vote * _context(view, x, y, r, settings)
    order = np.lexsort((x, y, r, -score))[:MOST_PEAKS]
    return Peaks(*(column[order].astype(np.float32) for column in (x, y, r, score)))


def _maxima(edges: Edges, scene: np.ndarray, radius: float, settings: Detector) -> np.ndarray:
    """Rows x, y, radius, vote (4, n) of the maxima at one radius."""
    votes, cell = cast(edges, scene, radius, settings)
    top = votes >= cv2.dilate(votes, np.ones((3, 3), np.uint8))
    row, col = np.nonzero(top & (votes > settings.vote_floor))
    x, y = (col + 0.5) * cell - 0.5, (row + 0.5) * cell - 0.5
    yi, xi = (np.clip(np.round(a).astype(int), 0, n - 1) for a, n in zip((y, x), scene.shape, strict=True))
    rows = np.stack([x, y, np.full(len(x), radius), votes[row, col]])
    return rows[:, scene[yi, xi]]


def _context(view: View, x: np.ndarray, y: np.ndarray, r: np.ndarray, settings: Detector) -> np.ndarray:
    """What speaks for a polyp besides its edges, a factor (n,): it is lighter than its surroundings, and not huge.

    Lightness inside is the mean over the square of 0.6 radii about the centre, around over that of 1.5 radii less
    the inner one, both within the scene.
    """
    seen = view.scene.astype(np.float32)
    light = cv2.cvtColor(view.image, cv2.COLOR_BGR2LAB)[..., 0] * seen
    total, count = cv2.integral(light), cv2.integral(seen)
    (inner, n_inner), (outer, n_outer) = (
        (_in_square(total, x, y, f * r), _in_square(count, x, y, f * r)) for f in (0.6, 1.5)
    )
    inside = inner / np.maximum(n_inner, 1)
    around = (outer - inner) / np.maximum(n_outer - n_inner, 1)
    contrast = np.clip(inside / np.maximum(around, 1), 0.3, 1.5)
    return contrast**settings.contrast * (TYPICAL * max(seen.shape) / r) ** settings.shrink


def _in_square(integral: np.ndarray, x: np.ndarray, y: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Sum over the square of side 2 * half about x, y, clipped to the image, from its integral image."""
    height, width = integral.shape
    left, right = (np.clip(np.round(x + d * half).astype(int), 0, width - 1) for d in (-1, 1))
    top, bottom = (np.clip(np.round(y + d * half).astype(int), 0, height - 1) for d in (-1, 1))
    return integral[bottom, right] - integral[top, right] - integral[bottom, left] + integral[top, left]


def voters_box(edges: Edges, peaks: Peaks, settings: Detector) -> np.ndarray:
    """Boxes of the edges that voted for each peak, float32 (n, 4) [x, y, w, h].

    Per side of the peak, the reach of the boundary is the weighted mean distance of the edges whose normal passes
    the centre within settings.tolerance, at a distance near the peak's radius; a side without voters keeps the
    radius. The box encloses the eight points so reached.
    """
    weight, distance, side = _voters(edges, peaks, settings)
    n = len(peaks.x)
    index = (np.arange(n)[:, None] * SECTORS + side).ravel()
    total = np.bincount(index, weight.ravel(), n * SECTORS).reshape(n, SECTORS)
    reach = np.bincount(index, (weight * distance).ravel(), n * SECTORS).reshape(n, SECTORS)
    prior = 0.1 * peaks.r[:, None]
    reach = (reach + prior * peaks.r[:, None]) / (total + prior)
    px, py = (middle[:, None] + reach * UNITS[:, k] for k, middle in enumerate((peaks.x, peaks.y)))
    left, top = px.min(axis=1), py.min(axis=1)
    return np.stack([left, top, px.max(axis=1) - left, py.max(axis=1) - top], axis=1).astype(np.float32)


def _voters(edges: Edges, peaks: Peaks, settings: Detector) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How much each edge belongs to each peak, its distance (pixels) and the side it lies on, all (peaks, edges)."""
    dx, dy = edges.x - peaks.x[:, None], edges.y - peaks.y[:, None]
    distance = np.hypot(dx, dy) + np.float32(1e-3)
    towards = -(dx * edges.nx + dy * edges.ny) / distance
    # 2 (1 - cos a) is a**2 for small angles.
    aligned = np.exp((towards - 1) / settings.tolerance**2)
    near = np.exp(-0.5 * (np.log(distance / peaks.r[:, None]) / 0.35) ** 2)
    weight = edges.weight * np.where(towards > 0, 1, settings.dark) * aligned * near
    side = np.round(np.arctan2(dy, dx) / (2 * np.pi / SECTORS)).astype(np.int64) % SECTORS
    return weight, distance, side
