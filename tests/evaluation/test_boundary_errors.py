"""Errors by column, against brute force."""

from __future__ import annotations

import numpy as np
import pytest

from pycaffe_ext.evaluation.boundary_errors import (
    boundary_errors,
    column_errors,
    hausdorff,
    mean_thickness,
    pooled,
    thickness,
)


def test_known_errors():
    found = boundary_errors(np.array([10.0, 12, 9, 10]), np.array([10.0, 10, 10, np.nan]), 0.06)
    assert found.columns == 3
    assert found.signed == pytest.approx(20)
    assert found.mean == pytest.approx(60)
    assert found.median == pytest.approx(60)
    assert found.percentile95 == pytest.approx(60 + 0.9 * 60)


def test_too_deep_is_positive():
    assert column_errors(np.array([11.0]), np.array([10.0]), 0.05).tolist() == [50]


@pytest.mark.parametrize("seed", range(5))
def test_hausdorff_against_brute_force(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(7, 2)), rng.normal(size=(9, 2))
    apart = np.linalg.norm(a[:, None] - b[None], axis=2)
    assert hausdorff(a, b) == pytest.approx(max(apart.min(axis=0).max(), apart.min(axis=1).max()))
    assert hausdorff(a, a) == 0


def test_hausdorff_of_curves_is_never_above_the_largest_error():
    rng = np.random.default_rng(1)
    true = rng.normal(size=40).cumsum()
    drawn = true + rng.normal(size=40)
    found = boundary_errors(drawn, true, 0.1)
    assert 0 < found.hausdorff <= np.abs(drawn - true).max() * 100 + 1e-9
    shifted = boundary_errors(np.full(9, 3.0), np.full(9, 1.0), 0.1)
    assert shifted.hausdorff == pytest.approx(200)


def test_thickness():
    li, ma = np.array([10.0, 11, np.nan]), np.array([20.0, 23, 20])
    assert thickness(li, ma, 0.1)[:2].tolist() == pytest.approx([1.0, 1.2])
    assert mean_thickness(li, ma, 0.1) == pytest.approx(1.1)


def test_pooled_leaves_out_what_is_not_judged():
    assert pooled([np.array([1.0, np.nan]), np.array([2.0])]).tolist() == [1, 2]
    assert pooled([]).size == 0


def test_what_does_not_fit():
    one = np.array([1.0])
    for call in (
        lambda: column_errors(one, np.ones(2), 0.1),
        lambda: column_errors(one, one, 0.0),
        lambda: column_errors(one, one, np.nan),
        lambda: boundary_errors(np.array([np.nan]), one, 0.1),
        lambda: mean_thickness(np.array([np.nan]), one, 0.1),
        lambda: hausdorff(np.empty((0, 2)), np.ones((1, 2))),
    ):
        with pytest.raises(ValueError, match="needed|above 0|judged|both"):
            call()
