"""A procedural image classification task: 64 classes of fractals, textures, shapes and shaded reliefs.

The classes differ in form. Colour, position, size, direction, light, blur and noise vary inside each class,
so that the filters learned have to be about edges, curvature, texture and shading - as ImageNet's are.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from pycaffe_ext.donor import fields
from pycaffe_ext.donor.fields import Generator

FRACTALS = 18


def _polygon(points: np.ndarray, side: int) -> np.ndarray:
    mask = np.zeros((side, side), np.uint8)
    cv2.fillPoly(mask, [np.round(points * 16).astype(np.int32)], 255, lineType=cv2.LINE_AA, shift=4)
    return mask.astype(np.float32) / 255


def _outline(angles: np.ndarray, radii: np.ndarray, rng: Generator, side: int) -> np.ndarray:
    """Filled outline given in polar form, turned, stretched a little and placed at random."""
    turn, size = rng.uniform(0, 2 * np.pi), side * rng.uniform(0.18, 0.36)
    centre = side / 2 + rng.uniform(-0.14, 0.14, 2) * side
    points = np.stack([np.cos(angles), np.sin(angles)], 1) * radii[:, None] * [1, rng.uniform(0.85, 1.15)]
    c, s = np.cos(turn), np.sin(turn)
    return _polygon(points @ np.array([[c, s], [-s, c]]) * size + centre, side)


def _regular(corners: int) -> Callable[[Generator, int], np.ndarray]:
    angles = np.arange(corners) * 2 * np.pi / corners
    return lambda rng, side: _outline(angles, np.ones(corners), rng, side)


def _star(points: int) -> Callable[[Generator, int], np.ndarray]:
    angles = np.arange(2 * points) * np.pi / points
    return lambda rng, side: _outline(angles, np.where(np.arange(2 * points) % 2, 0.45, 1.0), rng, side)


def _corners(*xy: tuple[float, float]) -> Callable[[Generator, int], np.ndarray]:
    x, y = np.array(xy, dtype=float).T
    return lambda rng, side: _outline(np.arctan2(y, x), np.hypot(x, y), rng, side)


def _polar(radius: Callable[[np.ndarray], np.ndarray]) -> Callable[[Generator, int], np.ndarray]:
    angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    return lambda rng, side: _outline(angles, radius(angles), rng, side)


def _blob(rng: Generator, side: int) -> np.ndarray:
    angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    radius = np.full_like(angles, 0.8)
    for k in (2, 3, 4, 5):
        radius += rng.uniform(-0.2, 0.2) * np.sin(k * angles + rng.uniform(0, 6.3))
    return _outline(angles, radius, rng, side)


def _ring(rng: Generator, side: int) -> np.ndarray:
    disc = _polar(np.ones_like)(rng, side)
    hole = cv2.erode(disc, np.ones((3, 3)), iterations=max(3, side // 14))
    return disc - hole


def _crescent(rng: Generator, side: int) -> np.ndarray:
    disc = _polar(np.ones_like)(rng, side)
    shift = np.array([[1, 0, rng.choice([-1, 1]) * side * 0.12], [0, 1, rng.choice([-1, 1]) * side * 0.12]], np.float32)
    return np.clip(disc - cv2.warpAffine(disc, shift, (side, side)), 0, 1)


SHAPES: tuple[Callable[[Generator, int], np.ndarray], ...] = (
    _polar(np.ones_like),
    _polar(lambda a: 1 / np.hypot(np.cos(a), np.sin(a) / 0.45)),
    _regular(3),
    _regular(4),
    _regular(5),
    _star(4),
    _star(5),
    _star(8),
    _blob,
    _ring,
    _crescent,
    _polar(lambda a: 0.65 + 0.35 * np.sin(3 * a)),
    _polar(lambda a: 0.7 + 0.3 * np.sin(6 * a)),
    _corners((-1, -0.25), (1, -0.25), (1, 0.25), (-1, 0.25)),
    _corners(
        (-0.3, -1),
        (0.3, -1),
        (0.3, -0.3),
        (1, -0.3),
        (1, 0.3),
        (0.3, 0.3),
        (0.3, 1),
        (-0.3, 1),
        (-0.3, 0.3),
        (-1, 0.3),
        (-1, -0.3),
        (-0.3, -0.3),
    ),
    _corners((-0.8, -1), (-0.2, -1), (-0.2, 0.4), (0.8, 0.4), (0.8, 1), (-0.8, 1)),
    _corners((-1, -0.2), (0.2, -0.2), (0.2, -0.7), (1, 0), (0.2, 0.7), (0.2, 0.2), (-1, 0.2)),
    _polar(lambda a: np.where(np.sin(a) > 0, 1.0, 0.12)),
)


def _dome(r: np.ndarray) -> np.ndarray:
    return np.sqrt(np.clip(1 - r**2, 0, None))


RELIEFS: tuple[Callable[[np.ndarray, np.ndarray], np.ndarray], ...] = (  # height over coordinates in -2..2
    lambda x, y: _dome(np.hypot(x, y)),
    lambda x, y: -_dome(np.hypot(x, y)),
    lambda x, _y: np.exp(-3 * x**2),
    lambda x, _y: -np.exp(-3 * x**2),
    lambda x, y: np.clip(1 - np.hypot(x, y), 0, None) * 1.3,
    lambda x, y: _dome(np.hypot(x - 0.8, y) / 0.75) + _dome(np.hypot(x + 0.8, y) / 0.75),
    lambda x, y: np.exp(-8 * (np.hypot(x, y) - 1) ** 2),
    lambda x, y: 0.5 * np.exp(-3 * x**2) + _dome(np.hypot(x, y) / 0.8),
    lambda x, _y: 0.35 * np.sin(3 * x),
)

CLASSES = FRACTALS + len(fields.TEXTURES) + len(SHAPES) + len(RELIEFS)


def image(label: int, seed: int, side: int = 256) -> np.ndarray:
    """One image of class `label` (0 .. CLASSES - 1): uint8 (side, side, 3) BGR, a pure function of its arguments."""
    rng = np.random.default_rng([label, seed])
    kinds = (FRACTALS, len(fields.TEXTURES), len(SHAPES), len(RELIEFS))
    kind, index = 0, label
    while index >= kinds[kind]:
        index -= kinds[kind]
        kind += 1
    draw = (_draw_fractal, _draw_texture, _draw_shape, _draw_relief)[kind]
    return _spoil(draw(rng, side, index), rng)


def _colours(rng: Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two colours that differ visibly."""
    while True:
        first, second = rng.uniform(0, 1, (2, 3)).astype(np.float32)
        if np.abs(first.mean() - second.mean()) > 0.2:
            return first, second


