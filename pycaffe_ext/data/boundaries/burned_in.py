"""Text, scales and callipers that a scanner burned into an image, and the part of it that shows tissue.

A scanner draws graphics in a few grey levels with hard edges; speckle is smooth at that scale.  So pixels belong to
graphics if no neighbour is of nearly the same grey, and their level is one in which lines are drawn.  The levels are
found in the image itself.  A lossy file (JPEG) blurs levels and edges: there nothing is found.

Callipers lie on the boundary that an expert measured, so they give the answer away.  `Marks.mask` is for patches and
evaluation alike: no patch is centred there, and no column is judged in whose wall it lies.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data.items import Floats, Ints

Grey = NDArray[np.uint8]
Mask = NDArray[np.bool_]

BRIGHT = 100  # graphics are drawn at least so bright
EDGE = 24  # grey levels; the steps of speckle from pixel to pixel are smaller
LEAST = 4  # pixels of a level in the middle of three of one grey: a cross has four
OUTLINE = 2  # pixels around graphics that scanners blacken so that they stand out
DARK = 3  # grey; a background is not brighter
SEEN = 0.05  # share of a row or column that shows speckle where tissue is shown
RUN = 5  # rows or columns in a line that must


@dataclass(frozen=True)
class Marks:
    """mask : (H, W) bool, burned in or beside it.   view : (top, bottom, left, right), the slice that shows tissue."""

    mask: Mask
    view: tuple[int, int, int, int]

    def valid(self) -> Mask:
        """(H, W) bool: shows tissue and nothing else."""
        valid = np.zeros_like(self.mask)
        top, bottom, left, right = self.view
        valid[top:bottom, left:right] = ~self.mask[top:bottom, left:right]
        return valid


def marks_of(grey: Grey, coloured: Mask | None = None) -> Marks:
    """What is burned into an image, (H, W) uint8, and where it shows tissue.

    coloured : (H, W) bool, pixels in colour; they count as graphics.
    """
    drawn = np.isin(grey, graphic_levels(grey)) & _hard_edged(grey)
    drawn = drawn if coloured is None else drawn | coloured
    mask = cv2.dilate(drawn.astype(np.uint8), np.ones((2 * OUTLINE + 1,) * 2, np.uint8)).astype(bool)
    return Marks(mask, _view(grey, mask))


def graphic_levels(grey: Grey) -> list[int]:
    """Grey levels in which graphics are drawn, ascending."""
    drawn = _hard_edged(grey)
    level = np.pad(np.where(drawn, grey, 0), 1)
    inner = level[1:-1, 1:-1]
    lines = np.zeros(grey.shape, bool)
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        lines |= (np.roll(level, (dy, dx), (0, 1))[1:-1, 1:-1] == inner) & (
            np.roll(level, (-dy, -dx), (0, 1))[1:-1, 1:-1] == inner
        )
    return np.flatnonzero(np.bincount(grey[lines & drawn], minlength=256) >= LEAST).tolist()


def cleaned(grey: Grey, mask: Mask) -> Grey:
    """The image with what is under `mask` filled from around it: less misleading to a filter than a bright cross.

    The filling is smooth and still shows where something was; that is why those columns are not judged either.
    """
    if not mask.any():
        return grey
    return np.asarray(cv2.inpaint(grey, mask.astype(np.uint8), 3, cv2.INPAINT_NS), np.uint8)


def clear_columns(valid: Mask, x: Ints, top: Floats, bottom: Floats, reach: int) -> Mask:
    """(n,) bool: no invalid pixel within `reach` pixels, sideways and in depth, of what lies from top to bottom.

    x : (n,) columns.   top, bottom : (n,) rows, as far as a judgement looks in each column.
    """
    spoiled = cv2.dilate((~valid).astype(np.uint8), np.ones((2 * reach + 1,) * 2, np.uint8)).astype(bool)
    below = np.vstack([np.zeros((1, valid.shape[1]), np.int64), np.cumsum(spoiled, axis=0)])
    first = np.clip(np.floor(top).astype(np.int64), 0, valid.shape[0])
    last = np.clip(np.ceil(bottom).astype(np.int64) + 1, 0, valid.shape[0])
    inside = (x >= 0) & (x < valid.shape[1])
    column = np.clip(x, 0, valid.shape[1] - 1)
    return np.asarray(inside & (below[last, column] == below[first, column]))


def _hard_edged(grey: Grey) -> Mask:
    """Bright pixels at an edge; each neighbour above, below, left and right is of the same grey or far from it."""
    level = np.pad(grey.astype(np.int16), 1, "edge")
    around = np.stack([level[1:-1, :-2], level[1:-1, 2:], level[:-2, 1:-1], level[2:, 1:-1]])
    step = np.abs(around - level[1:-1, 1:-1])
    return np.asarray((grey >= BRIGHT) & ((step == 0) | (step > EDGE)).all(axis=0) & (step > EDGE).any(axis=0))


def _view(grey: Grey, mask: Mask) -> tuple[int, int, int, int]:
    """From the first to the last column, and row in them, with speckle: grey that changes softly from left to right.

    Neither the plain ground of a header nor a bar of greys does.
    """
    step = np.abs(np.diff(grey.astype(np.int16), axis=1, prepend=grey[:, :1]))
    shows = (grey > DARK) & (step > 0) & (step <= EDGE) & ~mask
    left, right = _extent(shows.mean(axis=0) > SEEN)
    top, bottom = _extent(shows[:, left:right].mean(axis=1) > SEEN)
    return top, bottom, left, right


def _extent(holds: Mask) -> tuple[int, int]:
    """Start and end of what holds, runs shorter than RUN left out; everything if nothing is left."""
    kept = cv2.morphologyEx(holds.astype(np.uint8)[None], cv2.MORPH_OPEN, np.ones((1, RUN), np.uint8))[0]
    at = np.flatnonzero(kept)
    return (int(at[0]), int(at[-1]) + 1) if at.size else (0, len(holds))
