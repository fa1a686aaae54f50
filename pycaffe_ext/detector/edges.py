"""Oriented edges of a colonoscopy frame: where they lie, which way their normal points, how strong they are."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pycaffe_ext.detector.settings import Detector

DARK = 24  # the black surround of a frame stays below this in every channel, mucosa in shade mostly above
GLARE = 1.25  # a specular spot is this much brighter than its surroundings
MOST_EDGES = 2500  # of a frame, which bounds its time: most frames have more, and find as many polyps by the strongest
MOST_ROWS = 16384  # OpenCV remaps fewer than 32768 at once
NOISE = 72  # Lab units per field's longest side: gradients of this size are no edges, even where nothing else is near


@dataclass(frozen=True)
class Edges:
    """n edge pixels of a frame; every array is float32 of length n.

    x, y: position in pixels of the image the edges were found in; nx, ny: unit normal, pointing to the brighter
    (or redder) side; weight: strength in 0..1, relative to the surroundings.
    """

    x: np.ndarray
    y: np.ndarray
    nx: np.ndarray
    ny: np.ndarray
    weight: np.ndarray

    def __len__(self) -> int:
        return len(self.x)

    def at(self, index: np.ndarray | slice) -> Edges:
        return Edges(self.x[index], self.y[index], self.nx[index], self.ny[index], self.weight[index])


def both_ways(edges: Edges, weight: np.ndarray) -> Edges:
    """Each edge pixel twice, float32 (2 n,): all with their normal, then all with the opposite one, and `weight`."""
    x, y, nx, ny = (np.concatenate([a, s * a]) for a, s in ((edges.x, 1), (edges.y, 1), (edges.nx, -1), (edges.ny, -1)))
    return Edges(x, y, nx, ny, weight.astype(np.float32))


def sample(maps: np.ndarray, x: np.ndarray, y: np.ndarray, border: int = cv2.BORDER_CONSTANT) -> np.ndarray:
    """Values of float32 maps (H, W) or (H, W, C) between pixels, at x, y (n, k): (n, k) or (n, k, C); 0 outside."""
    maps, x, y = np.ascontiguousarray(maps, np.float32), x.astype(np.float32), y.astype(np.float32)
    parts = [(x[i : i + MOST_ROWS], y[i : i + MOST_ROWS]) for i in range(0, len(x), MOST_ROWS)]
    found = [cv2.remap(maps, *part, cv2.INTER_LINEAR, borderMode=border).ravel() for part in parts]
    return np.concatenate([np.zeros(0, np.float32), *found]).reshape(*x.shape, *maps.shape[2:])


@dataclass(frozen=True)
class View:
    """A frame at working size: image (H, W, 3) BGR uint8; scene, what shows the scene, and spots, glare, bool (H, W);
    lab float32 (H, W, 3) with glare and the surround filled from the scene beside them.
    """

    image: np.ndarray
    scene: np.ndarray
    spots: np.ndarray
    lab: np.ndarray


def look(image: np.ndarray) -> View:
    """The view of a BGR uint8 frame at working size."""
    scene = visible(image)
    spots = _glare(image, scene)
    return View(image, scene, spots, _filled_lab(image, scene, spots))


def visible(image: np.ndarray) -> np.ndarray:
    """The part of a BGR uint8 frame that shows the scene, bool (H, W): its largest piece that is not black.

    Dark holes inside it (the lumen) belong to it; the black surround, printed text and a picture of the position
    sensor do not.
    """
    bright = (image.max(axis=2) > DARK).astype(np.uint8)
    size = max(3, round(max(image.shape[:2]) * 0.02) | 1)
    bright = cv2.morphologyEx(bright, cv2.MORPH_OPEN, np.ones((size, size), np.uint8))
    scene = _largest(bright)
    outside = cv2.copyMakeBorder(1 - scene, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    cv2.floodFill(outside, None, (0, 0), 2)
    return outside[1:-1, 1:-1] != 2


def _largest(mask: np.ndarray) -> np.ndarray:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    if count < 2:
        return np.zeros_like(mask)
    return (labels == 1 + stats[1:, cv2.CC_STAT_AREA].argmax()).astype(np.uint8)


def _glare(image: np.ndarray, scene: np.ndarray) -> np.ndarray:
    """Specular spots of a BGR uint8 frame, bool (H, W): pale pixels much brighter than the scene around them."""
    pale = image.min(axis=2).astype(np.float32)
    around = _smooth(pale, scene.astype(np.float32), max(image.shape[:2]) * 0.03)
    spots = (pale > 100) & (pale > GLARE * around + 15)
    rim = round(max(image.shape[:2]) * 0.02) | 1
    return cv2.dilate(spots.astype(np.uint8), np.ones((rim, rim), np.uint8)).astype(bool)


def _smooth(channels: np.ndarray, trust: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian mean of the trusted pixels only, defined everywhere (0 where none is near)."""
    weights = trust if channels.ndim == 2 else trust[..., None]
    total = cv2.GaussianBlur(trust, (0, 0), sigma)
    mean = cv2.GaussianBlur(channels * weights, (0, 0), sigma)
    return mean / np.maximum(total if channels.ndim == 2 else total[..., None], 1e-4)


