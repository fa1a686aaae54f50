"""Oriented patches around edge pixels, described by the low frequencies of their sub-patches (paper's reference [42]).

A patch is a grid of SIDE x SIDE samples centred on the edge pixel: columns run along the normal, rows across it, so
that the boundary stands upright in its middle. It is taken at several steps, fine to coarse. Each channel of a patch
is described by the DCT-II of its half-overlapping sub-patches.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from pycaffe_ext.detector.edges import Edges, View, sample

SIDE = 16  # samples of a patch, each way
SUB = 8  # samples of a sub-patch, each way
SHIFT = 4  # from one sub-patch to the next: half of it
FREQUENCIES = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (2, 0))  # (across, along the normal) kept of each sub-patch
STEPS = (1 / 160, 1 / 60, 1 / 30)  # between samples, as shares of the image's longest side
CHANNELS = 4  # lightness, Lab a, Lab b, and where the scene is seen
PER_CHANNEL = 1 + ((SIDE - SUB) // SHIFT + 1) ** 2 * len(FREQUENCIES)
COUNT = len(STEPS) * CHANNELS * PER_CHANNEL  # features of an edge pixel in one direction


@cache
def basis() -> np.ndarray:
    """What turns a patch (SIDE * SIDE,) into its features, float32 (SIDE * SIDE, PER_CHANNEL).

    First the mean; then for every sub-patch (row by row) its orthonormal DCT-II coefficients at FREQUENCIES, divided
    by SUB, the first less the patch's mean: what a sub-patch is, beside the whole.
    """
    from scipy.fft import dct

    waves = dct(np.eye(SUB), axis=0, norm="ortho")  # a row per frequency
    columns = [np.full((SIDE, SIDE), 1 / SIDE**2)]
    for top in range(0, SIDE - SUB + 1, SHIFT):
        for left in range(0, SIDE - SUB + 1, SHIFT):
            for across, along in FREQUENCIES:
                column = np.zeros((SIDE, SIDE))
                column[top : top + SUB, left : left + SUB] = np.outer(waves[across], waves[along]) / SUB
                columns.append(column - columns[0] if (across, along) == (0, 0) else column)
    return np.stack(columns, axis=-1).reshape(SIDE * SIDE, -1).astype(np.float32)


@cache
def turned() -> tuple[np.ndarray, np.ndarray]:
    """(index, sign), both (COUNT,): features * sign, taken at index, are those of the patch turned by 180 degrees."""
    patches = (SIDE - SUB) // SHIFT + 1
    order = np.arange(patches**2 * len(FREQUENCIES)).reshape(-1, len(FREQUENCIES))[::-1].ravel()
    parity = np.tile([(-1.0) ** (i + j) for i, j in FREQUENCIES], patches**2)
    one = np.r_[0, 1 + order], np.r_[1, parity]
    groups = len(STEPS) * CHANNELS
    index = (np.arange(groups)[:, None] * PER_CHANNEL + one[0]).ravel()
    return index, np.tile(one[1], groups).astype(np.float32)


def channels(view: View) -> np.ndarray:
    """What is described, float32 (H, W, CHANNELS): Lab less its mean in the scene, in tens; 1 where the scene shows."""
    seen = view.scene & ~view.spots
    mean = view.lab[view.scene].mean(axis=0) if view.scene.any() else np.float32(0)
    return np.dstack([(view.lab - mean) / 10, seen]).astype(np.float32)


def describe(view: View, edges: Edges) -> np.ndarray:
    """Features of edge pixels, float32 (2 n, COUNT): first of all with their normal, then with the opposite one.

    view: what the edges were found in. Features are ordered by step, channel, then as in `basis`. A picture that is
    turned by 90 degrees with its edges has the same features (to interpolation).
    """
    shown = channels(view)
    features = np.empty((2, len(edges), COUNT), np.float32)
    blocks = features[0].reshape(len(edges), len(STEPS), CHANNELS, PER_CHANNEL)
    for k, step in enumerate(STEPS):
        patches = cut(shown, edges, step * max(shown.shape[:2]))
        rows = np.ascontiguousarray(patches.transpose(0, 2, 1)).reshape(-1, SIDE * SIDE)
        blocks[:, k] = (rows @ basis()).reshape(-1, CHANNELS, PER_CHANNEL)
    index, sign = turned()
    np.multiply(features[0][:, index], sign, out=features[1])
    return features.reshape(-1, COUNT)


def cut(shown: np.ndarray, edges: Edges, step: float) -> np.ndarray:
    """Oriented patches of (H, W, C) float32 at `step` pixels, (n, SIDE * SIDE, C); the frame's rim goes on outside."""
    blurred = cv2.GaussianBlur(shown, (0, 0), 0.5 * step)
    along = ((np.arange(SIDE) - (SIDE - 1) / 2) * step).astype(np.float32)
    across, along = (grid.ravel() for grid in np.meshgrid(along, along, indexing="ij"))
    x = edges.x[:, None] + along * edges.nx[:, None] - across * edges.ny[:, None]
    y = edges.y[:, None] + along * edges.ny[:, None] + across * edges.nx[:, None]
    return sample(blurred, x, y, cv2.BORDER_REPLICATE)
