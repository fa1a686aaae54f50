"""The wall of a synthetic colon, unrolled: maps over angle (rows) and depth (columns) of a tube of radius 1.

Both axes wrap around. The wall stands `height` inwards of radius 1; everything that is seen (folds, polyps, residue,
bubbles) is relief and colour in these maps, so that shape, shading and mask always agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pycaffe_ext.data.synthetic.world import USUAL, World

ROWS, COLUMNS = 640, 1280
TEXEL = 2 * np.pi / ROWS  # one texel is the same length along and around the tube
LENGTH = COLUMNS * TEXEL
SOFT_HEIGHT, MOST_HEIGHT = 0.4, 0.65  # the camera keeps within 0.3 of the axis, so it never enters the wall


@dataclass
class Wall:
    """Maps of the surface, float32, (ROWS, COLUMNS) unless noted."""

    height: np.ndarray
    colour: np.ndarray  # (ROWS, COLUMNS, 3) linear BGR
    gloss: np.ndarray  # how wet it is
    polyp: np.ndarray  # 1 inside a polyp
    noises: dict[int, np.ndarray]  # by wavelength in texels
    polyps: list[tuple[float, float]]  # angle and depth of each

    def grain(self, rng: np.random.Generator, wavelength: int, shape: tuple[int, ...]) -> np.ndarray:
        """A random cut of that noise."""
        field = self.noises[wavelength]
        row, column = (rng.integers(0, n - m + 1) for n, m in zip(field.shape, shape, strict=True))
        return field[row : row + shape[0], column : column + shape[1]]


@dataclass
class Spot:
    """A window of the maps; radius is 0 in the middle and 1 on the outline of what is put there."""

    at: tuple[np.ndarray, np.ndarray]
    radius: np.ndarray


def build_wall(rng: np.random.Generator, polyps: int, first: float, last: float, world: World = USUAL) -> Wall:
    """A wall with `polyps` polyps between the depths `first` and `last`, and distractors everywhere."""
    noises = {wavelength: noise(rng, wavelength) for wavelength in (6, 20, 60, 140)}
    wall = Wall(
        height=_folds(rng) + 0.02 * noises[60] + 0.006 * noises[20] + 0.002 * noises[6],
        colour=_mucosa(rng, noises),
        gloss=np.clip(0.5 + 0.5 * noise(rng, 40), 0.05, 1.5),
        polyp=np.zeros((ROWS, COLUMNS), np.float32),
        noises=noises,
        polyps=[(rng.uniform(0, 2 * np.pi), depth) for depth in _spread(rng, polyps, first, last)],
    )
    for _ in range(rng.integers(4, 9)):
        _add_knob(wall, rng)
    for place in wall.polyps:
        _add_polyp(wall, rng, *place, world)
    for _ in range(rng.integers(0, 12)):
        _add_residue(wall, rng)
    for _ in range(rng.integers(0, 5)):
        _add_bubbles(wall, rng)
    excess = np.maximum(wall.height - SOFT_HEIGHT, 0)
    room = MOST_HEIGHT - SOFT_HEIGHT
    wall.height = np.minimum(wall.height, SOFT_HEIGHT) + room * excess / (room + excess)
    return wall


def noise(rng: np.random.Generator, wavelength: float) -> np.ndarray:
    """(ROWS, COLUMNS) float32 smooth noise of mean 0 and deviation 1 that wraps around; wavelength in texels."""
    rows, columns = (max(2, round(2 * n / wavelength)) for n in (ROWS, COLUMNS))
    grid = np.pad(rng.standard_normal((rows, columns), dtype=np.float32), 2, mode="wrap")
    step = ROWS / rows, COLUMNS / columns
    shape = round((columns + 4) * step[1]), round((rows + 4) * step[0])
    top, left = round(2 * step[0]), round(2 * step[1])
    field = cv2.resize(grid, shape, interpolation=cv2.INTER_CUBIC)[top : top + ROWS, left : left + COLUMNS]
    return (field - field.mean()) / field.std()


def _folds(rng: np.random.Generator) -> np.ndarray:
    """Haustral folds: ridges across the tube, three-sided, wavy, some of them only part of the way round."""
    angle = (np.arange(ROWS) * TEXEL)[:, None]
    depth = (np.arange(COLUMNS, dtype=np.float32) * np.float32(TEXEL))[None, :]
    twist, sharp = rng.uniform(0, 2 * np.pi), rng.uniform(0.15, 0.45)
    height = np.zeros((ROWS, COLUMNS), np.float32)
    position = 0.0
    while position < LENGTH - 0.5:
        wobble = sum(rng.normal(0, 0.1 / k) * np.sin(k * angle + rng.uniform(0, 2 * np.pi)) for k in (1, 2, 3))
        lobes = 1 - sharp + sharp * np.cos(3 * angle + twist + rng.normal(0, 0.3))
        partial = np.clip(rng.uniform(0.2, 1.6) + np.cos(angle - rng.uniform(0, 2 * np.pi)), 0, 1)
        crest, rise = position + wobble, rng.uniform(0.12, 0.42) * lobes * partial
        width = rng.uniform(0.07, 0.2)
        near = np.flatnonzero(np.abs((depth[0] - position + LENGTH / 2) % LENGTH - LENGTH / 2) < 0.9)
        away = (depth[:, near] - crest + LENGTH / 2) % LENGTH - LENGTH / 2
        height[:, near] += rise * np.exp(-((away / width) ** 2))
        position += rng.uniform(0.4, 1.0)
    return height


def _mucosa(rng: np.random.Generator, noises: dict[int, np.ndarray]) -> np.ndarray:
    """Colour of the wall, its mottling and its vessels."""
    red = rng.uniform(0.62, 0.85)
    green = rng.uniform(0.28, 0.46)
    base = np.array([green * rng.uniform(0.55, 0.85), green, 1.0], np.float32) * np.float32(red)
    mottle = 1 + 0.09 * noise(rng, 90) + 0.06 * noises[20] + 0.04 * noises[6]
    tint = 1 + np.array([0.10, 0.10, 0.0], np.float32) * noises[140][..., None]
    absorbed = np.array([0.75, 0.95, 0.3], np.float32) * np.float32(rng.uniform(0.4, 1.0))
    return base * mottle[..., None] * tint * np.exp(-absorbed * _vessels(rng)[..., None])


def _vessels(rng: np.random.Generator) -> np.ndarray:
    """(ROWS, COLUMNS) float32 in 0..1: branching vessels, thinner and fainter with every branch."""
    canvas = np.zeros((ROWS, COLUMNS), np.float32)
    seeds = [(rng.uniform(0, COLUMNS), rng.uniform(0, ROWS), rng.uniform(0, 2 * np.pi), 3) for _ in range(26)]
    while seeds:
        x, y, heading, order = seeds.pop()
        turns = np.cumsum(rng.normal(0, 0.28, 10 + 12 * order)) + heading
        steps = 7 * np.stack([np.cos(turns), np.sin(turns)], axis=1)
        path = np.cumsum(steps, axis=0) + np.array([x, y])
        _draw(canvas, path, order)
        if order > 1:
            for at in rng.choice(len(path), 3, replace=False):
                side = rng.choice((-1, 1)) * rng.uniform(0.5, 1.1)
                seeds.append((*path[at], turns[at] + side, order - 1))
    return cv2.GaussianBlur(canvas, (0, 0), 0.9) * np.clip(0.6 + 0.4 * noise(rng, 120), 0, 1)


def _draw(canvas: np.ndarray, path: np.ndarray, order: int) -> None:
    for shift_x in (-COLUMNS, 0, COLUMNS):
        for shift_y in (-ROWS, 0, ROWS):
            points = np.round(path + np.array([shift_x, shift_y])).astype(np.int32)
            cv2.polylines(canvas, [points], False, 0.35 + 0.2 * order, order, cv2.LINE_AA)


def _spread(rng: np.random.Generator, number: int, first: float, last: float) -> np.ndarray:
    """Depths of `number` polyps, one in each equal part of the stretch, so that they rarely touch."""
    return first + (last - first) * (np.arange(number) + rng.uniform(0.1, 0.9, number)) / max(number, 1)


def _place(rng: np.random.Generator, angle: float, depth: float, size: tuple[float, float], rough: float) -> Spot:
    """An irregular ellipse of the half axes `size` at random orientation, with a margin around it."""
    reach = int(1.7 * max(size) / TEXEL) + 3
    around = np.arange(int(angle / TEXEL) - reach, int(angle / TEXEL) + reach + 1)
    along = np.arange(int(depth / TEXEL) - reach, int(depth / TEXEL) + reach + 1)
    u, v = (around * TEXEL - angle)[:, None], (along * TEXEL - depth)[None, :]
    turn = rng.uniform(0, np.pi)
    x = ((u * np.cos(turn) + v * np.sin(turn)) / size[0]).astype(np.float32)
    y = ((v * np.cos(turn) - u * np.sin(turn)) / size[1]).astype(np.float32)
    radius, phase = cv2.cartToPolar(x, y)
    for k in range(2, 7):
        wave = np.cos(k * phase + np.float32(rng.uniform(0, 2 * np.pi)))
        radius *= 1 + np.float32(rng.normal(0, rough / k)) * wave
    rows, columns = np.ix_(around % ROWS, along % COLUMNS)
    return Spot((rows, columns), radius)


def _somewhere(rng: np.random.Generator) -> tuple[float, float]:
    return rng.uniform(0, 2 * np.pi), rng.uniform(0, LENGTH)


def _add_polyp(wall: Wall, rng: np.random.Generator, angle: float, depth: float, world: World) -> None:
    """A sessile dome, a flat lesion or a tall head, with a surface and a colour of its own."""
    rest = 1 - world.flat
    kind = rng.choice(("sessile", "flat", "tall"), p=(0.6875 * rest, world.flat, 0.3125 * rest))
    reach = rng.uniform(*world.size) * {"sessile": 1.0, "flat": 1.2, "tall": 0.8}[kind]
    size = reach, reach * rng.uniform(0.65, 1.0)
    spot = _place(rng, angle, depth, size, 0.25 if kind == "flat" else 0.12)
    at, radius = spot.at, spot.radius
    profile, tall = {
        "sessile": (np.sqrt(np.clip(1 - radius**2, 0, 1)), rng.uniform(0.7, 1.1)),
        "flat": (np.clip(1 - radius**4, 0, 1), rng.uniform(0.2, 0.35)),
        "tall": (np.clip(1 - radius**6, 0, 1) ** 0.5, rng.uniform(1.1, 1.6)),
    }[kind]
    lumps = 1 + rng.uniform(0.03, 0.13) * wall.grain(rng, 20, radius.shape)
    blend = np.clip((1 - radius) * 6, 0, 1)
    wall.height[at] = wall.height[at] * (1 - 0.7 * blend) + tall * size[1] * profile * lumps
    pits = 1 + rng.uniform(0.05, 0.16) * wall.grain(rng, 6, radius.shape)
    shift = rng.normal(1.0, 0.14) + np.array([rng.normal(0, 0.05), 0, rng.normal(0.2, 0.1)])
    own = cv2.GaussianBlur(wall.colour[at], (0, 0), 12) * np.clip(shift, 0.6, 1.35) * pits[..., None]
    cover = (blend * rng.uniform(0.75, 1.0))[..., None]
    crease = 1 - rng.uniform(0.1, 0.45) * np.exp(-(((radius - 1.05) / 0.12) ** 2))[..., None]
    wall.colour[at] = (wall.colour[at] * (1 - cover) + own * cover) * crease
    wall.polyp[at] = np.maximum(wall.polyp[at], radius < 1)


def _add_knob(wall: Wall, rng: np.random.Generator) -> None:
    """A distractor: a short round fold; the wall's colour and vessels run over it."""
    reach = rng.uniform(0.12, 0.28)
    spot = _place(rng, *_somewhere(rng), (reach * rng.uniform(1.3, 2.4), reach), 0.1)
    wall.height[spot.at] += rng.uniform(0.4, 0.8) * reach * np.exp(-2.5 * spot.radius**2)


