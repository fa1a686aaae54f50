"""Two curves from two maps: the optimum of all pairs, parts of a pixel, order, refusals."""

from __future__ import annotations

import time
from itertools import product

import numpy as np
import pytest

from pycaffe_ext.detector.walls.regulariser import Regulariser, boundaries_of, straightened

ROUGH = Regulariser(thickness=(1, 3), smooth=0)


def value(li_map, ma_map, li, ma, chosen):
    """What the best pair has the most of, from its definition."""
    x = np.arange(len(li))
    steps = np.diff(li), np.diff(ma)
    if np.abs(steps).max(initial=0) > chosen.steepest:
        return -np.inf
    if not all(chosen.thickness[0] <= b - a <= chosen.thickness[1] for a, b in zip(li, ma, strict=True)):
        return -np.inf
    cost = chosen.slope * (steps[0] ** 2 + steps[1] ** 2) + chosen.parallel * (steps[0] - steps[1]) ** 2
    return li_map[li, x].sum() + ma_map[ma, x].sum() - cost.sum()


def best_by_trying(li_map, ma_map, chosen):
    height, width = li_map.shape
    low, high = chosen.thickness
    pairs = [(a, b) for a in range(height) for b in range(height) if low <= b - a <= high]
    return max(
        value(li_map, ma_map, np.array([a for a, _ in way]), np.array([b for _, b in way]), chosen)
        for way in product(pairs, repeat=width)
    )


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("steepest", "slope", "parallel"), [(1, 0.5, 0.5), (2, 0.2, 0.0), (1, 0.0, 2.0)])
def test_no_other_pair_of_curves_is_better(seed, steepest, slope, parallel):
    rng = np.random.default_rng(seed)
    li_map, ma_map = rng.normal(size=(2, 5, 3))
    chosen = Regulariser((1, 3), steepest, slope, parallel, smooth=0)
    li, ma = boundaries_of(li_map, ma_map, 1.0, chosen)
    rows = np.rint(li).astype(int), np.rint(ma).astype(int)
    assert value(li_map, ma_map, *rows, chosen) == pytest.approx(best_by_trying(li_map, ma_map, chosen), abs=1e-5)


def ridges(li, ma, height, sharp=1.5):
    rows = np.arange(height)[:, None]
    return tuple(-(((rows - depth[None, :]) / sharp) ** 2) for depth in (li, ma))


def test_parts_of_a_pixel_come_back():
    x = np.arange(40)
    li, ma = 10 + 0.2 * x + np.sin(x / 6), 18.3 + 0.2 * x
    found = boundaries_of(*ridges(li, ma, 40), 0.1, Regulariser(smooth=0, slope=0, parallel=0))
    assert np.abs(found[0] - li).max() < 1e-5
    assert np.abs(found[1] - ma).max() < 1e-5


def test_the_gaussian_keeps_a_straight_wall_straight():
    x = np.arange(80)
    li, ma = 5.3 + 0.31 * x, 15.8 + 0.31 * x
    found = boundaries_of(*ridges(li, ma, 50), 0.06, Regulariser(slope=0, parallel=0))
    assert np.abs(found[0] - li).max() < 0.02
    assert np.abs(found[1] - ma).max() < 0.02


def test_order_and_thickness_hold_where_the_maps_say_otherwise():
    rng = np.random.default_rng(3)
    chosen = Regulariser(thickness=(0.3, 0.9))
    li, ma = boundaries_of(*rng.normal(size=(2, 60, 90)), 0.06, chosen)
    assert (ma - li >= 0.3 / 0.06 - 1e-9).all()
    assert (ma - li <= 0.9 / 0.06 + 1.1).all()  # half a pixel each from the parabolas
    assert np.isfinite(li).all()
    crossed = boundaries_of(*ridges(np.full(30, 25.0), np.full(30, 15.0), 40), 0.1, chosen)
    assert (crossed[1] > crossed[0]).all()


def test_columns_without_evidence_are_bridged():
    x = np.arange(60)
    li, ma = 12 + 0.1 * x, 22 + 0.1 * x
    maps = ridges(li, ma, 40)
    for values in maps:
        values[:, 25:35] = 0
    found = boundaries_of(*maps, 0.06)
    assert np.abs(found[0] - li).max() < 1
    assert np.abs(found[1] - ma).max() < 1


def test_straightened_follows_a_slope():
    image = np.arange(20.0)[:, None] + np.zeros(7)
    top = 2 + 0.5 * np.arange(7)
    assert np.allclose(straightened(image, top, 4), top + np.arange(4)[:, None])
    low = straightened(image + 1, np.array([-3.0, 18.5, 0, 0, 0, 0, 40]), 3)
    assert low[:, 0].tolist() == [0, 0, 0]
    assert low[:, 1].tolist() == [19.5, 10, 0]
    assert low[:, 6].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("maps", "mm", "words"),
    [
        ((np.zeros((5, 4)), np.zeros((5, 3))), 1.0, "two of the same"),
        ((np.zeros((5, 0)), np.zeros((5, 0))), 1.0, "two of the same"),
        ((np.zeros((5, 4)), np.full((5, 4), np.nan)), 1.0, "not finite"),
        ((np.zeros((5, 4)), np.zeros((5, 4))), 0.0, "above 0"),
        ((np.zeros((5, 4)), np.zeros((5, 4))), np.nan, "above 0"),
        ((np.zeros((5, 4)), np.zeros((5, 4))), 0.01, "no room for two boundaries 25 rows apart"),
    ],
)
def test_maps_that_do_not_fit(maps, mm, words):
    with pytest.raises(ValueError, match=words):
        boundaries_of(*maps, mm)


@pytest.mark.parametrize("wrong", [{"thickness": (1, 1)}, {"thickness": (-1, 1)}, {"steepest": 0}, {"slope": np.nan}])
def test_settings_that_cannot_be(wrong):
    with pytest.raises(ValueError, match="needs|must be"):
        Regulariser(**wrong)


def test_one_column_will_do():
    li, ma = boundaries_of(*ridges(np.array([4.2]), np.array([12.4]), 20), 0.06)
    assert (li[0], ma[0]) == (pytest.approx(4.2, abs=1e-5), pytest.approx(12.4, abs=1e-5))


def test_a_region_of_usual_size_is_fast():
    maps = np.random.default_rng(0).normal(size=(2, 150, 600))
    start = time.process_time()
    boundaries_of(*maps, 0.06)
    assert time.process_time() - start < 0.5
