"""From the class probabilities of places on the lattice to both boundaries, and which regulariser suits them.

The maps are logarithms of the probabilities of the two interface classes on a square grid of one step; between the
lattice's columns they lie on straight lines, and where nothing was scored they are as low as can be.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np

from pycaffe_ext.data.boundaries.lattice import ACROSS, STEP
from pycaffe_ext.data.items import Floats, Ints
from pycaffe_ext.detector.walls.regulariser import Regulariser, boundaries_of

LEAST = 1e-4  # probability that counts as none
CHOICES = tuple(  # of which the validation images choose
    Regulariser(slope=cost, parallel=cost, smooth=smooth) for cost, smooth in product((0.1, 0.5, 3.0), (0.3, 0.8))
)
Pairs = Callable[[Regulariser], Sequence[tuple[Floats, Floats]]]


def curves_from(column: Ints, row: Ints, probability: Floats, regulariser: Regulariser) -> Floats:
    """(K, 2) rows of the lattice, lumen-intima and media-adventitia, in each of its K columns, ascending.

    column, row : (n,) of the scored places.   probability : (n, 3), class 0 the background.
    """
    columns, place = np.unique(column, return_inverse=True)
    top, height = int(row.min()), int(row.max() - row.min()) + 1
    scored = np.full((2, height, columns.size), np.log(LEAST))
    scored[:, row - top, place] = np.log(np.maximum(probability[:, 1:].T, LEAST))
    at = np.arange(columns[0] * ACROSS, columns[-1] * ACROSS + 1)
    li_map, ma_map = (_between(one, columns * ACROSS, at) for one in scored)
    li, ma = boundaries_of(li_map, ma_map, STEP, regulariser)
    chosen = columns * ACROSS - at[0]
    return np.column_stack([li[chosen], ma[chosen]]) + top


def best_regulariser(curves: Pairs, choices: Sequence[Regulariser] = CHOICES) -> Regulariser:
    """The one with the least mean absolute error over all images, every image counting the same.

    curves : of the (found, true) curves, (K, 2) each, of every image in mm by a regulariser; NaN where one is unknown.
    Raises ValueError if nothing is known.
    """
    return min(choices, key=lambda choice: mean_error(curves(choice)))


def mean_error(pairs: Sequence[tuple[Floats, Floats]]) -> float:
    """Mean over images of the mean absolute difference of (found, true) curves where both are known."""
    away = [np.abs(found - true) for found, true in pairs]
    known = [one[np.isfinite(one)].mean() for one in away if np.isfinite(one).any()]
    if not known:
        raise ValueError("no column of an image has a known boundary")
    return float(np.mean(known))


def _between(values: Floats, at: Ints, wanted: Ints) -> Floats:
    """(H, len(wanted)) of (H, len(at)), on straight lines; at : ascending."""
    right = np.clip(np.searchsorted(at, wanted), 1, max(len(at) - 1, 1)) if len(at) > 1 else np.zeros(len(wanted), int)
    left = np.maximum(right - 1, 0)
    width = np.maximum(at[right] - at[left], 1)
    part = np.where(right > left, (wanted - at[left]) / width, 0.0)
    return np.asarray(values[:, left] * (1 - part) + values[:, right] * part)