def _add_residue(wall: Wall, rng: np.random.Generator) -> None:
    """A distractor: a lump of yellow or brown residue, rough and dull."""
    reach = rng.uniform(0.03, 0.15)
    spot = _place(rng, *_somewhere(rng), (reach, reach * rng.uniform(0.5, 1)), 0.5)
    at, cover = spot.at, np.clip((1 - spot.radius) * 5, 0, 1)
    brown = rng.uniform(0.25, 0.7) * np.array([rng.uniform(0.08, 0.25), rng.uniform(0.5, 0.68), 0.85])
    colour = brown * (1 + 0.15 * wall.grain(rng, 6, cover.shape))[..., None]
    wall.height[at] += rng.uniform(0.2, 0.6) * reach * cover * (1 + 0.2 * wall.grain(rng, 20, cover.shape))
    wall.colour[at] = wall.colour[at] * (1 - cover[..., None]) + colour * cover[..., None]
    wall.gloss[at] *= 1 - 0.6 * cover
    wall.polyp[at] *= cover < 0.5


def _add_bubbles(wall: Wall, rng: np.random.Generator) -> None:
    """A distractor: a cluster of bubbles, clear domes with a pale rim and a strong highlight."""
    angle, depth = _somewhere(rng)
    for _ in range(rng.integers(3, 9)):
        reach = rng.uniform(0.02, 0.075)
        spot = _place(rng, angle + rng.normal(0, 0.12), depth + rng.normal(0, 0.12), (reach, reach), 0.03)
        rim = np.exp(-(((spot.radius - 0.92) / 0.12) ** 2))[..., None]
        wall.height[spot.at] += 0.5 * reach * np.sqrt(np.clip(1 - spot.radius**2, 0, 1))
        wall.colour[spot.at] = wall.colour[spot.at] * (1 - 0.3 * rim) + 0.25 * rim
        wall.gloss[spot.at] += 2 * (spot.radius < 1)
