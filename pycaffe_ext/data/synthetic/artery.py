"""A phantom of the common carotid artery in longitudinal B-mode, with both boundaries of its far wall known exactly.

From the probe down: skin and muscle with fascia, sometimes a vein, the near wall, the lumen with reverberation, the far
wall (intima, media, adventitia), tissue.  A patient has a vessel, a thickness and a scanner; a frame is another view of
it, with its own speckle, gain and dropouts.  The pictures are for trying the programs, not for medicine.

Left out: refraction, a beam that widens away from its focus, plaques, an angle of the beam.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data.boundaries.folder import write_boundaries
from pycaffe_ext.data.synthetic.speckle import Floats, Pulse, compressed, echoes, envelope
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import write_csv, writing_folder
from pycaffe_ext.processes import map_processes

SIZE = (360, 400)  # height, width in pixels
FINE = 3  # samples of the signal a pixel in depth
DECIBELS = 60.0  # from black to white
WHITE = 20.0  # dB above the adventitia's mean
LEVELS = {  # echogenicity in dB; adventitia is the reference
    "muscle": -20.0,
    "fascia": -7.0,
    "vein": -38.0,
    "adventitia": 0.0,
    "media": -27.0,
    "intima": -13.0,
    "lumen": -46.0,
    "tissue": -15.0,
}
THICKNESS = (0.66, 0.2)  # mm, median; standard deviation of its logarithm, of patients
POSSIBLE = (0.4, 1.3)  # mm
INTIMA = 0.22  # mm, of its echo
ADVENTITIA = (0.7, 1.5)  # mm
SLACK, FUZZY = 7.0, 0.5  # dB that the adventitia loses on its way down; mm in which it turns to tissue
STREAK = 0.35  # mm, length along the wall of the scatterers in layers, a standard deviation

Depths = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Patient:
    """Lengths in mm, angles as slopes.  lumen : diameter.   depth : of the far wall's lumen-intima boundary in the
    middle.   wave : amplitude of its undulation.   decay : dB of amplification that lack for each mm of depth."""

    pulse: Pulse
    mm_per_pixel: float
    lumen: float
    depth: float
    slope: float
    bend: float
    wave: float
    thickness: float
    adventitia: float
    vein: float
    decay: float
    curve: float
    seed: int


@dataclass(frozen=True)
class Walls:
    """(W,) depths in mm below the middle of the first pixel of: near wall's adventitia and lumen, far wall's LI, MA,
    and the end of its adventitia."""

    near: Depths
    lumen: Depths
    li: Depths
    ma: Depths
    end: Depths


def draw_patient(rng: np.random.Generator) -> Patient:
    mm = float(rng.uniform(0.05, 0.068))
    height = SIZE[0] * mm
    lumen = float(rng.uniform(4.8, 6.8))
    frequency = float(rng.uniform(5.0, 8.0))
    return Patient(
        pulse=Pulse(frequency, axial=float(rng.uniform(0.6, 0.85)) / frequency, lateral=float(rng.uniform(0.2, 0.3))),
        mm_per_pixel=mm,
        lumen=lumen,
        depth=float(rng.uniform(max(0.5 * height, lumen + 4.5), 0.78 * height)),
        slope=float(rng.normal(0, 0.05)),
        bend=float(rng.normal(0, 0.0012)),
        wave=float(rng.uniform(0.02, 0.12)),
        thickness=float(np.clip(THICKNESS[0] * np.exp(rng.normal(0, THICKNESS[1])), *POSSIBLE)),
        adventitia=float(rng.uniform(*ADVENTITIA)),
        vein=float(rng.uniform(1.0, 2.5)) if rng.uniform() < 0.35 else 0.0,
        decay=float(rng.uniform(-0.3, 0.5)),
        curve=float(rng.uniform(1.5, 2.2)),
        seed=int(rng.integers(2**31)),
    )


def draw_frame(patient: Patient, frame: int) -> tuple[NDArray[np.uint8], Walls]:
    """(H, W) uint8 image and the depths of its walls; the same patient and number, the same image."""
    rng = np.random.default_rng([patient.seed, frame])
    view = _moved(patient, rng)
    walls = draw_walls(view, rng)
    down = view.mm_per_pixel / FINE
    strength = _strengths(view, walls, down, rng)
    signal = echoes(strength * _shadows(view, down, rng), view.pulse, down, view.mm_per_pixel)
    signal += _reverberation(signal, walls, down, rng)
    signal += rng.standard_normal(signal.shape, np.float32) * np.float32(10 ** (rng.uniform(-54, -42) / 20))
    size = np.asarray(cv2.blur(envelope(signal), (1, FINE))[FINE // 2 :: FINE], np.float32)
    grey = compressed(size, 10 ** (WHITE / 20), DECIBELS, float(rng.uniform(-5, 3)), view.curve)
    return np.rint(grey).astype(np.uint8), walls


def draw_walls(patient: Patient, rng: np.random.Generator) -> Walls:
    x = (np.arange(SIZE[1]) - SIZE[1] / 2) * patient.mm_per_pixel
    li = patient.depth + patient.slope * x + patient.bend * x**2 + patient.wave * _waves(x, rng, 7.0)
    thickness = patient.thickness * (1 + 0.09 * _waves(x, rng, 4.0))
    lumen = patient.lumen * (1 + 0.02 * _waves(x, rng, 12.0))
    ma = li + np.clip(thickness, 0.8 * POSSIBLE[0], 1.2 * POSSIBLE[1])
    end = ma + patient.adventitia * (1 + 0.15 * _waves(x, rng, 3.0))
    return Walls(li - lumen - patient.adventitia - thickness, li - lumen, li, ma, end)


def write_phantom(
    folder: str | Path, patients: int = 20, frames: int = 3, seed: int = 0, workers: int = 2, progress: bool = True
) -> None:
    """Write images/PATIENT/FRAME.png, boundaries/PATIENT/FRAME.csv and calibration.csv, whole or not at all.

    The layout is that of `data.boundaries.folder`; the same seed, the same bytes.  Raises UserError for fewer than one.
    """
    for name, value in (("patients", patients), ("frames", frames)):
        if value < 1:
            raise UserError(f"phantom: {value} {name}; at least 1")
    with writing_folder(folder) as part:
        work = partial(_write_patient, part, frames, seed)
        found = list(map_processes(work, range(patients), "phantom", workers, progress, unit="patient", chunk=1))
        write_csv(part / "calibration.csv", ("frame", "mm_per_pixel"), [row for rows in found for row in rows])


def _write_patient(folder: Path, frames: int, seed: int, number: int) -> list[tuple[str, str]]:
    patient = draw_patient(np.random.default_rng([seed, number]))
    patient = replace(patient, mm_per_pixel=float(f"{patient.mm_per_pixel:.5f}"))
    rows = []
    for frame in range(frames):
        name = f"patient{number:03d}/{frame:02d}"
        image, walls = draw_frame(patient, frame)
        for place in (folder / "images" / name, folder / "boundaries" / name):
            place.parent.mkdir(parents=True, exist_ok=True)
        (folder / "images" / f"{name}.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())
        points = [
            (kind, float(x), float(depth) / patient.mm_per_pixel)
            for kind, depths in (("LI", walls.li), ("MA", walls.ma))
            for x, depth in enumerate(depths)
        ]
        write_boundaries(folder / "boundaries" / f"{name}.csv", points, SIZE)
        rows.append((name, f"{patient.mm_per_pixel:.5f}"))
    return rows


def _moved(patient: Patient, rng: np.random.Generator) -> Patient:
    """Another view of the same vessel."""
    return replace(
        patient,
        depth=patient.depth + float(rng.normal(0, 0.25)),
        slope=patient.slope + float(rng.normal(0, 0.01)),
        lumen=patient.lumen * (1 + float(rng.normal(0, 0.02))),
    )


def _waves(x: Depths, rng: np.random.Generator, length: float) -> NDArray[np.float64]:
    """Smooth random curve of unit variance, nearly; length : mm, of its shorter waves."""
    waves = [(1.0, length * 2), (0.6, length)]
    scale = np.sqrt(2 / sum(weight**2 for weight, _ in waves))
    curves = [w * np.sin(2 * np.pi * (x / wave + rng.uniform())) for w, wave in waves]
    return np.asarray(scale * np.sum(curves, axis=0))


def _amplitude(decibels: Depths) -> NDArray[np.float32]:
    return np.exp(np.asarray(decibels, np.float32) * np.float32(np.log(10) / 20))


def _strengths(patient: Patient, walls: Walls, down: float, rng: np.random.Generator) -> Floats:
    """(FINE H, W) strength of the scatterers: random, of a variance and a length along the wall by their layer."""
    height, width = SIZE[0] * FINE, SIZE[1]
    z = ((np.arange(height) - FINE // 2) * down)[:, None].astype(np.float32)
    level, layered = _levels(patient, walls, z, rng)
    level -= patient.decay * (z - patient.depth)
    point = rng.standard_normal((height, width), np.float32)
    along = _along_wall(walls, down, (height, width), STREAK / patient.mm_per_pixel, rng)
    return _amplitude(level) * np.where(layered, 0.5 * point + np.float32(np.sqrt(0.75)) * along, point)


def _levels(patient: Patient, walls: Walls, z: Floats, rng: np.random.Generator) -> tuple[Floats, NDArray[np.bool_]]:
    """Two (H, W): echogenicity in dB, and where scatterers lie in layers along the wall."""
    walls = Walls(*(np.asarray(depth, np.float32) for depth in astuple(walls)))
    width = walls.li.size
    level = np.full((z.size, width), LEVELS["muscle"], np.float32)
    fibres = _waves(z.ravel(), rng, 1.4)[:, None] + 0.4 * _waves(np.arange(width) * patient.mm_per_pixel, rng, 5.0)
    level += (3.5 * fibres).astype(np.float32)
    layered = np.ones_like(level, bool)
    for _ in range(int(rng.integers(2, 5))):
        top = float(rng.uniform(0, max(float(walls.near.min()) - 0.5, 0.5)))
        fascia = walls.near - walls.near.mean() + top
        level[(z >= fascia) & (z < fascia + rng.uniform(0.2, 0.6))] = LEVELS["fascia"] - float(rng.uniform(0, 6))
    if patient.vein:
        bottom = walls.near - 0.6
        level[(z < bottom) & (z >= bottom - patient.vein)] = LEVELS["vein"]
    beyond = np.maximum(z - walls.end, 0)
    spots = 5 * _patches(z.size, width, rng) - float(rng.uniform(0.5, 2.8)) * beyond
    edge = (LEVELS["adventitia"] - LEVELS["tissue"] - SLACK) * np.exp(-beyond / FUZZY)  # it ends nowhere exactly
    level = np.where(beyond > 0, LEVELS["tissue"] + spots * (1 - np.exp(-beyond / FUZZY)) + edge, level)
    for first, last, kind in (
        (walls.near, walls.lumen - patient.thickness, "adventitia"),
        (walls.lumen - patient.thickness, walls.lumen - INTIMA, "media"),
        (walls.lumen - INTIMA, walls.lumen, "intima"),
        (walls.lumen, walls.li, "lumen"),
        (walls.li, walls.li + INTIMA, "intima"),
        (walls.li + INTIMA, walls.ma, "media"),
        (walls.ma, walls.end, "adventitia"),
    ):
        inside = (z >= first) & (z < last)
        level[inside] = LEVELS[kind] - (4.0 if first is walls.near else 0.0)
    layered &= (beyond == 0) & ~((z >= walls.lumen) & (z < walls.li))
    level -= np.where((z >= walls.ma) & (beyond == 0), SLACK * (z - walls.ma) / (walls.end - walls.ma), 0.0)
    fade = (2.5 * _waves(np.arange(width) * patient.mm_per_pixel, rng, 3.0)).astype(np.float32)
    level += np.where((z >= walls.li) & (z < walls.li + INTIMA), fade - 1.0, 0.0)
    level += np.where((z >= walls.lumen) & (z < walls.li), float(rng.uniform(-6, 12)), 0.0)  # haze
    return level, layered


def _patches(height: int, width: int, rng: np.random.Generator) -> NDArray[np.float32]:
    coarse = rng.standard_normal((max(height // 90, 3), max(width // 30, 3))).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))


def _along_wall(
    walls: Walls, down: float, size: tuple[int, int], length: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """(H, W) noise of unit variance that is alike along the far wall over `length` columns."""
    height, width = size
    shift = np.rint((walls.li - walls.li.min()) / down).astype(np.int64)
    room = int(shift.max())
    noise = rng.standard_normal((height + room, width), np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), sigmaX=length, sigmaY=1e-3)
    smooth = smooth / smooth.std()
    rows = np.arange(height)[:, None] - shift[None, :] + room
    return np.asarray(smooth[rows, np.arange(width)[None, :]])


def _shadows(patient: Patient, down: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """(H, W) or (1, W) factor: dropouts, a few columns that get less of the beam."""
    x = np.arange(SIZE[1]) * patient.mm_per_pixel
    lost = np.zeros(SIZE[1])
    for _ in range(int(rng.integers(0, 4))):
        lost += rng.uniform(4, 16) * np.exp(-(((x - rng.uniform(0, x[-1])) / rng.uniform(0.4, 1.5)) ** 2))
    z = (np.arange(SIZE[0] * FINE) * down)[:, None].astype(np.float32)
    below = 1 / (1 + np.exp(-(z - float(rng.uniform(1, 4))) / 0.5))
    return _amplitude(-lost[None, :].astype(np.float32) * below)


def _reverberation(signal: Floats, walls: Walls, down: float, rng: np.random.Generator) -> Floats:
    """What comes back twice between the probe's side of the near wall and a layer above it: faint copies below."""
    found = np.zeros_like(signal)
    for order in (1, 2):
        rows = int(float(rng.uniform(0.7, 1.8)) * order / down)
        found[rows:] += signal[:-rows] * np.float32(10 ** ((-24 - 8 * order + rng.uniform(-4, 4)) / 20))
    depth = (np.arange(len(signal)) * down)[:, None].astype(np.float32)
    return found * np.exp(-np.maximum(depth - walls.lumen.astype(np.float32), 0) / 2)
