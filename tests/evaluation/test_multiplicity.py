"""Adjusted p values: what max-T must be at its ends, by brute force, and that a table keeps its level."""

import numpy as np
import pytest
from scipy.stats import norm

from pycaffe_ext.evaluation.multiplicity import holm, max_t


def naive_max_t(p, drawn):
    """Step by step, as Westfall and Young (1993, algorithm 2.8) put it: the least p of the tests not yet passed."""
    z = (drawn - drawn.mean(0)) / drawn.std(0, ddof=1)
    null = 2 * norm.cdf(-np.abs(z))
    order, adjusted, before = np.argsort(p, kind="stable"), np.empty(len(p)), 0.0
    for rank, i in enumerate(order):
        reached = sum(row[order[rank:]].min() <= p[i] for row in null)
        before = adjusted[i] = max(before, p[i], (1 + reached) / (1 + len(drawn)))
    return adjusted


def test_by_brute_force():
    rng = np.random.default_rng(0)
    for tests in (1, 2, 5):
        drawn = rng.normal(size=(99, tests)) @ rng.normal(size=(tests, tests)) + 3
        p = rng.random(tests) ** 2
        assert max_t(p.tolist(), drawn) == pytest.approx(naive_max_t(p, drawn))


def test_one_test_is_not_adjusted_and_copies_of_it_are_not_either():
    drawn = np.random.default_rng(1).normal(size=(20_000, 1))
    assert max_t([0.03], drawn) == pytest.approx([0.03], abs=0.004)
    assert max_t([0.03] * 6, np.repeat(drawn, 6, axis=1)) == pytest.approx([0.03] * 6, abs=0.004)
    assert holm([0.03] * 6) == pytest.approx([0.18] * 6)


def test_independent_tests_are_adjusted_as_by_sidak():
    drawn = np.random.default_rng(2).normal(size=(40_000, 3))
    assert max_t([0.01, 0.2, 0.5], drawn) == pytest.approx([1 - 0.99**3, 1 - 0.8**2, 0.5], abs=0.01)


def test_what_was_not_tested_is_not_counted():
    drawn = np.random.default_rng(3).normal(size=(500, 3))
    drawn[:, 1] = np.nan
    alone = max_t([0.01, 0.04], drawn[:, ::2])
    assert max_t([0.01, None, 0.04], drawn) == [alone[0], None, alone[1]]
    assert max_t([None, None, None], drawn) == [None] * 3 and max_t([], np.empty((5, 0))) == []
    holes = drawn[:, ::2].copy()
    holes[::50] = np.nan
    assert max_t([0.01, 0.04], holes) == max_t([0.01, 0.04], np.delete(drawn[:, ::2], slice(None, None, 50), axis=0))


def test_what_does_not_vary_and_what_does_not_fit():
    constant = np.ones((50, 1))
    assert max_t([0.02], constant) == [0.02] and max_t([1.0], constant) == [1.0]
    assert max_t([0.0], constant) == [1 / 51]  # never below what so many resamples can tell
    with pytest.raises(ValueError, match="do not fit 2 tests"):
        max_t([0.1, 0.2], constant)


def test_a_table_of_alike_tests_keeps_its_level_and_finds_more():
    rng = np.random.default_rng(4)
    cover = np.linalg.cholesky(0.8 * np.ones((6, 6)) + 0.2 * np.eye(6))
    any_by = {max_t: 0, holm: 0}
    drawn = rng.normal(size=(400, 6)) @ cover.T
    for _ in range(400):
        p = (2 * norm.sf(np.abs(rng.normal(size=6) @ cover.T))).tolist()
        any_by[max_t] += min(max_t(p, drawn)) < 0.05
        any_by[holm] += min(holm(p)) < 0.05
    assert any_by[holm] / 400 < 0.03 < any_by[max_t] / 400 < 0.075
