"""The visible field of a frame: what the endoscope shows, without the black surround and what is printed there.

Every length of the detector is a share of the field, so that neither the frame's size nor its surround matters.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from pycaffe_ext.detector.edges import View, look, visible

PASSES = 2  # the first finds the field roughly where the surround is wide, the second within a pixel at working size
MARGIN = 0.02  # share of the field's longest side that a pass leaves around what the one before has found


class Field(NamedTuple):
    """The field's bounding box in pixels of the frame: rows top to bottom, columns left to right, ends not included."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)"""
        return self.bottom - self.top, self.right - self.left

    def of(self, picture: np.ndarray) -> np.ndarray:
        """That part of the frame, or of its mask."""
        return picture[self.top : self.bottom, self.left : self.right]


def field(image: np.ndarray, side: int) -> Field:
    """The field of a BGR uint8 frame, looked for at `side` pixels; the whole frame if it is black."""
    found = whole = Field(0, 0, *image.shape[:2])
    for _ in range(PASSES):
        seen = visible(resized(found.of(image), side))
        if not seen.any():
            return whole
        inner = _bounds(seen, found)
        if inner == found:
            break
        margin = round(MARGIN * max(inner.bottom - inner.top, inner.right - inner.left))
        found = _grown(inner, margin, whole)
    return inner


def view_of(image: np.ndarray, side: int) -> tuple[View, Field]:
    """The field of a frame at working size, its longest side `side` pixels long, and where it lies in the frame."""
    found = field(image, side)
    return look(resized(found.of(image), side)), found


def resized(image: np.ndarray, side: int) -> np.ndarray:
    height, width = image.shape[:2]
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def _bounds(seen: np.ndarray, within: Field) -> Field:
    """The bounding box of `seen`, a picture of `within` at another size, in pixels of the frame."""
    ends = []
    for axis, (start, end) in enumerate(((within.top, within.bottom), (within.left, within.right))):
        shown = np.flatnonzero(seen.any(axis=1 - axis))
        scale = (end - start) / seen.shape[axis]
        ends.append((start + int(shown[0] * scale), min(end, start + int(np.ceil((shown[-1] + 1) * scale)))))
    return Field(ends[0][0], ends[1][0], ends[0][1], ends[1][1])


def _grown(box: Field, margin: int, whole: Field) -> Field:
    top, left = max(box.top - margin, 0), max(box.left - margin, 0)
    return Field(top, left, min(box.bottom + margin, whole.bottom), min(box.right + margin, whole.right))
