"""scikit-image's `resize(..., mode="constant")` for images, which pycaffe's results rest on, without scikit-image.

Sizes that shrink are smoothed first (standard deviation (factor - 1) / 2); pixels outside the image count as zero;
the result is clipped to the range of the smoothed image.  Facts: skimage.transform.resize 0.18 and its interpolation.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.ndimage import gaussian_filter

Weights = dict[int, Callable[[np.ndarray], np.ndarray]]  # neighbour's offset -> its weight at position x

ORDERS: dict[int, tuple[Callable[[np.ndarray], np.ndarray], Weights]] = {  # first neighbour, weights
    0: (lambda at: np.floor(at + 0.5), {0: np.ones_like}),
    1: (np.floor, {0: lambda x: 1 - x, 1: lambda x: x}),
    2: (
        lambda at: np.floor(at + 0.5),
        {-1: lambda x: x * (x - 1) / 2, 0: lambda x: 1 - x * x, 1: lambda x: x * (x + 1) / 2},
    ),
    3: (
        np.floor,
        {
            -1: lambda x: x * (-1 + x * (2 - x)) / 2,
            0: lambda x: 1 + x * x * (3 * x - 5) / 2,
            1: lambda x: x * (1 + x * (4 - 3 * x)) / 2,
            2: lambda x: x * x * (x - 1) / 2,
        },
    ),
}


def resize(image: np.ndarray, shape: tuple[int, int], order: int) -> np.ndarray:
    """(H, W, K) image in [0, 1] -> (shape[0], shape[1], K) float32; order is 0, 1 (linear), 2 or 3 (cubic)."""
    factors = np.array(image.shape[:2]) / np.array(shape)
    smooth = gaussian_filter(image, (*np.maximum(0, (factors - 1) / 2), 0), mode="constant")
    rows, columns = (_matrix(image.shape[axis], shape[axis], order) for axis in (0, 1))
    out = np.einsum("ih,hwk,jw->ijk", rows, smooth, columns, optimize=True)
    if order:
        out = _clipped(out, smooth.min(), smooth.max())
    return out.astype(np.float32)


def _matrix(size: int, new: int, order: int) -> np.ndarray:
    """(new, size) weights of one axis."""
    first, weights = ORDERS[order]
    at = (np.arange(new) + 0.5) * (size / new) - 0.5
    base = first(at)
    matrix = np.zeros((new, size))
    for offset, weight in weights.items():
        column = base.astype(int) + offset
        inside = (column >= 0) & (column < size)
        np.add.at(matrix, (np.flatnonzero(inside), column[inside]), weight(at - base)[inside])
    return matrix


def _clipped(out: np.ndarray, low: float, high: float) -> np.ndarray:
    clipped = np.clip(out, low, high)
    return clipped if low <= 0 <= high else np.where(out == 0, out, clipped)
