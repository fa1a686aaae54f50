"""Patches of a whole picture: resized to a square a little larger than the net's input, then cropped and mirrored.

The paper resizes colonoscopy frames to 256 x 256 and cuts sub-patches of 227 x 227 from them; for a net of another
input the square keeps this proportion (253 for 224). Both the places, a grid of three by three from edge to edge, and
the mirroring are choices made here; the paper says only that there are several for training and a fixed grid, whose
probabilities are averaged, for testing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.pictures.resize import resize

RESIZED, INPUT = 256, 227  # the paper's sizes
GRID = (0.5, 0.0, 1.0)  # of the room that a patch has to move; 0 is the upper or left edge


@dataclass(frozen=True)
class Crop:
    """One way to cut a picture: at (dy, dx), fractions of the room down and to the right, and mirrored left to right
    or not."""

    dy: float
    dx: float
    mirror: bool


CROPS = tuple(Crop(*place) for place in product(GRID, GRID, (False, True)))  # the plain centre is the first


class CropViews:
    """CROPS, as the shared stages see them."""

    columns = ("dy", "dx", "mirror")

    def __len__(self) -> int:
        return len(CROPS)

    def row(self, view: int) -> tuple[float, float, int]:
        """Columns of the index."""
        crop = CROPS[view]
        return crop.dy, crop.dx, int(crop.mirror)


def square_side(size: int) -> int:
    """Rows and columns of the resized picture for patches of `size`."""
    return round(size * RESIZED / INPUT)


def cut(
    image: NDArray[np.uint8], crops: Sequence[Crop] = CROPS, size: int = INPUT, mode: str = "squash"
) -> Iterator[NDArray[np.uint8]]:
    """Patches (3, size, size) uint8 BGR of a picture (H, W, 3) uint8 BGR, in the order of `crops`.

    mode : how it is made square, see `pictures.resize`.
    """
    side = square_side(size)
    square = resize(image, side, mode).transpose(2, 0, 1)
    for crop in crops:
        top, left = (int(fraction * (side - size) + 0.5) for fraction in (crop.dy, crop.dx))
        patch = square[:, top : top + size, left : left + size]
        yield np.ascontiguousarray(patch[:, :, ::-1] if crop.mirror else patch)
