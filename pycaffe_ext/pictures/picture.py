"""A decoded picture, and the two ways in which a file can fail to be one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np


class Damaged(Exception):
    """The file is cut off or its bytes were changed; the text says how that shows.

    partly : whether a decoder gives what is left.
    """

    def __init__(self, how: str, partly: bool = False) -> None:
        super().__init__(how)
        self.partly = partly


class Refused(Exception):
    """The file is whole but cannot be read without guessing; the text says why and what to do."""


@dataclass(frozen=True)
class Picture:
    """pixels : (H, W) grey or (H, W, 3) BGR; bool, whole numbers or floats.   full : what stands for white.
    stored : the file's own values, before palette and colour model are applied; (H, W) or (H, W, samples).
    alpha : (H, W), `full` where opaque; None without transparency.   lossy : whether the format loses detail.
    damage : what is wrong with a damaged file that is kept; "" otherwise.
    """

    pixels: np.ndarray
    full: float
    stored: np.ndarray
    alpha: np.ndarray | None = None
    lossy: bool = False
    damage: str = ""

    def upright(self, orientation: int) -> Picture:
        """The picture as viewers show it; `orientation` as EXIF and TIFF count it, 1 is upright."""
        if orientation == 1:
            return self
        alpha = None if self.alpha is None else turn(self.alpha, orientation)
        return replace(self, pixels=turn(self.pixels, orientation), stored=turn(self.stored, orientation), alpha=alpha)


def turn(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels (H, W, ...) turned and mirrored as EXIF orientation 1 to 8 asks for; others are taken as 1."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
