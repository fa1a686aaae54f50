"""Scalar fields on a square grid, the raw material of the procedural images.

Every function takes a seeded generator and a side length and returns float32 (side, side) in 0..1.
"""

from __future__ import annotations

import cv2
import numpy as np

Generator = np.random.Generator


def grid(rng: Generator, side: int, cells: float) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates, turned and shifted at random, that count `cells` units across the image."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:side, :side].astype(np.float32) * (cells / side) - cells / 2
    c, s = np.cos(angle), np.sin(angle)
    dx, dy = rng.uniform(-0.5, 0.5, 2)
    return (c * x - s * y + dx).astype(np.float32), (s * x + c * y + dy).astype(np.float32)


def unit(field: np.ndarray) -> np.ndarray:
    """Stretch a field to 0..1 (a constant one becomes 0)."""
    low, high = float(field.min()), float(field.max())
    return ((field - low) / max(high - low, 1e-6)).astype(np.float32)


def noise(rng: Generator, side: int, cells: int, octaves: int = 4, aspect: float = 1.0) -> np.ndarray:
    """Value noise: `cells` bumps across, `octaves` finer copies at half the weight, stretched by `aspect`."""
    total = np.zeros((side, side), np.float32)
    for octave in range(octaves):
        n = cells * 2**octave
        points = rng.random((min(max(2, int(n * aspect)), side), min(n, side))).astype(np.float32)
        total += cv2.resize(points, (side, side), interpolation=cv2.INTER_CUBIC) / 2**octave
    return unit(total)


def stripes(rng: Generator, side: int) -> np.ndarray:
    x, _ = grid(rng, side, rng.uniform(8, 16))
    return (np.sin(2 * np.pi * x) > rng.uniform(-0.5, 0.5)).astype(np.float32)


def gratings(rng: Generator, side: int) -> np.ndarray:
    x, _ = grid(rng, side, rng.uniform(4, 8))
    return 0.5 + 0.5 * np.sin(2 * np.pi * x)


def wavy_stripes(rng: Generator, side: int) -> np.ndarray:
    x, y = grid(rng, side, rng.uniform(6, 12))
    return 0.5 + 0.5 * np.sin(2 * np.pi * (x + 0.5 * np.sin(rng.uniform(1.5, 3) * y)))


def checks(rng: Generator, side: int) -> np.ndarray:
    x, y = grid(rng, side, rng.uniform(6, 14))
    return ((np.floor(x) + np.floor(y)) % 2).astype(np.float32)


def bricks(rng: Generator, side: int) -> np.ndarray:
    x, y = grid(rng, side, rng.uniform(8, 14))
    row = np.floor(y)
    return (((x / 2 + 0.5 * (row % 2)) % 1 > 0.1) & (y % 1 > 0.2)).astype(np.float32)


def crosshatch(rng: Generator, side: int) -> np.ndarray:
    x, y = grid(rng, side, rng.uniform(10, 18))
    return np.maximum(x % 1 < 0.15, y % 1 < 0.15).astype(np.float32)


def plaid(rng: Generator, side: int) -> np.ndarray:
    x, y = grid(rng, side, rng.uniform(4, 8))
    return unit(np.sin(2 * np.pi * x) + np.sin(2 * np.pi * y))


def rings(rng: Generator, side: int) -> np.ndarray:
    x, y = grid(rng, side, rng.uniform(6, 12))
    return 0.5 + 0.5 * np.sin(2 * np.pi * np.hypot(x, y))


def wedges(rng: Generator, side: int) -> np.ndarray:
    x, y = grid(rng, side, 2)
    return 0.5 + 0.5 * np.sin(rng.integers(6, 14) * np.arctan2(y, x))


def spiral(rng: Generator, side: int) -> np.ndarray:
    x, y = grid(rng, side, rng.uniform(4, 8))
    arms = rng.integers(1, 4) * rng.choice([-1, 1])
    return 0.5 + 0.5 * np.sin(2 * np.pi * np.hypot(x, y) + arms * np.arctan2(y, x))


def clouds(rng: Generator, side: int) -> np.ndarray:
    return noise(rng, side, int(rng.integers(2, 5)))


def grain(rng: Generator, side: int) -> np.ndarray:
    return noise(rng, side, int(rng.integers(40, 80)), octaves=1)


def islands(rng: Generator, side: int) -> np.ndarray:
    return (noise(rng, side, int(rng.integers(6, 12)), octaves=2) > 0.5).astype(np.float32)


def fibres(rng: Generator, side: int) -> np.ndarray:
    field = noise(rng, side, int(rng.integers(40, 70)), octaves=2, aspect=0.08)
    return np.ascontiguousarray(field.T) if rng.random() < 0.5 else field


def vessels(rng: Generator, side: int) -> np.ndarray:
    ridge = np.abs(noise(rng, side, int(rng.integers(4, 8)), octaves=3) - 0.5)
    return unit(np.exp(-((ridge / 0.03) ** 2)))


def marble(rng: Generator, side: int) -> np.ndarray:
    x, _ = grid(rng, side, rng.uniform(3, 6))
    return 0.5 + 0.5 * np.sin(2 * np.pi * (x + 2 * noise(rng, side, 4)))


def _distance_to_seeds(rng: Generator, side: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    seeds = np.full((side, side), 255, np.uint8)
    seeds[rng.integers(0, side, count), rng.integers(0, side, count)] = 0
    return cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)


def cells(rng: Generator, side: int) -> np.ndarray:
    _, label = _distance_to_seeds(rng, side, int(rng.integers(30, 80)))
    return rng.random(label.max() + 1).astype(np.float32)[label]


def pebbles(rng: Generator, side: int) -> np.ndarray:
    distance, _ = _distance_to_seeds(rng, side, int(rng.integers(30, 80)))
    return unit(-distance)


def dots(rng: Generator, side: int) -> np.ndarray:
    distance, _ = _distance_to_seeds(rng, side, int(rng.integers(30, 80)))
    return (distance < rng.uniform(5, 9) * side / 256).astype(np.float32)


TEXTURES = (
    stripes,
    gratings,
    wavy_stripes,
    checks,
    bricks,
    crosshatch,
    plaid,
    rings,
    wedges,
    spiral,
    clouds,
    grain,
    islands,
    fibres,
    vessels,
    marble,
    cells,
    pebbles,
    dots,
)


def fractal(rng: Generator, side: int, species: int) -> np.ndarray:
    """Log density of an iterated function system; `species` fixes its maps, `rng` only moves it about."""
    genes = np.random.default_rng([71, species])
    count = int(genes.integers(2, 5))
    maps = genes.uniform(-1, 1, (count, 2, 2))
    maps *= (genes.uniform(0.45, 0.8, count) / np.linalg.norm(maps, ord=2, axis=(1, 2)))[:, None, None]
    shifts = genes.uniform(-1, 1, (count, 2))
    points = np.zeros((2048, 2))
    trail = []
    for step in range(34):
        pick = rng.integers(0, count, len(points))
        points = np.einsum("nij,nj->ni", maps[pick], points) + shifts[pick]
        if step >= 10:
            trail.append(points)
    return _density(np.concatenate(trail), side, rng)


def _density(points: np.ndarray, side: int, rng: Generator) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (points - points.mean(0)) @ turn.T
    points *= rng.uniform(0.28, 0.42) / max(np.abs(points).max(), 1e-6)
    points += 0.5 + rng.uniform(-0.08, 0.08, 2)
    counts = np.histogram2d(points[:, 1], points[:, 0], bins=128, range=[[0, 1], [0, 1]])[0]
    return unit(cv2.resize(np.log1p(counts).astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR))
