"""What an edge pixel is: by the mask where it concerns polyps, by the frame's brightness for spots and dark holes."""

from __future__ import annotations

import cv2
import numpy as np

from pycaffe_ext.detector.edges import Edges, View

AHEAD, BEHIND, INSIDE, SPOT, DARK, OTHER = range(6)  # classes of an edge pixel and a direction across it
CLASSES = 6
UNSURE = -1  # too near to a mask's rim, or too much across it, to be called anything: not trained on
NEAR = 0.02  # share of the longest side: an edge this near to the mask's rim is the polyp's boundary
ALIGNED = 0.7  # cosine: and its normal must be that of the rim
BESIDE = 0.02  # share of the longest side: an edge this near to glare is its rim
SHADE = 0.4  # a hole's lightness is below this share of the scene's median


def classify(edges: Edges, view: View, mask: np.ndarray) -> np.ndarray:
    """Class of each edge pixel, int8 (2 n,): first with its normal, then with the opposite direction.

    AHEAD: boundary of a polyp that lies where the direction points (BEHIND: where it does not); INSIDE: within a
    polyp; SPOT: rim of glare; DARK: rim of a dark hole, as the lumen is; OTHER: folds, vessels and the rest.
    mask: bool, of the size of the view. Masks tell polyps only; spots and holes are recognised by brightness.
    """
    if not len(edges):
        return np.zeros(0, np.int8)
    x, y = edges.x.astype(int), edges.y.astype(int)
    side = max(mask.shape)
    depth = _depth(mask)
    towards = _slope(depth, edges, x, y)
    rim = np.abs(depth[y, x]) < NEAR * side
    sure = rim & (np.abs(towards) > ALIGNED)
    plain = np.full(len(edges), OTHER, np.int8)
    plain[_beside_dark(edges, view)] = DARK
    plain[_within(view.spots, BESIDE * side)[y, x]] = SPOT
    plain[depth[y, x] > 0] = INSIDE
    plain[rim] = UNSURE
    ahead, behind = (np.where(sure, np.where(towards > 0, a, b), plain) for a, b in ((AHEAD, BEHIND), (BEHIND, AHEAD)))
    return np.concatenate([ahead, behind]).astype(np.int8)


def _depth(mask: np.ndarray) -> np.ndarray:
    """Distance to the mask's rim, positive inside, float32; the frame's own border does not count as a rim."""
    inner, outer = (cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_L2, 5) for part in (mask, ~mask))
    far = np.float32(max(mask.shape))
    return np.minimum(inner, far) - np.minimum(outer, far)


def _slope(depth: np.ndarray, edges: Edges, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Cosine between the normals and the way into the mask, (n,)."""
    smooth = cv2.GaussianBlur(depth, (0, 0), max(depth.shape) / 120)
    gx, gy = (cv2.Sobel(smooth, cv2.CV_32F, *order)[y, x] for order in ((1, 0), (0, 1)))
    return (gx * edges.nx + gy * edges.ny) / np.maximum(np.hypot(gx, gy), 1e-6)


def _beside_dark(edges: Edges, view: View) -> np.ndarray:
    """Whether the darker side of each edge is a dark hole, bool (n,)."""
    light = view.lab[..., 0]
    hole = (light < SHADE * np.median(light[view.scene])).astype(np.uint8)
    reach = BESIDE * max(hole.shape)
    x, y = (np.round(a - reach * n).astype(int) for a, n in ((edges.x, edges.nx), (edges.y, edges.ny)))
    return hole[np.clip(y, 0, hole.shape[0] - 1), np.clip(x, 0, hole.shape[1] - 1)] > 0


def _within(spots: np.ndarray, reach: float) -> np.ndarray:
    if not spots.any():
        return spots
    return cv2.distanceTransform((~spots).astype(np.uint8), cv2.DIST_L2, 5) <= reach
