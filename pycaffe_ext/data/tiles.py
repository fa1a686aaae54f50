"""Regions of a picture that together hold all patches around given places: for nets that see a whole region at once.

A net with a stride sees places of a region `stride` pixels apart.  Places between them are seen in the region moved by
a part of the stride (shift and stitch), so places are sorted by what is left of their corners after the stride.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data.items import Ints

MOST = 64  # places of a region from left to right: 24 mm of a wall in one; memory stays bounded


@dataclass(frozen=True)
class Tile:
    """corner : (x, y) of its first pixel.   place : (k,) which places lie in it.   at : (k, 2) row and column of each
    among the places that the net sees."""

    corner: tuple[int, int]
    place: Ints
    at: Ints


def tiles_of(corners: Ints, stride: int, most: int = MOST) -> list[Tile]:
    """Regions for patches with these corners, (n, 2) x and y in pixels: each place lies in one of them."""
    found = []
    left = corners % stride
    for rest in np.unique(left, axis=0):
        members = np.flatnonzero((left == rest).all(axis=1))
        found += list(_in_a_row(members, corners, stride, most))
    return found


def extent(tiles: list[Tile]) -> tuple[int, int]:
    """Rows and columns of places that every tile has room for."""
    ends = np.array([tile.at.max(axis=0) for tile in tiles]) + 1
    return int(ends[:, 0].max()), int(ends[:, 1].max())


def pixels(picture: NDArray[np.uint8], corner: tuple[int, int], size: tuple[int, int]) -> NDArray[np.uint8]:
    """(C, *size) of a picture (C, H, W) from a corner on; beyond the border its last pixels are repeated."""
    rows, columns = (
        np.clip(np.arange(start, start + length), 0, end - 1)
        for start, length, end in zip(corner[::-1], size, picture.shape[1:], strict=True)
    )
    return np.ascontiguousarray(picture[:, rows[:, None], columns])


def _in_a_row(members: Ints, corners: Ints, stride: int, most: int) -> Iterator[Tile]:
    """Of places that one region could hold, were it wide enough."""
    column, row = (corners[members] // stride).T
    chunk = (column - column.min()) // most
    for number in np.unique(chunk):
        inside = chunk == number
        first = int(column[inside].min()), int(row[inside].min())
        start = corners[members][inside] % stride
        corner = first[0] * stride + int(start[0, 0]), first[1] * stride + int(start[0, 1])
        yield Tile(corner, members[inside], np.column_stack([row[inside] - first[1], column[inside] - first[0]]))
