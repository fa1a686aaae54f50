"""What makes a colonoscopy frame uninformative, as physics on a sharp frame: semi-synthetic frames.

Each degradation acts on linear light between a lens and a sensor: a frame is linearised, degraded, and recorded again
with sensor noise, clipping and the black border of the endoscope's picture, which stays sharp. `severity` runs from
0, a trace as in most good frames, to 1, where hardly anything is to be seen. From LIMIT on a frame counts as
uninformative, a choice made by looking at frames. Lengths are fractions of the frame's shorter side.

The frames are for trying the programs and for controlled comparisons. They are not real uninformative frames; results
on them are called semi-synthetic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.errors import known

Light: TypeAlias = NDArray[np.float32]
GAMMA = 2.2
LIMIT = 0.3  # of severity
HIGHLIGHT = 0.85  # of linear light: what is above was clipped by the sensor, and is restored up to BRIGHTEST
BRIGHTEST = 4.0
DARK = 18  # grey levels of the border at most
READ_NOISE = 1.3  # grey levels


def degrade(image: NDArray[np.uint8], kind: str, severity: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The frame (H, W, 3) uint8 BGR, degraded in one of KINDS; equal arguments and generator states, equal pixels.

    kind : "" records a sharp frame again, with the same noise, so that noise does not tell which frames are degraded.
    severity : 0..1.  Raises UserError for an unknown kind, ValueError for a severity outside 0..1.
    """
    if not kind:
        return record(linear(image, restored=False), aperture(image), rng)
    known(kind, KINDS, "degradation")
    if not 0 <= severity <= 1:
        raise ValueError(f"severity {severity}: must be 0..1")
    border = aperture(image)
    return record(KINDS[kind](_filled(linear(image), border), severity, rng), border, rng)


def linear(image: NDArray[np.uint8], restored: bool = True) -> Light:
    """Linear light, white = 1; clipped highlights are `restored` above white, so that blurred ones stay visible."""
    table = (np.arange(256) / 255) ** GAMMA
    if restored:
        table += (BRIGHTEST - 1) * np.clip((table - HIGHLIGHT) / (1 - HIGHLIGHT), 0, 1) ** 2
    return np.asarray(table.astype(np.float32)[image])


