"""Where the camera is in the tube, and what each of its pixels meets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from pycaffe_ext.data.synthetic.anatomy import COLUMNS, LENGTH, TEXEL

NEAREST, FARTHEST = 0.12, 12.0
COARSE_STEPS, FINE_STEPS, BISECTIONS = 42, 7, 3


@dataclass
class Bend:
    """The axis of the tube: x and y as sums of two waves along the depth."""

    amplitude: np.ndarray  # (2 axes, 2 waves)
    frequency: np.ndarray
    phase: np.ndarray

    def at(self, z: np.ndarray | float) -> list[np.ndarray]:
        """x and y of the axis at the depths `z`."""
        waves = zip(self.amplitude, self.frequency, self.phase, strict=True)
        return [sum(a[i] * np.sin(f[i] * z + p[i]) for i in (0, 1)) for a, f, p in waves]

    def slope(self, z: np.ndarray) -> list[np.ndarray]:
        """dx/dz and dy/dz of the axis at the depths `z`."""
        waves = zip(self.amplitude, self.frequency, self.phase, strict=True)
        return [sum(a[i] * f[i] * np.cos(f[i] * z + p[i]) for i in (0, 1)) for a, f, p in waves]


@dataclass
class Hits:
    """What the rays meet, (H, W) float32 unless noted: place in the maps, direction off the axis, its slope."""

    distance: np.ndarray
    column: np.ndarray
    row: np.ndarray
    radius: np.ndarray
    radial_x: np.ndarray
    radial_y: np.ndarray
    slope_x: np.ndarray
    slope_y: np.ndarray
    point: np.ndarray  # (H, W, 3)


def random_bend(rng: np.random.Generator) -> Bend:
    frequency = 2 * np.pi / LENGTH * np.array([[1, 2], [1, 2]], np.float32)
    amplitude = rng.uniform(0.2, 1.0, (2, 2)) * np.array([1.3, 0.5])
    return Bend(amplitude.astype(np.float32), frequency, rng.uniform(0, 2 * np.pi, (2, 2)).astype(np.float32))


def random_path(
    rng: np.random.Generator,
    bend: Bend,
    times: np.ndarray,
    stretch: tuple[float, float],
    targets: Iterable[tuple[float, float]],
) -> tuple[np.ndarray, np.ndarray]:
    """Positions (n, 3) and rotations (n, 3, 3; columns right, down, forward) of a wavering advance along `stretch`.

    times : (n,) in 0..1. The camera turns a little towards `targets`, (angle, depth) each, when it comes near.
    """
    z = stretch[0] + (stretch[1] - stretch[0]) * times + _waver(rng, times, 0.25)
    (x, y), (dx, dy) = bend.at(z), bend.slope(z)
    position = np.stack([x + _waver(rng, times, 0.2), y + _waver(rng, times, 0.2), z], axis=1)
    forward = np.stack([dx + _waver(rng, times, 0.5), dy + _waver(rng, times, 0.5), np.ones_like(z)], axis=1)
    for angle, depth in targets:
        x, y = bend.at(depth)
        towards = np.array([x + 0.8 * np.cos(angle), y + 0.8 * np.sin(angle), depth]) - position
        near = np.exp(-(((towards[:, 2] - 1.2) / 0.7) ** 2))[:, None]
        forward += near * towards / np.linalg.norm(towards, axis=1, keepdims=True)
    roll = rng.uniform(0, 2 * np.pi) + _waver(rng, times, 0.5)
    turns = [_rotation(*pose) for pose in zip(forward, roll, strict=True)]
    return position.astype(np.float32), np.stack(turns)


def cast(height: np.ndarray, bend: Bend, position: np.ndarray, rays: np.ndarray) -> Hits:
    """First meeting of each ray, (H, W, 3) unit vectors, with the wall: a march on every second pixel, then refined."""
    low, high = _march(height, bend, position, np.ascontiguousarray(rays[::2, ::2]))
    shape, window = rays.shape[1::-1], np.ones((3, 3), np.uint8)
    low = cv2.resize(cv2.erode(low, window), shape, interpolation=cv2.INTER_NEAREST)
    high = cv2.resize(cv2.dilate(high, window), shape, interpolation=cv2.INTER_NEAREST)
    low, high = _refine(height, bend, position, rays, low, high)
    return _locate(bend, position, rays, (low + high) / 2)


def _march(height: np.ndarray, bend: Bend, position: np.ndarray, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Brackets of the first crossing along each ray; a ray that meets nothing ends at FARTHEST."""
    steps = np.geomspace(NEAREST, FARTHEST, COARSE_STEPS).astype(np.float32)
    low, high = (np.full(rays.shape[0] * rays.shape[1], step, np.float32) for step in steps[-2:])
    going, ahead = np.arange(low.size), rays.reshape(-1, 1, 3)
    for near, far in pairwise(steps):
        met = _depth_in_wall(height, bend, position, ahead, far)[:, 0] > 0
        low[going[met]], high[going[met]] = near, far
        going, ahead = going[~met], ahead[~met]
        if not going.size:
            break
    return low.reshape(rays.shape[:2]), high.reshape(rays.shape[:2])