def _mix(field: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return first + field[..., None] * (second - first)


def _backdrop(rng: Generator, side: int, colour: np.ndarray) -> np.ndarray:
    """A faint texture around one colour, so that a background is never the clue."""
    texture = fields.TEXTURES[rng.integers(len(fields.TEXTURES))](rng, side)
    return colour + rng.uniform(0.05, 0.25) * (texture[..., None] - 0.5) * rng.uniform(-1, 1, 3).astype(np.float32)


def _draw_fractal(rng: Generator, side: int, index: int) -> np.ndarray:
    first, second = _colours(rng)
    density = fields.fractal(rng, side, index)[..., None]
    return _backdrop(rng, side, first) * (1 - density) + second * density


def _draw_texture(rng: Generator, side: int, index: int) -> np.ndarray:
    return _mix(fields.TEXTURES[index](rng, side), *_colours(rng))


def _draw_shape(rng: Generator, side: int, index: int) -> np.ndarray:
    first, second = _colours(rng)
    mask = SHAPES[index](rng, side)[..., None]
    return _backdrop(rng, side, first) * (1 - mask) + _backdrop(rng, side, second) * mask


def _draw_relief(rng: Generator, side: int, index: int) -> np.ndarray:
    """A height field under a light from above the image plane, matt with a highlight."""
    x, y = fields.grid(rng, side, rng.uniform(3.2, 5.0))
    height = RELIEFS[index](x, y) * side / 6 + 1.5 * fields.noise(rng, side, 12, 2)
    dy, dx = np.gradient(cv2.GaussianBlur(height.astype(np.float32), (0, 0), 1.5))
    normal = np.stack([-dx, -dy, np.ones_like(dx)], -1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    light = np.array([rng.uniform(-0.5, 0.5), rng.uniform(-0.9, -0.4), 1.0])  # always from the upper side
    shade = np.clip(normal @ (light / np.linalg.norm(light)), 0, 1).astype(np.float32)
    colour = _backdrop(rng, side, rng.uniform(0.3, 1, 3).astype(np.float32))
    return colour * (0.15 + 0.85 * shade[..., None]) + rng.uniform(0, 0.6) * shade[..., None] ** 40


def _spoil(picture: np.ndarray, rng: Generator) -> np.ndarray:
    """Uneven light, blur and sensor noise; to uint8."""
    side = len(picture)
    ramp_x, _ = fields.grid(rng, side, 1)
    picture = picture * (1 + rng.uniform(0, 0.5) * ramp_x[..., None])
    if rng.random() < 0.5:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.8))
    picture = picture + rng.normal(0, rng.uniform(0.005, 0.05), picture.shape)
    return (np.clip(picture, 0, 1) * 255).astype(np.uint8)
