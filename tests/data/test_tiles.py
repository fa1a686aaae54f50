"""Regions that together hold all patches."""

from __future__ import annotations

import numpy as np
import pytest

from pycaffe_ext.data import tiles


@pytest.mark.parametrize("stride", [1, 4, 32])
def test_every_place_lies_in_one_region_where_it_says(stride):
    rng = np.random.default_rng(stride)
    corners = np.unique(rng.integers(-40, 400, (300, 2)), axis=0)
    found = tiles.tiles_of(corners, stride, most=5)
    assert sorted(np.concatenate([tile.place for tile in found]).tolist()) == list(range(len(corners)))
    rows, columns = tiles.extent(found)
    assert columns <= 5
    for tile in found:
        again = np.array(tile.corner) + stride * tile.at[:, ::-1]
        np.testing.assert_array_equal(again, corners[tile.place])
        assert (tile.at >= 0).all() and (tile.at < (rows, columns)).all()


def test_beyond_the_border_the_last_pixels_are_repeated():
    picture = np.arange(12, dtype=np.uint8).reshape(1, 3, 4)
    assert tiles.pixels(picture, (2, -1), (3, 4)).tolist() == [[[2, 3, 3, 3], [2, 3, 3, 3], [6, 7, 7, 7]]]
