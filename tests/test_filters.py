"""The first layer's filters as a picture."""

import numpy as np
import pytest

from pycaffe_ext import filters


def test_tiles_turn_bgr_into_rgb_with_zero_as_grey():
    weights = np.zeros((2, 3, 2, 2), np.float32)
    weights[1, 0] = 1  # blue
    picture = filters.tiles(weights, 1, 2)
    assert picture.shape == (2, 5, 3)
    np.testing.assert_array_equal(picture[:, :2], np.full((2, 2, 3), 0.5))
    assert picture[0, 3].tolist() == [0.5, 0.5, 1] and picture[0, 2].tolist() == [1, 1, 1]


@pytest.mark.parametrize(("count", "columns"), ((12, 4), (64, 8), (96, 12), (7, 4)))
def test_filters_leave_no_hole_where_they_need_not(count, columns):
    assert filters.columns_for(count) == columns


def test_first_filters_are_those_on_colours():
    blobs = {"fc": [np.zeros((2, 4))], "conv1": [np.ones((4, 3, 5, 5)), np.zeros(4)], "conv2": [np.ones((4, 4, 3, 3))]}
    assert filters.first_filters(blobs)[0] == "conv1"
    assert filters.first_filters({"conv1": [np.ones((4, 1, 5, 5))]}) is None
