"""Miniature folders of pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

PNG = cv2.imencode(".png", np.zeros((2, 2), np.uint8))[1].tobytes()


def fill(folder: Path, *files: str) -> Path:
    for name in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PNG)
    return folder


def draw(path: Path, seed: int = 0, ending: str = ".png", size: tuple[int, int] = (44, 30)) -> None:
    """A picture, (width, height), that resembles only those of the same seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), np.uint8)
    path.write_bytes(cv2.imencode(ending, cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC))[1].tobytes())
