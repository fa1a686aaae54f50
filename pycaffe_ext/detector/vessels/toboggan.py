"""Tobogganing: each voxel slides to its darkest neighbour, again and again, until there is none that is darker.

After Fairfield (1990), and Liang and Bi (2007) for clots: a filling defect is a hollow into which the voxels around it
slide; where many meet lies a candidate.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.detector.vessels.lungs import Mask

Places = NDArray[np.int64]
NEIGHBOURS = [offset for offset in product((-1, 0, 1), repeat=3) if any(offset)]


def slide(values: NDArray[np.float32], mask: Mask) -> tuple[Places, NDArray[np.int32]]:
    """Where the voxels of a mask slide to, by their 26 neighbours in the mask.

    values, mask : (z, y, x).  Returns (n, 3) places (z, y, x) of the n voxels in the mask, in the array's order, and
    (n,) the number of the voxel, among these, that each ends in.  Of equal values the first in that order is the darker
    one, so that a flat part has one end.  The work needs 4 bytes a voxel of the array and about 30 one of the mask.
    """
    padded = np.pad(mask, 1)
    flat = np.flatnonzero(padded)
    number = np.full(padded.size, -1, np.int32)
    number[flat] = np.arange(len(flat), dtype=np.int32)
    level = values[mask].astype(np.float32)
    target = np.arange(len(flat), dtype=np.int32)
    for offset in NEIGHBOURS:
        steps = np.ravel_multi_index(np.add(offset, 1), padded.shape) - np.ravel_multi_index((1, 1, 1), padded.shape)
        other = number[flat + steps]
        here, there = np.flatnonzero(other >= 0), other[other >= 0]
        now = target[here]
        darker = (level[there] < level[now]) | ((level[there] == level[now]) & (there < now))
        target[here[darker]] = there[darker]
    places = np.stack(np.unravel_index(flat, padded.shape), axis=1) - 1
    return places, _ends(target)


def _ends(target: NDArray[np.int32]) -> NDArray[np.int32]:
    """The end of each chain; every round doubles the length of the jumps."""
    while True:
        further = target[target]
        if np.array_equal(further, target):
            return target
        target = further
