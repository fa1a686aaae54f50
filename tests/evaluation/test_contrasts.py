"""Contrasts over seeds: the variance by hand, the Behrens-Fisher distribution by drawing, verdicts by definition."""

import numpy as np
import pytest
from scipy import stats

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import contrasts as c
from pycaffe_ext.evaluation.contrasts import Estimate, Figure, Verdict


def estimate(value=0.1, seed_error=0.02, case_error=0.03, seeds=4, groups=30) -> Estimate:
    return Estimate(value, seed_error, case_error, seeds, groups, 0.0, 0.0)


def figure(values: np.ndarray, cases: float = 0.0, groups: int = 50) -> Figure:
    """cases : covariance of every two values, as of test sets that all nets find equally hard"""
    return Figure(values, np.full((*values.shape, *values.shape), cases), groups)


@pytest.mark.parametrize("scales", [(0.02, 0.0), (0.0, 0.02)])
def test_one_source_of_variance_alone_gives_the_t_test(scales):
    found = estimate(0.05, *scales)
    freedom = 3 if scales[0] else 29
    assert found.p() == pytest.approx(2 * stats.t.sf(2.5, freedom), rel=1e-6)
    np.testing.assert_allclose(found.interval(), stats.t.interval(0.95, freedom, 0.05, 0.02), rtol=1e-5)


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("level", [0.05, 0.005])
def test_the_smallest_difference_is_shown_with_its_power(seeds, level):
    """Median of what studies without a difference print; then studies with that difference."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(4000, seeds))
    errors = values.std(axis=1, ddof=1) / np.sqrt(seeds)
    size = Estimate(0.0, float(np.median(errors)), 0.0, seeds, 100, 0.0, 0.0).smallest(level)
    p = stats.ttest_1samp(rng.normal(size, size=(4000, seeds)), 0, axis=1).pvalue
    assert (p < level).mean() == pytest.approx(0.8, abs=0.04)


@pytest.mark.parametrize("scales", [(1e-9, 1.0), (1.0, 1.0), (0.3, 1.0)])
def test_the_smallest_difference_of_many_groups_is_that_of_the_tables(scales):
    found = Estimate(0.0, *scales, 500, 500, 0.0, 0.0)
    assert found.smallest() == pytest.approx(stats.norm.ppf([0.975, 0.8]).sum() * found.error, rel=0.01)


@pytest.mark.parametrize("scales", [(0.02, 0.03), (0.03, 0.001), (0.001, 0.03), (0.03, 0.03)])
def test_two_sources_give_the_behrens_fisher_distribution(scales):
    rng = np.random.default_rng(0)
    drawn = scales[0] * rng.standard_t(3, 1_000_000) + scales[1] * rng.standard_t(29, 1_000_000)
    found = estimate(0.0, *scales)
    for distance in np.quantile(drawn, [0.6, 0.9, 0.975, 0.999]):
        shifted = Estimate(float(distance), *scales, 4, 30, 0.0, 0.0)
        assert shifted.p_above() == pytest.approx((drawn >= distance).mean(), rel=0.08)
        assert shifted.p_below() == pytest.approx(1 - shifted.p_above())
    assert found.interval().high == pytest.approx(np.quantile(drawn, 0.975), rel=0.01)
    assert found.p() == 1


def test_far_tails_are_those_of_the_few_seeds():
    """With two degrees of freedom a hundred standard errors are no p of 0: nodes must reach that far."""
    found = estimate(5.0, 0.05, 0.05, seeds=3, groups=1000)
    assert found.p() == pytest.approx(2 * stats.t.sf(100, 2), rel=0.01)


def test_the_variance_is_that_of_obuchowski_and_rockette():
    values, covariance = np.array([0.7, 0.8, 0.75]), np.array([[9, 4, 2], [4, 8, 3], [2, 3, 10]]) * 1e-4
    found = c.estimate(values, covariance, 40)
    between, shared, own = values.var(ddof=1), 3e-4, 9e-4
    assert found.error**2 == pytest.approx(between / 3 + shared)
    assert found.training_sd**2 == pytest.approx(between - (own - shared)) and found.case_sd**2 == pytest.approx(own)
    assert (found.value, found.seeds, found.groups) == (pytest.approx(0.75), 3, 40)
    assert c.estimate(values, -covariance, 40).case_error == 0, "a negative covariance is none"


@pytest.mark.parametrize(
    ("values", "cases", "groups", "reason"),
    [
        ([0.7], 0.0, 40, "1 seed with every net of the contrast: the variance between trainings is unknown"),
        ([], 0.0, 40, "no seed with every net"),
        ([0.7, 0.7, 0.7], 1e-4, 40, "all 3 seeds give the same value"),
        ([0.7, np.nan], 0.0, 40, "not finite"),
        ([0.7, 0.8], np.nan, 40, "not finite"),
        ([0.7, 0.8], 0.0, 1, "1 group with cases"),
    ],
)
def test_what_cannot_be_estimated_is_refused(values, cases, groups, reason):
    with pytest.raises(UserError, match=reason):
        c.estimate(np.array(values), np.full((len(values),) * 2, cases), groups)


def test_a_contrast_is_taken_seed_by_seed():
    """What all nets of a seed share, a hard test set, cancels: here all but 0.01 of the differences' spread."""
    values = np.array([[0.5, 0.6, 0.9], [0.7, 0.81, 0.2], [0.3, 0.39, np.nan], [0.4, np.nan, 0.9]])
    found = c.contrast(figure(values, cases=0.01), np.array([-1.0, 1.0, 0.0]))
    assert found.value == pytest.approx(0.1) and found.seeds == 3, "the third net is not in it, nor the fourth seed"
    assert found.seed_error == pytest.approx(0.01 / np.sqrt(3)) and found.case_error == pytest.approx(0, abs=1e-9)


