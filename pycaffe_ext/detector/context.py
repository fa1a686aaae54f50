"""Mid-level features of an edge pixel: what the first stage makes of its surroundings, seen in its own direction."""

from __future__ import annotations

import cv2
import numpy as np

from pycaffe_ext.detector.edges import Edges, sample
from pycaffe_ext.detector.labels import AHEAD, CLASSES
from pycaffe_ext.detector.settings import Detector
from pycaffe_ext.detector.voting import at, cast, radii

ACROSS = np.arange(-2, 3)  # cells of the neighbourhood across the normal
ALONG = np.arange(-1, 5)  # and along it: more of what lies ahead
CELLS = (0.025, 0.07)  # width of a cell, as shares of the longest side
FLAT = 0.02  # edge pixels per pixel: where there are fewer, averages over them fade to 0


def surroundings(
    edges: Edges, probability: np.ndarray, scene: np.ndarray, settings: Detector, rows: np.ndarray | slice = slice(None)
) -> np.ndarray:
    """Features of directed edge pixels, float32 (n, k): of themselves, of cells around, and of votes ahead.

    edges: as `edges.both_ways` gives them, weighted by AHEAD's probability. probability: float32 (n, CLASSES), what
    the first stage gives them. rows: those of the edges that are described; all of them are surroundings.
    Of each cell: how boundaries in it lie to the pixel's own direction, mean probability of each class, density.
    """
    turned = np.roll(probability, len(edges) // 2, axis=0)
    own, maps = edges.at(rows), _maps(edges, probability, scene.shape)
    itself = np.hstack([probability[rows], turned[rows]])
    return np.hstack([itself, *_cells(own, maps), _votes(edges, own, scene, settings)])


def _cells(edges: Edges, maps: list[np.ndarray]) -> list[np.ndarray]:
    shape = maps[0].shape
    along, across = (grid.ravel().astype(np.float32) for grid in np.meshgrid(ALONG, ACROSS))
    found = []
    for cell in (share * max(shape) for share in CELLS):
        blurred = (cv2.GaussianBlur(part, (0, 0), 0.5 * cell, borderType=cv2.BORDER_CONSTANT) for part in maps)
        smooth = np.dstack(list(blurred))
        mean = smooth / (smooth[..., -1:] + FLAT)
        x = edges.x[:, None] + cell * (along * edges.nx[:, None] - across * edges.ny[:, None])
        y = edges.y[:, None] + cell * (along * edges.ny[:, None] + across * edges.nx[:, None])
        seen = np.concatenate([sample(mean[..., i : i + 4], x, y) for i in range(0, mean.shape[2], 4)], axis=2)
        vx, vy = seen[..., 0].copy(), seen[..., 1].copy()
        seen[..., 0] = vx * edges.nx[:, None] + vy * edges.ny[:, None]
        seen[..., 1] = vy * edges.nx[:, None] - vx * edges.ny[:, None]
        found.append(seen.reshape(len(edges), along.size * seen.shape[2]))
    return found


def _maps(edges: Edges, probability: np.ndarray, shape: tuple[int, int]) -> list[np.ndarray]:
    """Images (H, W) float32: where boundaries point (x, y), how likely each class is but AHEAD's twin, density."""
    index = edges.y.astype(int) * shape[1] + edges.x.astype(int)
    ahead = probability[:, AHEAD]
    columns = [ahead * edges.nx, ahead * edges.ny, ahead, *(probability[:, k] / 2 for k in range(2, CLASSES)), 0.5]
    return [
        np.bincount(index, np.broadcast_to(column, index.shape), shape[0] * shape[1]).astype(np.float32).reshape(shape)
        for column in columns
    ]


def _votes(edges: Edges, own: Edges, scene: np.ndarray, settings: Detector) -> np.ndarray:
    """The votes of `edges` at the centre that each of `own` would vote for, at every third radius, float32 (n, k)."""
    found = []
    for radius in radii(scene, settings)[::3]:
        votes, cell = cast(edges, scene, radius, settings)
        found.append(at(votes, cell, own.x + radius * own.nx, own.y + radius * own.ny))
    return np.stack(found, axis=1).astype(np.float32)
