"""Whole pictures made square: the setting RESIZE."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.errors import known

RESIZE = {
    "squash": "width and height scaled each by itself, as Caffe's programs and the paper do: nothing is cut off, shapes"
    " are stretched",
    "keep": "scaled as a whole and centred on black: nothing is cut off or stretched",
    "crop": "the square in the middle: nothing is stretched, both ends of the longer side are cut off",
}


def resize(image: NDArray[Any], size: int, mode: str = "squash") -> NDArray[Any]:
    """(size, size, channels) of an image (H, W, channels) uint8; `mode` is one of RESIZE, UserError otherwise.

    An axis that shrinks is averaged by area, one that grows is interpolated linearly.
    """
    known(mode, RESIZE, "RESIZE")
    height, width = image.shape[:2]
    if mode == "crop":
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        return _scale(image[top : top + side, left : left + side], size, size)
    if mode == "squash":
        return _scale(image, size, size)
    rows, columns = (max(1, round(size * n / max(height, width))) for n in (height, width))
    square = np.zeros((size, size, *image.shape[2:]), image.dtype)
    top, left = (size - rows) // 2, (size - columns) // 2
    square[top : top + rows, left : left + columns] = _scale(image, rows, columns)
    return square


def _scale(image: NDArray[Any], rows: int, columns: int) -> NDArray[Any]:
    """Shrunk first, then enlarged: cv2.INTER_AREA averages only where no axis grows."""
    least = min(columns, image.shape[1]), min(rows, image.shape[0])
    small = cv2.resize(image, least, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (columns, rows), interpolation=cv2.INTER_LINEAR)
