"""Choosing a balanced set of patches: what is kept, how it is spread, what is refused."""

import tracemalloc

import numpy as np
import pytest
from packing_lab import choose, take_all

from pycaffe_ext.data import balance
from pycaffe_ext.data.patches import VIEWS
from pycaffe_ext.errors import UserError

LABELS = (np.arange(500) % 10 == 3).astype(int)  # 50 positives, 450 negatives


def pairs(selection):
    return list(zip(selection.sample.tolist(), selection.view.tolist(), strict=True))


def test_all_positives_are_kept_and_as_many_negatives():
    chosen = choose(LABELS, seed=1)
    positives = [pair for pair, label in zip(pairs(chosen), chosen.label, strict=True) if label == 1]
    assert sorted(positives) == [(c, v) for c in np.flatnonzero(LABELS) for v in range(120)]
    assert (chosen.label == 0).sum() == len(positives) == 6000
    np.testing.assert_array_equal(chosen.label, LABELS[chosen.sample])


def test_no_patch_is_chosen_twice_and_the_order_is_by_candidate_then_view():
    listed = pairs(choose(LABELS, limit=3001, seed=2))
    assert listed == sorted(set(listed)) and len(listed) == 3000


@pytest.mark.parametrize("limit", [1000, 1001, 40, 2])
def test_the_cap_is_shared_by_the_classes_and_spread_over_candidates(limit):
    chosen = choose(LABELS, limit=limit, seed=3)
    for label in (0, 1):
        mine = chosen.sample[chosen.label == label]
        assert len(mine) == limit // 2
        takes = np.bincount(mine, minlength=len(LABELS))[label == LABELS]
        assert takes.max() - takes.min() <= 1


def test_every_patch_of_a_class_is_equally_likely():
    labels = np.repeat([0, 1], [6, 2])
    hits = np.zeros((8, 12))
    for seed in range(2000):
        chosen = choose(labels, seed=seed, views=12)
        hits[chosen.sample, chosen.view] += 1
    negatives = hits[:6] / 2000  # 24 of 72 each time; standard error 0.0105
    assert np.abs(negatives - 1 / 3).max() < 0.05 and (hits[6:] == 2000).all()


def test_a_seed_repeats_and_another_one_differs():
    assert pairs(choose(LABELS, 1000, 5)) == pairs(choose(LABELS, 1000, 5))
    assert pairs(choose(LABELS, 1000, 5)) != pairs(choose(LABELS, 1000, 6))


def test_the_rarest_class_sets_the_size_whichever_it_is():
    assert np.bincount(choose(1 - LABELS).label).tolist() == [6000, 6000]
    assert np.bincount(choose(np.repeat([0, 1, 2], [9, 4, 6]), classes=3).label).tolist() == [480] * 3


def test_millions_of_candidates_take_memory_for_the_chosen_only():
    labels = np.zeros(2_000_000, np.int8)
    labels[::400] = 1
    tracemalloc.start()
    chosen = choose(labels, limit=100_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(chosen) == 100_000 and peak < 300e6  # the whole table would be 240 million patches


@pytest.mark.parametrize(
    ("labels", "settings", "says"),
    [
        (np.zeros(7, int), {}, "7 of class 0, 0 of class 1.*add data"),
        (np.ones(3, int), {}, "0 of class 0, 3 of class 1"),
        (np.zeros(0, int), {}, "0 of class 0, 0 of class 1"),
        (np.array([0, 1, 2]), {}, r"labels from 0 to 2: must be 0\.\.1"),
        (np.array([0, 1]), {"limit": 1}, "PATCHES="),
    ],
)
def test_wrong_input_is_told(labels, settings, says):
    with pytest.raises(UserError, match=says):
        choose(labels, **settings)


@pytest.mark.parametrize("count", range(1, 121))
def test_fewer_views_are_distinct_and_begin_with_the_plain_box(count):
    views = balance.spread_views(count, 120)
    assert len(set(views.tolist())) == count and views[0] == 0
    scales = [sum(VIEWS[v].scale == scale for v in views) for scale in (1.0, 1.2, 1.5)]
    assert max(scales) - min(scales) <= 1


def test_take_all_gives_every_candidate_the_same_views():
    everything = take_all(LABELS)
    assert pairs(everything) == [(c, v) for c in range(500) for v in range(120)]
    few = take_all(LABELS, 6)
    assert few.view.reshape(500, 6).tolist() == [balance.spread_views(6, 120).tolist()] * 500
    np.testing.assert_array_equal(few.label, np.repeat(LABELS, 6))
    for count in (0, 121):
        with pytest.raises(UserError, match=r"allowed: 1 to 120"):
            balance.spread_views(count, 120)
