"""Agreement of two measurements: published numbers, brute force, coverage."""

from __future__ import annotations

import numpy as np
import pytest

from pycaffe_ext.evaluation.agreement import agreement, compare, icc_agreement, limits_of_agreement, paired_difference

SHROUT_FLEISS = np.array(  # 1979, Table 2: six targets, four judges
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float
)
# Bland and Altman 1986, Table: peak flow in l/min, large meter and mini meter, first measurements
LARGE = np.array([494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427], float)
MINI = np.array([512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451], float)


def test_icc_of_shrout_and_fleiss():
    assert icc_agreement(SHROUT_FLEISS) == pytest.approx(0.29, abs=0.005)


def test_limits_of_bland_and_altman():
    bias, lower, upper = limits_of_agreement(LARGE, MINI)
    assert bias == pytest.approx(-2.1, abs=0.05)
    spread = np.std(LARGE - MINI, ddof=1)
    assert spread == pytest.approx(38.8, abs=0.05)
    assert lower == pytest.approx(bias - 1.96 * spread, abs=0.01)
    assert upper == pytest.approx(bias + 1.96 * spread, abs=0.01)


def icc_by_sums(ratings):
    """From the sums of squares of a two-way table, as textbooks write it."""
    n, k = ratings.shape
    total = ((ratings - ratings.mean()) ** 2).sum()
    rows = k * ((ratings.mean(1) - ratings.mean()) ** 2).sum()
    columns = n * ((ratings.mean(0) - ratings.mean()) ** 2).sum()
    ms_rows, ms_columns = rows / (n - 1), columns / (k - 1)
    error = (total - rows - columns) / ((n - 1) * (k - 1))
    return (ms_rows - error) / (ms_rows + (k - 1) * error + k / n * (ms_columns - error))


@pytest.mark.parametrize("seed", range(5))
def test_icc_against_sums_of_squares(seed):
    ratings = np.random.default_rng(seed).normal(size=(8, 2 + seed % 3))
    assert icc_agreement(ratings) == pytest.approx(icc_by_sums(ratings))


def test_icc_of_equal_and_of_constant_ratings():
    x = np.array([1.0, 2, 3])
    assert icc_agreement(np.column_stack([x, x])) == pytest.approx(1)
    assert np.isnan(icc_agreement(np.ones((3, 2))))
    assert icc_agreement(np.column_stack([x, x + 1])) < 0.9  # a bias is disagreement


def test_figures_of_a_sample():
    rng = np.random.default_rng(0)
    true = rng.normal(0.7, 0.15, 40)
    found = true + rng.normal(0.02, 0.05, 40)
    group = np.arange(40) // 2
    result = agreement(found, true, group, resamples=300)
    assert result.images == 40
    assert result.groups == pytest.approx(20)
    assert result.bias.value == pytest.approx((found - true).mean())
    assert result.mean_absolute.value == pytest.approx(np.abs(found - true).mean())
    assert (result.lower.value, result.upper.value) == pytest.approx(limits_of_agreement(found, true)[1:])
    assert result.icc.value == pytest.approx(icc_agreement(np.column_stack([found, true])))
    for figure in (result.bias, result.lower, result.upper, result.mean_absolute, result.icc):
        assert figure.interval.low < figure.value < figure.interval.high


def test_images_of_a_group_that_are_copies_make_intervals_no_narrower():
    rng = np.random.default_rng(1)
    true, error = rng.normal(size=20), rng.normal(size=20)
    alone = agreement(true + error, true, np.arange(20), resamples=400)
    true, error = np.repeat(true, 5), np.repeat(error, 5)
    copied = agreement(true + error, true, np.arange(100) // 5, resamples=400)

    def width(figure):
        return figure.interval.high - figure.interval.low

    assert width(copied.bias) == pytest.approx(width(alone.bias), rel=0.02)
    assert width(copied.mean_absolute) == pytest.approx(width(alone.mean_absolute), rel=0.02)


def test_one_group_has_figures_without_intervals():
    result = agreement(np.array([1.0, 2]), np.array([1.5, 2]), ["p", "p"])
    assert result.bias.value == -0.25
    assert result.bias.interval is None
    assert paired_difference(np.array([1.0, 2]), np.array([1.5, 2]), ["p", "p"]) is None


def test_bias_intervals_cover_the_truth():
    """Images of a patient share an error; over 200 worlds the interval of the bias holds 0.1 in 95 %, nearly."""
    rng = np.random.default_rng(5)
    group = np.repeat(np.arange(15), 3)
    hits = 0
    for world in range(200):
        error = 0.1 + rng.normal(0, 0.05, 15)[group] + rng.normal(0, 0.03, 45)
        difference = paired_difference(error, np.zeros(45), group, resamples=150, seed=world)
        hits += difference.low <= 0.1 <= difference.high
    assert 0.90 <= hits / 200 <= 0.99


def test_pairs_are_tested_by_group_and_adjusted():
    rng = np.random.default_rng(2)
    group = np.repeat(np.arange(12), 4)
    good = np.abs(rng.normal(0, 1, 48))
    errors = {"good": good, "same": good + rng.normal(0, 0.05, 48), "bad": good + 2 + rng.normal(0, 0.2, 48)}
    tests = compare(errors, group, resamples=300)
    assert [(test.first, test.second) for test in tests] == [("good", "same"), ("good", "bad"), ("same", "bad")]
    assert tests[0].p_holm > 0.05
    assert tests[1].p_holm < 0.01
    assert tests[1].difference.value == pytest.approx(-2, abs=0.1)
    assert all(test.p_holm >= test.difference.p for test in tests)
    assert tests[1].difference.p >= 2.0**-11  # twelve groups cannot show more


def test_equal_methods_do_not_differ():
    errors = np.array([1.0, 2, 3])
    difference = paired_difference(errors, errors, ["a", "b", "c"], resamples=50)
    assert (difference.value, difference.p) == (0, 1)


@pytest.mark.parametrize(
    ("found", "true", "group"),
    [
        ([1.0], [1.0], ["a"]),
        ([1.0, 2], [1.0], ["a", "b"]),
        ([1.0, 2], [1.0, 2], ["a"]),
        ([1.0, np.nan], [1.0, 2], ["a", "b"]),
    ],
)
def test_what_does_not_fit(found, true, group):
    with pytest.raises(ValueError, match="same|two images|finite"):
        agreement(np.array(found), np.array(true), group)
    with pytest.raises(ValueError, match="two of each"):
        icc_agreement(np.array([found]))
