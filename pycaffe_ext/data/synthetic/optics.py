"""Light, lens and sensor: from what the rays meet to the picture of an endoscope."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pycaffe_ext.data.synthetic.anatomy import TEXEL, Wall
from pycaffe_ext.data.synthetic.camera import Hits
from pycaffe_ext.data.synthetic.world import USUAL

FOCAL = 0.40  # of the picture's width: about 103 degrees across


@dataclass
class Lens:
    """border (H, W) float32 in 0..1, black outside; light (3,), its place beside the camera; the rest scalars."""

    border: np.ndarray
    light: np.ndarray
    exposure: float
    shine: float
    noise: float


def random_lens(rng: np.random.Generator, size: tuple[int, int]) -> Lens:
    return Lens(
        border=_border(rng, size),
        light=np.array([rng.choice((-1, 1)) * 0.08, rng.uniform(-0.05, 0.05), 0], np.float32),
        exposure=rng.uniform(0.75, 1.15),
        shine=rng.uniform(0.3, 1.0),
        noise=rng.uniform(1.0, 3.0),
    )


def pixel_rays(size: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) float32 unit vectors: right, down, forward."""
    height, width = size
    x = (np.arange(width, dtype=np.float32) - (width - 1) / 2) / (FOCAL * width)
    y = (np.arange(height, dtype=np.float32) - (height - 1) / 2) / (FOCAL * width)
    rays = np.dstack([*np.meshgrid(x, y), np.ones(size, np.float32)])
    return (rays / np.linalg.norm(rays, axis=2, keepdims=True)).astype(np.float32)


def shade(wall: Wall, slopes: np.ndarray, hits: Hits, light: np.ndarray, lens: Lens) -> np.ndarray:
    """(H, W, 3) float32 linear light, BGR: one lamp at `light`, falling off with the square of the distance.

    slopes : (ROWS, COLUMNS, 2) float32, the wall's rise per unit around and along the tube.
    """
    colour = _sample(wall.colour, hits)
    slope, gloss = _sample(slopes, hits), _sample(wall.gloss, hits)
    normal = _normals(slope, hits)
    to_light = light - hits.point
    distance = np.linalg.norm(to_light, axis=2)
    facing = np.einsum("hwc,hwc->hw", normal, to_light) / distance
    fall = 1 / (distance**2 + 0.12)
    diffuse = np.clip((facing + 0.12) / 1.12, 0, 1) * fall
    bounced = 0.05 / (1 + hits.distance**2)
    mirror = np.clip(facing, 0, 1) ** 160 * lens.shine * gloss * np.sqrt(fall)
    return colour**1.25 * diffuse[..., None] + colour**2 * bounced[..., None] + mirror[..., None]


def expose(linear: np.ndarray, lens: Lens, rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) uint8 picture: automatic exposure, blur of motion and focus, sensor noise, the black border."""
    lit = linear[lens.border > 0.5].max(axis=1)
    gain = lens.exposure / max(float(np.percentile(lit, 85)), 1e-3)
    blurred = _blur(linear * np.float32(gain), rng)
    picture = 255 * (1 - np.exp(-1.2 * blurred)) ** 0.6
    picture += rng.standard_normal(picture.shape, dtype=np.float32) * np.float32(lens.noise)
    return np.clip(np.clip(picture, 0, 255) * lens.border[..., None] + 0.5, 0, 255).astype(np.uint8)


def polyp_mask(wall: Wall, hits: Hits, lens: Lens, smallest: int = USUAL.smallest) -> np.ndarray:
    """(H, W) uint8, 255 where a polyp is seen; specks below `smallest` pixels are left out."""
    mask = ((_sample(wall.polyp, hits) > 0.5) & (lens.border > 0.5)).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    keep = stats[:, cv2.CC_STAT_AREA] >= smallest
    keep[0] = False
    return keep[labels].astype(np.uint8) * 255


def wall_slopes(height: np.ndarray) -> np.ndarray:
    """(ROWS, COLUMNS, 2) float32: the rise of the wall per unit length around and along the tube."""
    around = (np.roll(height, -1, 0) - np.roll(height, 1, 0)) / (2 * TEXEL)
    along = (np.roll(height, -1, 1) - np.roll(height, 1, 1)) / (2 * TEXEL)
    return np.dstack([around, along]).astype(np.float32)


def _normals(slope: np.ndarray, hits: Hits) -> np.ndarray:
    """Unit normals into the tube: minus the gradient of radius - (1 - height), in the bent tube's coordinates."""
    around, along = slope[..., 0] / hits.radius, slope[..., 1]
    x = hits.radial_x - around * hits.radial_y
    y = hits.radial_y + around * hits.radial_x
    z = along - x * hits.slope_x - y * hits.slope_y
    gradient = np.dstack([x, y, z])
    return -gradient / np.linalg.norm(gradient, axis=2, keepdims=True)


def _sample(field: np.ndarray, hits: Hits) -> np.ndarray:
    return cv2.remap(field, hits.column, hits.row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def _blur(linear: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    linear = cv2.GaussianBlur(linear, (0, 0), 0.6 + rng.gamma(1.2, 0.35))
    reach = int(rng.gamma(1.0, 2.0))
    if reach < 2:
        return linear
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    turn = rng.uniform(0, np.pi)
    along = np.array([np.cos(turn), np.sin(turn)]) * reach / 2
    start, end = ([round(v) for v in (reach + sign * along).tolist()] for sign in (-1, 1))
    cv2.line(kernel, start, end, (1.0,), 1, cv2.LINE_AA)
    return cv2.filter2D(linear, -1, kernel / kernel.sum())


def _border(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """An octagon, a rounded rectangle or a clipped circle, with a soft edge, as endoscopes frame their pictures."""
    height, width = size
    x = np.abs(np.arange(width, dtype=np.float32) - (width - 1) / 2)[None, :]
    y = np.abs(np.arange(height, dtype=np.float32) - (height - 1) / 2)[:, None]
    across, down = width / 2 - rng.uniform(0.01, 0.06) * width, height / 2 - rng.uniform(0.01, 0.04) * height
    shape = rng.choice(("octagon", "rounded", "circle"))
    if shape == "octagon":
        outside = np.maximum(np.maximum(x - across, y - down), (x + y - across - down + 0.2 * height) / np.sqrt(2))
    elif shape == "rounded":
        corner = rng.uniform(0.1, 0.3) * height
        outside = np.hypot(np.maximum(x - across + corner, 0), np.maximum(y - down + corner, 0)) - corner
    else:
        outside = np.maximum(np.hypot(x, y) - rng.uniform(1.0, 1.1) * across, np.maximum(x - across, y - down))
    return np.clip(0.5 - outside / 2, 0, 1).astype(np.float32)
