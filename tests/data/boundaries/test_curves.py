"""Points of two boundaries as a depth a column, and points that are no wall's."""

from __future__ import annotations

import numpy as np
import pytest

from pycaffe_ext.data.boundaries.curves import check_points, curves_of, points_of

LI, MA = points_of([20, 0], [12, 10]), points_of([-2.5, 18.2], [20, 22])


def test_points_become_a_depth_for_each_column_that_both_reach():
    found = curves_of(LI, MA)
    assert found.x.tolist() == list(range(19))
    assert np.allclose(found.li, 10 + found.x / 10)
    assert np.allclose(found.ma, 20 + 2 * (found.x + 2.5) / 20.7)
    assert np.allclose(found.thickness(0.5), (found.ma - found.li) / 2)


def test_points_in_any_order_and_two_in_a_column():
    assert points_of([3, 1, 2], [30, 10, 20]) == ((1, 10), (2, 20), (3, 30))
    doubled = curves_of(points_of([0, 5, 5, 10, 10], [1, 2, 4, 1, 1]), points_of([0, 10], [9, 9]))
    assert doubled.li[[0, 5, 10]].tolist() == [1, 3, 1]


@pytest.mark.parametrize(
    ("li", "ma", "size", "words"),
    [
        ((), MA, None, "no points of LI"),
        (LI, (), None, "no points of MA"),
        (LI, points_of([0, np.nan], [30, 30]), None, "MA is not a finite number"),
        (MA, LI, None, "cross at x = 0"),
        (LI, points_of([0, 20], [20, 12]), None, "cross at x = 20"),
        (LI, points_of([15, 40], [30, 30]), None, "6 columns in common"),
        (LI, MA, (30, 15), "outside the image of 15 x 30"),
        (LI, MA, (21, 30), "MA has a point at x = -2.5"),
    ],
)
def test_points_that_are_no_wall(li, ma, size, words):
    with pytest.raises(ValueError, match=words):
        check_points(li, ma, size)
