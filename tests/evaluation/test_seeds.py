"""Means over seeds: their intervals by hand, and the overlap of test sets."""

import numpy as np
import pytest
from scipy import special, stats

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import contrasts
from pycaffe_ext.evaluation.seeds import (
    NOT_NEGATIVE,
    NOT_POSITIVE,
    Cases,
    group_overlap,
    scheme_interval,
    seed_interval,
)

VALUES = [0.80, 0.85, 0.90]


def test_independent_test_sets_give_the_t_interval():
    found = seed_interval(VALUES, 0.0, limits=None)
    assert found[:3] == pytest.approx((0.85, *stats.t.interval(0.95, 2, 0.85, stats.sem(VALUES)))) and found.seeds == 3


def test_intervals_between_limits_are_set_out_on_the_logit_scale():
    reach = stats.t.ppf(0.975, 2) * stats.sem(VALUES) / (0.85 * 0.15)
    wanted = special.expit(special.logit(0.85) + np.array([-reach, reach]))
    assert seed_interval(VALUES, 0.0)[1:3] == pytest.approx(wanted)
    halved = seed_interval([value / 2 for value in VALUES], 0.0, limits=(0.0, 0.5))
    assert halved[1:3] == pytest.approx(wanted / 2)
    near = seed_interval([0.99, 1.0, 0.9], 0.0)
    assert 0 < near.low < near.mean < near.high < 1


def test_overlap_widens_the_interval_as_nadeau_and_bengio_say():
    """Halves drawn at random share one half, and n_test / n_train = 1: s^2 (1 / 3 + 1)."""
    found = seed_interval(VALUES, 0.5, limits=None)
    assert found.high - found.mean == pytest.approx(stats.t.ppf(0.975, 2) * 0.05 * np.sqrt(1 / 3 + 1))


def test_known_cases_give_the_interval_of_a_contrast():
    covariance = np.array([[9, 4, 2], [4, 8, 3], [2, 3, 10]]) * 1e-5
    wanted = contrasts.estimate(np.array(VALUES), covariance, 40).interval()
    assert seed_interval(VALUES, 1.0, Cases(covariance, 40), limits=None)[1:3] == pytest.approx(wanted)
    unknown = Cases(np.full((3, 3), np.nan), 1)
    assert seed_interval(VALUES, 0.5, unknown) == seed_interval(VALUES, 0.5)


@pytest.mark.parametrize("values", [[0.9], [0.9, 0.9, 0.9]])
def test_a_single_seed_and_equal_seeds_have_no_interval(values):
    assert seed_interval(values, 0.0) == (0.9, None, None, len(values))
    cases = Cases(np.full((len(values),) * 2, 1e-4), 40)
    assert seed_interval(values, 0.5, cases)[1:3] == (None, None)


def test_equal_test_sets_have_no_interval_unless_the_cases_are_known():
    assert seed_interval(VALUES, 1.0)[1:3] == (None, None)


@pytest.mark.parametrize("confidence", [95, 1, 0, np.nan])
def test_a_confidence_is_a_share(confidence):
    """A confidence of 95 had the search for its quantile run without an end."""
    for cases in (None, Cases(np.full((3, 3), 1e-4), 40)):
        with pytest.raises(ValueError, match="it must lie between 0 and 1, as 0.95 does for 95 %"):
            seed_interval(VALUES, 0.5, cases, confidence=confidence)
    with pytest.raises(ValueError, match="it must lie between 0 and 1"):
        contrasts.estimate(np.array(VALUES), np.full((3, 3), 1e-4), 40).smallest(power=confidence)


def test_unequal_groups_count_as_fewer():
    values, covariance = np.array([[0.8], [0.85], [0.9]]), np.full((3, 1, 3, 1), 4e-4)
    few = scheme_interval(contrasts.Figure(values, covariance, 30, of_one_size=5.5), 0, 0.5)
    assert few == scheme_interval(contrasts.Figure(values, covariance, 5.5), 0, 0.5)
    many = scheme_interval(contrasts.Figure(values, covariance, 30), 0, 0.5)
    assert few.low < many.low < many.high < few.high


def test_wrong_input_is_refused():
    with pytest.raises(UserError, match="one finite value per seed"):
        seed_interval([0.9, np.nan], 0.0)
    with pytest.raises(UserError, match="one finite value per seed"):
        seed_interval([], 0.0)
    for overlap in (-0.1, 1.1, np.nan):
        with pytest.raises(UserError, match="must lie between 0 and 1"):
            seed_interval(VALUES, overlap)


def test_a_scheme_is_averaged_over_the_seeds_with_which_it_was_run():
    values = np.array([[0.1, 0.8], [0.2, np.nan], [0.3, 0.9]])
    covariance = np.full((3, 2, 3, 2), np.nan)
    covariance[:, 0, :, 0] = 1e-4
    covariance[np.ix_([0, 2], [1], [0, 2], [1])] = 2e-4
    figure = contrasts.Figure(values, covariance, 30)
    wanted = seed_interval([0.8, 0.9], 0.5, Cases(np.full((2, 2), 2e-4), 30))
    assert scheme_interval(figure, 1, 0.5) == wanted and wanted.seeds == 2


def test_overlap_of_test_sets():
    assert group_overlap([["a", "b"]]) is None
    assert group_overlap([["a", "b"], ["c", "d"]]) == (0, 0)
    assert group_overlap([["a", "b"], ["b", "c"]]) == pytest.approx((0.5, 0.5))
    assert group_overlap([["a", "b"], ["a", "b"], ["a", "c"]]) == pytest.approx((2 / 3, 1))
    heavy = ["a"] * 9 + ["b"], ["a"] * 9 + ["c"]
    assert group_overlap(heavy).mean == pytest.approx(81 / 82), "one long video in both makes the means alike"
    with pytest.raises(UserError, match="without frames"):
        group_overlap([["a"], []])


def test_overlap_is_the_correlation_of_means():
    """Of two means over frames, where groups differ and all else is alike."""
    rng = np.random.default_rng(0)
    sets = [np.repeat([0, 1, 2], [5, 1, 2]), np.repeat([1, 2, 3], [1, 4, 3])]
    effects = rng.normal(size=(200_000, 4))
    means = [effects[:, own].mean(axis=1) for own in sets]
    assert group_overlap([own.tolist() for own in sets]).mean == pytest.approx(np.corrcoef(*means)[0, 1], abs=0.01)


def test_a_figure_with_one_limit_ends_there_and_one_without_crosses_zero():
    """An error in mm, its bias, and minus the error: none of them lies between 0 and 1."""
    bias = seed_interval([0.004, -0.002, 0.003], 1 / 3, limits=None)
    assert bias.low < 0 < bias.high and bias.mean == pytest.approx((bias.low + bias.high) / 2)
    error, plain = (seed_interval([60.0, 66.0, 71.0], 1 / 3, limits=own) for own in (NOT_NEGATIVE, None))
    assert error == plain and error.low < 60 < 71 < error.high
    wide = seed_interval([0.01, 0.08], 0.0, limits=NOT_NEGATIVE)
    assert wide.low == 0 and wide.high > 0.08
    minus = seed_interval([-0.01, -0.08], 0.0, limits=NOT_POSITIVE)
    assert minus.high == 0 and minus.low == pytest.approx(-wide.high)


def test_a_mean_outside_the_limits_is_refused():
    with pytest.raises(ValueError, match="does not lie between 0 and 1"):
        seed_interval([60.0, 66.0, 71.0], 0.0)
