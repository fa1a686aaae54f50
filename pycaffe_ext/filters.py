"""The filters of a net's first convolution as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np


def first_filters(blobs: Mapping[str, Sequence[np.ndarray | None]]) -> tuple[str, np.ndarray] | None:
    """Name and weights (n, 3, k, k) float32 BGR of a net's first convolution; None if there is none on colours.

    blobs : learned blobs by layer name, in the order of the net (see `proto.read_blobs`)
    """
    for name, own in blobs.items():
        if own and own[0] is not None and own[0].ndim == 4 and own[0].shape[1] == 3:
            return name, own[0]
    return None


def tiles(weights: np.ndarray, reach: float, columns: int) -> np.ndarray:
    """Filters as one RGB picture (rows, columns, 3) float in 0..1, one pixel of white between them.

    weights : (n, 3, k, k) BGR.  0 is mid-grey; -reach is 0 and +reach is 1 of each colour.
    """
    count, _, size, _ = weights.shape
    shown = np.clip(0.5 + weights[:, ::-1].transpose(0, 2, 3, 1) / (2 * reach), 0, 1)
    rows = -(-count // columns)
    picture = np.ones((rows * (size + 1), columns * (size + 1), 3))
    for i, one in enumerate(shown):
        top, left = i // columns * (size + 1), i % columns * (size + 1)
        picture[top : top + size, left : left + size] = one
    return picture[:-1, :-1]


def columns_for(count: int) -> int:
    """Columns that make a picture wider than tall and leave no hole, if there are such."""
    wanted = np.sqrt(1.5 * count)
    even = [n for n in range(1, count + 1) if count % n == 0 and 0.6 * wanted <= n <= 1.7 * wanted]
    return min(even, key=lambda n: abs(n - wanted), default=int(np.ceil(wanted)))