def test_cases_that_only_one_net_finds_hard_stay_in_the_variance():
    values = np.array([[0.5, 0.6], [0.7, 0.81]])
    covariance = np.zeros((2, 2, 2, 2))
    covariance[:, 1, :, 1] = 0.0004  # the second net, the same in both seeds: one test set
    found = c.contrast(Figure(values, covariance, 30), np.array([-1.0, 1.0]))
    assert found.case_error == pytest.approx(0.02)


def test_a_margin_moves_the_test_to_its_end():
    values = np.array([[0.5, 0.47], [0.7, 0.68], [0.6, 0.572]])
    weights = np.array([-1.0, 1.0])
    plain, shifted = (c.contrast_test(figure(values), weights, null) for null in (0.0, -0.05))
    assert not plain.above and shifted.above
    wanted = stats.ttest_1samp(values[:, 1] - values[:, 0], -0.05)
    assert (shifted.statistic, shifted.p) == (pytest.approx(wanted.statistic), pytest.approx(wanted.pvalue))
    assert shifted.function == "evaluation.contrasts.contrast_test"


def test_every_is_shown_by_its_weakest_and_refuted_by_any():
    rng = np.random.default_rng(0)
    gains = {"a": 0.2, "b": 0.1, "c": 0.15}
    values = 0.5 + np.array([*gains.values(), 0.0]) + 0.01 * rng.normal(size=(6, 4))
    weights = {name: np.eye(4)[i] - np.eye(4)[3] for i, name in enumerate(gains)}
    found = c.every_test(figure(values), weights)
    single = {name: c.contrast_test(figure(values), own) for name, own in weights.items()}
    assert found.above and found.p == pytest.approx(max(own.p for own in single.values()))
    assert found.weakest == max(single, key=lambda name: single[name].p)

    values[:, 1] -= 0.3
    found = c.every_test(figure(values), weights)
    against = c.contrast_test(figure(values), weights["b"])
    assert not found.above and found.weakest == "b" and found.p == pytest.approx(3 * against.p)


def test_one_of_every_that_cannot_be_tested_leaves_the_claim_untested():
    values = np.array([[0.5, 0.6, 0.4], [0.5, 0.7, 0.3]])
    with pytest.raises(UserError, match="all 2 seeds give the same value"):
        c.every_test(figure(values), {"a": np.array([1.0, 0, 0]), "b": np.array([0, 1.0, -1.0])})


@pytest.mark.parametrize(
    ("above", "p", "margin", "wanted"),
    [
        (True, 0.049, False, Verdict.SHOWN),
        (False, 0.049, False, Verdict.AGAINST),
        (True, 0.05, False, Verdict.NOT_SHOWN),
        (True, 0.05, True, Verdict.INCONCLUSIVE),
        (True, 0.01, True, Verdict.SHOWN),
        (False, 0.01, True, Verdict.AGAINST),
    ],
)
def test_verdicts(above, p, margin, wanted):
    assert c.verdict(above, p, margin) is wanted


def test_weights():
    first, second = np.array([True, False, True]), np.array([False, True, False])
    np.testing.assert_allclose(c.mean_difference(first, second), [0.5, -1, 0.5])
    with pytest.raises(ValueError, match="scheme on either side"):
        c.mean_difference(first, np.zeros(3, bool))
    position, values = np.array([1.0, np.nan, 2.0, 4.0, 7.0]), np.array([0.1, 9.0, 0.3, 0.2, 0.6])
    inside = np.isfinite(position)
    slope = np.polyfit(position[inside], values[inside], 1)[0]
    assert c.rise(position) @ values == pytest.approx(6 * slope)
    with pytest.raises(ValueError, match="two different positions"):
        c.rise(np.array([1.0, np.nan, 1.0]))
