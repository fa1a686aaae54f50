"""Hounsfield units as bytes: a window, in the words of radiology its level (middle) and its width."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Window:
    """level, width : HU; level - width / 2 becomes 0, level + width / 2 becomes 255, linear in between."""

    level: float
    width: float


MEDIASTINUM = Window(40, 400)
EMBOLISM = Window(100, 700)  # -250 to 450 HU: clots (30 to 80) and contrast (300 and more) both keep their texture


def windowed(values: NDArray[Any], window: Window = EMBOLISM) -> NDArray[np.uint8]:
    """uint8 of the same shape, rounded."""
    low = window.level - window.width / 2
    scaled = (np.asarray(values, np.float32) - np.float32(low)) * np.float32(255 / window.width)
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)