def record(light: Light, border: Light, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The frame that the sensor and the processor make of linear light."""
    picture = 255 * np.clip(light, 0, 1) ** np.float32(1 / GAMMA)
    picture += rng.standard_normal(picture.shape, dtype=np.float32) * np.float32(READ_NOISE)
    return np.asarray(np.clip(picture * border[..., None] + 0.5, 0, 255), np.uint8)


def aperture(image: NDArray[np.uint8]) -> Light:
    """(H, W) float32: 1 inside the endoscope's picture, 0 on its black border, which touches the frame's edge."""
    dark = (image.max(axis=2) <= DARK).astype(np.uint8)
    dark = cv2.morphologyEx(dark, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE)
    _, labels = cv2.connectedComponents(dark)
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    outside = np.isin(labels, np.setdiff1d(edge, 0)).astype(np.float32)
    return 1 - outside


# --- the degradations: linear light (H, W, 3), severity, generator -> linear light ------------------------------------


def defocus(light: Light, severity: float, rng: np.random.Generator) -> Light:
    """Out of focus: every point of light becomes a disc."""
    radius = _unit(light) * (0.006 + 0.042 * severity) * rng.uniform(0.9, 1.1)
    reach = int(np.ceil(radius)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return _filter(light, np.clip(radius + 0.5 - np.hypot(x, y), 0, 1))


def motion(light: Light, severity: float, rng: np.random.Generator) -> Light:
    """The camera moves while the shutter is open.

    In half of the frames the lamp shines red, green and blue one after the other, as in many video endoscopes, so that
    each colour is smeared along its part of the path.
    """
    path = _camera_path(_unit(light) * (0.03 + 0.24 * severity) * rng.uniform(0.85, 1.15), rng)
    if rng.uniform() < 0.5:
        return _filter(light, _smear(path, path))
    thirds = np.array_split(path, 3)
    return np.dstack([_filter(light[..., i], _smear(thirds[2 - i], path)) for i in range(3)])


def bubbles(light: Light, severity: float, rng: np.random.Generator) -> Light:
    """Foam: clusters of bubbles, each a small lens with a pale rim and the lamp mirrored in it."""
    height, width = light.shape[:2]
    foam = light.copy()
    centres = rng.uniform((0.1, 0.1), (0.9, 0.9), (2 + round(3 * severity), 2)) * (height, width)
    lamp = float(np.percentile(light.max(axis=2), 80)) + 0.25
    count = round(35 + 495 * severity)
    radii = np.sort(_unit(light) * np.clip(rng.lognormal(np.log(0.026), 0.5, count), 0.008, 0.10))[::-1]
    for radius in radii:  # small ones lie over large ones
        spread = _unit(light) * (0.13 + 0.14 * severity)
        place = centres[rng.integers(len(centres))] + rng.normal(0, spread, 2)
        _add_bubble(foam, place, radius, lamp, rng)
    return foam


def fluid(light: Light, severity: float, rng: np.random.Generator) -> Light:
    """Water and residue on the lens: an uneven film that bends, blurs and colours what is behind it."""
    height, width = light.shape[:2]
    film = _smooth_noise(light.shape[:2], 0.24, rng) + 0.2 * _smooth_noise(light.shape[:2], 0.09, rng)
    down, across = (slope * _unit(light) ** 2 * (0.002 + 0.006 * severity) for slope in np.gradient(film))
    y, x = np.mgrid[:height, :width].astype(np.float32)
    bent = cv2.remap(
        light,
        (x + across).astype(np.float32),
        (y + down).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )
    soft = cv2.GaussianBlur(bent, (0, 0), _unit(light) * (0.004 + 0.032 * severity))
    thick = np.clip(0.3 + 0.45 * film + 0.75 * severity, 0, 1.6)[..., None]
    mixed = bent + np.minimum(thick, 1) * (soft - bent)
    tint = np.array([rng.uniform(0.10, 0.22), rng.uniform(0.40, 0.52), 0.62], np.float32)  # bile, or stirred residue
    passes = np.exp(-thick * (0.03 + 1.1 * severity) * (1.1 - tint))
    lit = cv2.GaussianBlur(light.mean(axis=2), (0, 0), _unit(light) * 0.15)[..., None]
    return np.asarray(mixed * passes + (1 - passes) * tint * (0.3 + 0.5 * lit), np.float32)


def contact(light: Light, severity: float, rng: np.random.Generator) -> Light:
    """The lens touches the wall: red, without any structure, brighter where the lamp is; from one side at first."""
    size = light.shape[:2]
    turn, lamp = rng.uniform(0, 2 * np.pi, 2)
    near = _ramp(size, turn)
    covered = 1 / (1 + np.exp(-(near + 1.95 * severity - 0.75) / 0.16))[..., None]
    soft = cv2.GaussianBlur(light, (0, 0), _unit(light) * (0.004 + 0.146 * severity**2))
    glow = np.exp(0.8 * _ramp(size, lamp) + 0.12 * _smooth_noise(size, 0.2, rng))[..., None]
    tissue = np.array([rng.uniform(0.03, 0.07), rng.uniform(0.05, 0.11), rng.uniform(0.5, 0.75)], np.float32)
    red = glow * (0.8 * tissue + 0.2 * soft * np.array([0.4, 0.5, 1], np.float32))
    return np.asarray(soft + covered * (red - soft), np.float32)


def overexposure(light: Light, severity: float, rng: np.random.Generator) -> Light:
    """Too much light, as close to a wet wall: gain, and glare that spreads from what is clipped."""
    spot = _ramp(light.shape[:2], rng.uniform(0, 2 * np.pi))[..., None]
    bright = light * 2 ** np.float32(0.5 + 3.3 * severity) * np.exp(0.4 * spot)
    clipped = np.clip(bright - 0.9, 0, 3)
    glare = sum(cv2.GaussianBlur(clipped, (0, 0), _unit(light) * s) for s in (0.02, 0.08))
    return np.asarray(bright + (0.045 + 0.225 * severity) * glare, np.float32)


def underexposure(light: Light, severity: float, rng: np.random.Generator) -> Light:
    """Too little light: few photons, and an amplifier that raises them together with their noise."""
    dim = np.clip(light, 0, 1) * 2 ** np.float32(-1.0 - 4.2 * severity)
    photons = 1200 * 2 ** (-1.2 * severity)
    counted = rng.poisson(dim * photons).astype(np.float32) / photons
    noise = rng.standard_normal(light.shape, dtype=np.float32) * np.float32(0.0015 + 0.0045 * severity)
    return np.asarray(np.clip(counted + noise, 0, None) * np.float32(1.4), np.float32)


KINDS: dict[str, Callable[[Light, float, np.random.Generator], Light]] = {
    "defocus": defocus,
    "motion": motion,
    "bubbles": bubbles,
    "fluid": fluid,
    "contact": contact,
    "overexposure": overexposure,
    "underexposure": underexposure,
}


# --- what they are made of --------------------------------------------------------------------------------------------


def _unit(light: Light) -> float:
    return float(min(light.shape[:2]))


def _filled(light: Light, border: Light) -> Light:
    """Light goes on outside the aperture as near it inside, so that no black is smeared into the picture."""
    reach = _unit(light) * 0.06
    near = cv2.GaussianBlur(border, (0, 0), reach)[..., None] + np.float32(1e-4)
    inside = border[..., None]
    mean = (light * inside).sum((0, 1)) / max(float(border.sum()), 1)
    around = (cv2.GaussianBlur(light * inside, (0, 0), reach) + np.float32(1e-4) * mean) / near
    return np.asarray(light * inside + around * (1 - inside), np.float32)


def _filter(light: Light, kernel: NDArray[np.floating]) -> Light:
    normal = (kernel / kernel.sum()).astype(np.float32)
    return np.asarray(cv2.filter2D(light, -1, normal, borderType=cv2.BORDER_REFLECT))


def _camera_path(length: float, rng: np.random.Generator, steps: int = 60) -> NDArray[np.float64]:
    """(steps, 2) pixels: a path of that length about (0, 0), whose direction drifts and whose speed changes."""
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.6 / np.sqrt(steps), steps))
    speed = np.exp(0.5 * np.sin(np.linspace(0, np.pi, steps) + rng.uniform(0, 2 * np.pi)))
    path = np.cumsum(speed[:, None] * np.stack([np.cos(heading), np.sin(heading)], axis=1), axis=0)
    path *= length / np.sum(speed)
    return np.asarray(path - path.mean(axis=0))


def _smear(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float32]:
    """The kernel of a part of a path, as large as the whole needs: equal light for equal time, spread bilinearly."""
    reach = int(np.abs(whole).max()) + 2
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    corner = np.floor(part).astype(int)
    rest = part - corner
    for dx in (0, 1):
        for dy in (0, 1):
            weight = np.abs(1 - dx - rest[:, 0]) * np.abs(1 - dy - rest[:, 1])
            np.add.at(kernel, (corner[:, 1] + dy + reach, corner[:, 0] + dx + reach), weight)
    return kernel


def _add_bubble(light: Light, place: NDArray[np.float64], radius: float, lamp: float, rng: np.random.Generator) -> None:
    """Draw a bubble of `radius` pixels at (row, column) `place`, which may lie outside."""
    top, left = (max(int(c - 1.2 * radius), 0) for c in place)
    bottom, right = (min(int(c + 1.2 * radius) + 2, n) for c, n in zip(place, light.shape[:2], strict=True))
    if top >= bottom or left >= right:
        return
    y, x = np.mgrid[top:bottom, left:right].astype(np.float32)
    v, u = (y - np.float32(place[0])) / np.float32(radius), (x - np.float32(place[1])) / np.float32(radius)
    r = np.hypot(u, v)
    inside = np.clip((1 - r) * np.float32(radius), 0, 1)[..., None]
    pull = np.float32(-0.5) * r**2 * np.float32(radius)
    seen = cv2.remap(light, x + u * pull, y + v * pull, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    rim = np.exp(-(((r - 0.9) / 0.09) ** 2)) * (0.6 - 0.4 * (u + v) / np.maximum(2 * r, 1e-3))
    shade = 1 - 0.35 * np.exp(-(((r - 0.72) / 0.13) ** 2))
    spark = np.exp(-((u + 0.35) ** 2 + (v + 0.42) ** 2) / 0.012) + 0.35 * np.exp(
        -((u - 0.4) ** 2 + (v - 0.45) ** 2) / 0.03
    )
    film = np.float32(rng.uniform(0.0, 0.10))
    drawn = seen * shade[..., None] * (1 - film) + (film + 0.45 * rim + 1.6 * spark)[..., None] * np.float32(lamp)
    view = light[top:bottom, left:right]
    view += inside * (drawn - view)


def _smooth_noise(size: tuple[int, int], wavelength: float, rng: np.random.Generator) -> Light:
    """(H, W) float32 of mean 0 and deviation 1; wavelength as a fraction of the shorter side."""
    cells = [max(2, round(n / (wavelength * min(size)))) + 3 for n in size]
    grid = rng.standard_normal(cells).astype(np.float32)
    field = cv2.resize(grid, size[::-1], interpolation=cv2.INTER_CUBIC)
    return np.asarray((field - field.mean()) / field.std(), np.float32)


def _ramp(size: tuple[int, int], turn: float) -> Light:
    """(H, W) float32, from about -1 on one side to 1 on the other."""
    y, x = np.mgrid[-1 : 1 : size[0] * 1j, -1 : 1 : size[1] * 1j]
    return np.asarray((x * np.cos(turn) + y * np.sin(turn)) / np.sqrt(1.5), np.float32)
