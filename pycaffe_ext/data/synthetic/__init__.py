"""Synthetic colonoscopy: sequences of frames with masks, so that everything runs where no data set is at hand.

A bent tube with folds, vessels, residue, bubbles and polyps (anatomy) is seen by a moving camera (camera) under its
own lamp, through a lens and a noisy sensor (optics). The pictures are for trying the programs, not for medicine.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from pycaffe_ext.data.synthetic.anatomy import build_wall
from pycaffe_ext.data.synthetic.camera import cast, random_bend, random_path
from pycaffe_ext.data.synthetic.optics import (
    expose,
    pixel_rays,
    polyp_mask,
    random_lens,
    shade,
    wall_slopes,
)
from pycaffe_ext.data.synthetic.world import USUAL, WORLDS, World
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import writing_folder
from pycaffe_ext.processes import map_processes

__all__ = ["WORLDS", "World", "render_video", "write_sequences"]

SIZE = (288, 352)  # height, width
WITHOUT_POLYPS = 4  # every fourth video shows none
START, PACE = 0.5, 0.3  # depth of the first frame, advance a frame, in radii of the tube
JPEG_QUALITY = 95


def write_sequences(
    folder: str | Path,
    videos: int = 32,
    frames: int = 8,
    size: tuple[int, int] = SIZE,
    seed: int = 0,
    workers: int = 2,
    progress: bool = True,
    world: World = USUAL,
) -> None:
    """Write `images/VIDEO/NNN.jpg` and `masks/VIDEO/NNN.png`, whole or not at all; the same seed, the same bytes.

    size : (height, width) in pixels, each at least 64. Raises UserError if a number is too small.
    """
    for name, value, least in (("videos", videos, 1), ("frames", frames, 1), ("size", min(size), 64)):
        if value < least:
            raise UserError(f"synthetic {name}: {value} is too small; at least {least}")
    with writing_folder(folder) as part:
        work = partial(_write_video, part, frames=frames, size=(size[0], size[1]), seed=seed, world=world)
        list(map_processes(work, range(videos), "synthetic videos", workers, progress, unit="video", chunk=1))


def render_video(
    video: int, frames: int, size: tuple[int, int] = SIZE, seed: int = 0, world: World = USUAL
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Frames (H, W, 3) uint8 BGR with masks (H, W) uint8 0/255 of one video."""
    rng = np.random.default_rng([seed, video])
    times, end = (np.arange(frames) + 0.5) / frames, START + PACE * frames
    polyps = (
        0 if video % WITHOUT_POLYPS == WITHOUT_POLYPS - 1 else int(rng.integers(world.polyps[0], world.polyps[1] + 1))
    )
    wall, bend = build_wall(rng, polyps, START + 1.0, end + 0.5, world), random_bend(rng)
    seen = world.scene(size)
    lens, slopes, rays = random_lens(rng, seen), wall_slopes(wall.height), pixel_rays(seen)
    path = random_path(rng, bend, times, (START, end), wall.polyps)
    for position, rotation in zip(*path, strict=True):
        hits = cast(wall.height, bend, position, rays @ rotation.T)
        linear = shade(wall, slopes, hits, position + rotation @ lens.light, lens)
        mask = polyp_mask(wall, hits, lens, world.smallest)
        yield world.framed(expose(linear, lens, rng), size), world.framed(mask, size)


def _write_video(folder: Path, video: int, frames: int, size: tuple[int, int], seed: int, world: World) -> None:
    name = f"video{video:03d}"
    for part in ("images", "masks"):
        (folder / part / name).mkdir(parents=True)
    for number, (image, mask) in enumerate(render_video(video, frames, size, seed, world)):
        _write(folder / "images" / name / f"{number:04d}.jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        _write(folder / "masks" / name / f"{number:04d}.png", mask, [cv2.IMWRITE_PNG_BILEVEL, 1])


def _write(path: Path, image: np.ndarray, settings: list[int]) -> None:
    """Encode, then write: OpenCV's own writer hides a full disk."""
    _, data = cv2.imencode(path.suffix, image, settings)
    path.write_bytes(data.tobytes())
