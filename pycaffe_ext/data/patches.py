"""Patches of a candidate: its box at three scales, moved five ways, in eight orientations (paper, section 6).

What the paper leaves open is decided here. The box keeps its own proportions and is resized to the square input of
the network, so scale and shift mean the same on both axes. Where it reaches beyond the frame it is clipped to the
frame before it is resized: every pixel of a patch was seen by the camera, and neither black nor repeated borders
tell the network where in the frame a patch lies. The orientation is applied to the resized square.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np

from pycaffe_ext.errors import UserError

SCALES = (1.0, 1.2, 1.5)
SHIFTS = ((0.0, 0.0), (-0.1, 0.0), (0.1, 0.0), (0.0, -0.1), (0.0, 0.1))  # of the enlarged box; + is right, down
ORIENTATIONS = 8
SIZE = 227  # AlexNet's input; other nets ask for theirs


@dataclass(frozen=True)
class View:
    """One way to cut a candidate: box enlarged `scale` times about its centre, moved by (dx, dy) of its size.

    orientation : 0..7; 4 and above are mirrored left to right first, then come orientation % 4 quarter turns
    counter-clockwise. Orientation 0 is the image as it is.
    """

    scale: float
    dx: float
    dy: float
    orientation: int


VIEWS = tuple(View(scale, dx, dy, turn) for scale, (dx, dy), turn in product(SCALES, SHIFTS, range(ORIENTATIONS)))


class BoxViews:
    """VIEWS, as the shared stages see them."""

    columns = ("scale", "dx", "dy", "orientation")

    def __len__(self) -> int:
        return len(VIEWS)

    def row(self, view: int) -> tuple[float, float, float, int]:
        """Columns of the index."""
        one = VIEWS[view]
        return one.scale, one.dx, one.dy, one.orientation


def cut_boxes(image: np.ndarray, boxes: np.ndarray, views: np.ndarray, size: int = SIZE) -> Iterator[np.ndarray]:
    """(3, size, size) uint8 BGR patch of each row: boxes (m, 4), views (m,) int; rows of one box stand together.

    Raises UserError as `cut` does.
    """
    ends = np.flatnonzero((boxes[1:] != boxes[:-1]).any(axis=1)) + 1
    for rows in np.split(np.arange(len(boxes)), ends):
        yield from cut(image, boxes[rows[0]], [VIEWS[view] for view in views[rows]], size)


def cut(image: np.ndarray, box: Sequence[float], views: Sequence[View] = VIEWS, size: int = SIZE) -> np.ndarray:
    """Patches of one candidate, (n, 3, size, size) uint8, in the order of `views`.

    image : (H, W, 3) uint8 BGR.   box : x, y, width, height in pixels of the image, fractions allowed.
    A crop of at least `size` on both sides is shrunk by area averaging, any other one resized bilinearly.
    Raises UserError if the box is not finite, has no area, or a view of it lies outside the frame.
    """
    patches = np.empty((len(views), 3, size, size), np.uint8)
    squares: dict[tuple[float, float, float], np.ndarray] = {}  # one resize serves all orientations
    for patch, view in zip(patches, views, strict=True):
        place = (view.scale, view.dx, view.dy)
        if place not in squares:
            squares[place] = _square(image, crop_box(box, view, image.shape[:2]), size)
        patch[:] = orient(squares[place], view.orientation)
    return patches


def crop_box(box: Sequence[float], view: View, frame: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom (whole pixels, right and bottom excluded) of a view, clipped to `frame` (H, W).

    Raises UserError for a degenerate box, as `cut` does.
    """
    x, y, width, height = (float(value) for value in box)
    if not (np.isfinite([x, y, width, height]).all() and width > 0 and height > 0):
        raise UserError(f"box {_show(box)}: x, y, width, height must be finite, the sizes above 0")
    centre_x = x + width / 2 + view.dx * width * view.scale
    centre_y = y + height / 2 + view.dy * height * view.scale
    left, right = _edges(centre_x, width * view.scale, frame[1])
    top, bottom = _edges(centre_y, height * view.scale, frame[0])
    if left >= right or top >= bottom:
        raise UserError(
            f"box {_show(box)}: scale {view.scale}, shift ({view.dx}, {view.dy}) leaves no pixel of the frame"
            f" of {frame[1]}x{frame[0]} (width x height)"
        )
    return left, top, right, bottom


def orient(square: np.ndarray, orientation: int) -> np.ndarray:
    """A view (no copy) of a (3, S, S) patch in one of the eight orientations; see View."""
    flipped = square[:, :, ::-1] if orientation >= 4 else square
    return np.rot90(flipped, orientation % 4, axes=(1, 2))


def _square(image: np.ndarray, crop: tuple[int, int, int, int], size: int) -> np.ndarray:
    left, top, right, bottom = crop
    shrinks = min(right - left, bottom - top) >= size
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = cv2.resize(image[top:bottom, left:right], (size, size), interpolation=method)
    return np.ascontiguousarray(resized.transpose(2, 0, 1))


def _edges(centre: float, extent: float, limit: int) -> tuple[int, int]:
    """Both edges along one axis, rounded to pixels (halves up) and clipped to 0..limit."""
    low, high = (int(np.floor(centre + side * extent / 2 + 0.5)) for side in (-1, 1))
    return max(low, 0), min(high, limit)


def _show(box: Sequence[float]) -> str:
    return "[" + ", ".join(f"{float(value):g}" for value in box) + "]"
