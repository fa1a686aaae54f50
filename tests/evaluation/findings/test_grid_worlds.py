"""Grids of known truth: claims 2 and 3 and the recommendation keep their level and find what is large."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pycaffe_ext.evaluation.findings import depths, gaps, worlds
from pycaffe_ext.evaluation.simulation import share_of_each


def shares(world: worlds.GridWorld, studies: int) -> dict[str, float]:
    return share_of_each([worlds.repetition(world, 0, number) for number in range(studies)])


def test_what_is_drawn_has_the_spreads_of_its_world():
    world = worlds.GridWorld({"a": worlds.DEEP}, seeds=400, training=0.006, scratch=0.03, groups=50, pool=100)
    (own,) = worlds.draw(replace(world, cases=0.0), np.random.default_rng(0))
    spread = own.figure.values.std(axis=0, ddof=1)
    assert spread == pytest.approx([0.006] * 9 + [0.03] * 3, rel=0.15)
    assert own.figure.values.mean(axis=0) == pytest.approx(np.array(worlds.DEEP).ravel(), abs=0.005)
    (own,) = worlds.draw(replace(world, seeds=3, cases=0.02), np.random.default_rng(0))
    variance = np.einsum("iaia->ia", own.figure.covariance)
    assert np.sqrt(variance.mean()) == pytest.approx(0.02, rel=0.15)
    shared = own.figure.covariance[0, 0, 1, 0] / variance[0, 0]
    assert 0.2 < shared < 0.8  # about half of the groups are tested by both


def test_truths_are_those_of_the_world():
    crossed = worlds.WORLDS["shallow, middle and deep are the best, 3 seeds"]
    assert worlds._true(crossed, depths.STATEMENT, "") == ("best", True)
    assert worlds._true(crossed, gaps.STATEMENT, "a") == ("gap", False)
    growing = worlds.WORLDS["a growing gap, 3 seeds"]
    assert worlds._true(growing, gaps.STATEMENT, "alexnet, over applications") == ("gaps", True)
    steady = worlds.WORLDS["a steady gap, deeper is better everywhere, 3 seeds"]
    assert worlds._true(steady, depths.STATEMENT, "") == ("best", False)
    assert worlds._true(steady, depths.ALIKE, "") == ("alike", False)


def test_every_outcome_has_its_words():
    outcomes = [worlds.repetition(worlds.WORLDS[name], 1, 1) for name in list(worlds.WORLDS)[::2]]
    assert {name for own in outcomes for name in own} <= set(worlds.MEANINGS)


def test_equal_schemes_are_seldom_told_apart():
    found = shares(worlds.GridWorld({"a": worlds.EQUAL, "b": worlds.EQUAL}), 20)
    assert max(found[name] for name in ("gap", "gaps", "best", "alike", "verdict")) <= 0.2


def test_what_is_large_is_found_and_no_bad_scheme_is_recommended():
    calm = {"training": 0.003, "scratch": 0.006, "cases": 0.005}
    found = shares(worlds.GridWorld({"a": worlds.SHALLOW, "b": worlds.MIDDLE, "c": worlds.DEEP}, **calm), 5)
    assert found["best_found"] == found["alike_found"] == 1 and found["worse"] == 0 and found["recommended"] == 1
    found = shares(worlds.GridWorld({"a": worlds.GROWING, "b": worlds.GROWING}, **calm), 5)
    assert found["gap_found"] == found["gaps_found"] == 1