def _filled_lab(image: np.ndarray, scene: np.ndarray, spots: np.ndarray) -> np.ndarray:
    """Lab float32 (H, W, 3) of a BGR uint8 frame, with glare and the surround filled from the scene beside them."""
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_BGR2LAB)
    trust = (scene & ~spots).astype(np.float32)
    near, far = (_smooth(lab, trust, max(image.shape[:2]) * s) for s in (0.012, 0.06))
    hold = cv2.GaussianBlur(trust, (0, 0), max(image.shape[:2]) * 0.012)[..., None]
    fill = np.where(hold > 0.05, near, far)
    return np.where(trust[..., None] > 0, lab, fill).astype(np.float32)


def find_edges(view: View, settings: Detector) -> Edges:
    """Edges of a frame inside its scene, at the scale settings.sigma.

    The gradient is that of the channel that changes most: lightness, or redness times settings.colour. An edge
    pixel is a ridge of its magnitude along the normal; weight = magnitude / (magnitude + mean magnitude around), and
    of those whose weight exceeds settings.edge_floor the strongest MOST_EDGES are kept. Edges beside the
    surround and in glare are left out.
    """
    scene, spots, side = view.scene, view.spots, max(view.scene.shape)
    blurred = cv2.GaussianBlur(view.lab, (0, 0), settings.sigma * side)
    gx, gy = _steepest(blurred, settings.colour)
    magnitude = np.hypot(gx, gy)
    inner = _inner(scene, max(2, round(side * 0.012)))
    around = _smooth(magnitude, inner.astype(np.float32), side * 0.1)
    weight = magnitude / (magnitude + around + NOISE / side)
    y, x = np.nonzero(inner & ~spots & (weight > settings.edge_floor) & _ridge(magnitude, gx, gy))
    if len(x) > MOST_EDGES:
        strongest = np.sort(np.argsort(-weight[y, x], kind="stable")[:MOST_EDGES])
        x, y = x[strongest], y[strongest]
    size = magnitude[y, x]
    columns = (x, y, gx[y, x] / size, gy[y, x] / size, weight[y, x])
    return Edges(*(column.astype(np.float32) for column in columns))


def _inner(scene: np.ndarray, margin: int) -> np.ndarray:
    """The scene less a margin along its edge and the frame's."""
    framed = np.pad(scene, 1).astype(np.uint8)
    kernel = np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)
    return cv2.erode(framed, kernel)[1:-1, 1:-1].astype(bool)


def _steepest(lab: np.ndarray, colour: float) -> tuple[np.ndarray, np.ndarray]:
    """Gradient (per pixel) of whichever of lightness and redness changes more."""
    scaled = [lab[..., 0], colour * lab[..., 1]]
    gx = np.stack([cv2.Sobel(c, cv2.CV_32F, 1, 0, scale=0.125) for c in scaled])
    gy = np.stack([cv2.Sobel(c, cv2.CV_32F, 0, 1, scale=0.125) for c in scaled])
    pick = np.hypot(gx, gy).argmax(axis=0)[None]
    return np.take_along_axis(gx, pick, 0)[0], np.take_along_axis(gy, pick, 0)[0]


def _ridge(magnitude: np.ndarray, gx: np.ndarray, gy: np.ndarray) -> np.ndarray:
    """Where the magnitude is a maximum between its two neighbours along the gradient, bool."""
    padded = np.pad(magnitude, 1)
    height, width = magnitude.shape

    def shifted(dy: int, dx: int) -> np.ndarray:
        return padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]

    sector = np.round(np.arctan2(gy, gx) / (np.pi / 4)).astype(int) % 4
    peak = np.zeros(magnitude.shape, bool)
    for k, (dy, dx) in enumerate(((0, 1), (1, 1), (1, 0), (1, -1))):
        higher = (magnitude > shifted(-dy, -dx)) & (magnitude >= shifted(dy, dx))
        peak |= (sector == k) & higher
    return peak & (magnitude > 0)