def _refine(
    height: np.ndarray, bend: Bend, position: np.ndarray, rays: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Narrower brackets: a few even steps, because a bracket may span a silhouette, then halving."""
    step = (high - low) / FINE_STEPS
    first = np.full(low.shape, FINE_STEPS, np.float32)
    for i in range(FINE_STEPS - 1, 0, -1):
        first[_depth_in_wall(height, bend, position, rays, low + i * step) > 0] = i
    low, high = low + (first - 1) * step, low + first * step
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        inside = _depth_in_wall(height, bend, position, rays, middle) > 0
        low, high = np.where(inside, low, middle), np.where(inside, middle, high)
    return low, high


def _locate(bend: Bend, position: np.ndarray, rays: np.ndarray, distance: np.ndarray) -> Hits:
    point = position + rays * distance[..., None]
    x, y = bend.at(point[..., 2])
    across_x, across_y = point[..., 0] - x, point[..., 1] - y
    radius, angle = cv2.cartToPolar(across_x, across_y)
    radius = np.maximum(radius, 1e-3)
    column = np.mod(point[..., 2] / np.float32(TEXEL), COLUMNS)
    row = angle / np.float32(TEXEL)
    slope_x, slope_y = bend.slope(point[..., 2])
    return Hits(distance, column, row, radius, across_x / radius, across_y / radius, slope_x, slope_y, point)


def _depth_in_wall(
    height: np.ndarray, bend: Bend, position: np.ndarray, rays: np.ndarray, distance: np.ndarray | float
) -> np.ndarray:
    """How deep the points at `distance` along the rays lie in the wall; negative in the open."""
    z = position[2] + rays[..., 2] * distance
    x, y = bend.at(z)
    across_x, across_y = position[0] + rays[..., 0] * distance - x, position[1] + rays[..., 1] * distance - y
    radius, angle = cv2.cartToPolar(across_x, across_y)
    column, row = np.mod(z / np.float32(TEXEL), COLUMNS), angle / np.float32(TEXEL)
    return radius - 1 + cv2.remap(height, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def _waver(rng: np.random.Generator, t: np.ndarray, amplitude: float) -> np.ndarray:
    """A smooth curve over 0..1 within about +-amplitude."""
    waves = (rng.uniform(0.2, 1) * np.sin(2 * np.pi * (k * t + rng.uniform())) / k for k in (0.5, 1, 2))
    return np.asarray(amplitude / 2.2 * sum(waves))


def _rotation(forward: np.ndarray, roll: float) -> np.ndarray:
    forward = forward / np.linalg.norm(forward)
    right = np.cross([np.sin(roll), np.cos(roll), 0.0], forward)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(forward, right), forward], axis=1).astype(np.float32)
