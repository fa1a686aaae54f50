"""Components of variance: by hand on a balanced table, and against known truth in simulation."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.components import NO_CASES, ONE_SPLIT, ONE_TRIAL, OWN_SPLITS, components

NONE = np.zeros((6, 6))
VALUES = np.array([0.80, 0.84, 0.90, 0.78, 0.88, 0.83])


def test_the_one_way_model_by_hand():
    table = VALUES.reshape(3, 2)
    within = table.var(axis=1, ddof=1).mean()
    between = 2 * table.mean(axis=1).var(ddof=1)
    found = components(VALUES, NONE, [0, 0, 1, 1, 2, 2], 40)
    assert found.training.variance == pytest.approx(within)
    assert found.split.variance == pytest.approx(max(0, (between - within) / 2))
    assert found.training.low == pytest.approx(3 * within / stats.chi2.isf(0.025, 3))
    assert (found.trials, found.splits, found.both.variance) == (6, 3, None)


def test_a_single_split_has_no_split_component():
    found = components(VALUES, NONE, ["a"] * 6, 40)
    assert found.split == (None, None, None, ONE_SPLIT)
    assert found.training.variance == pytest.approx(VALUES.var(ddof=1))


def test_splits_of_ones_own_leave_split_and_training_together():
    found = components(VALUES, NONE, range(6), 40)
    assert found.split.note == found.training.note == OWN_SPLITS
    assert found.both.variance == pytest.approx(VALUES.var(ddof=1))


def test_what_the_cases_explain_is_taken_off():
    """Of independent test sets all their variance, of the same test set nothing."""
    total = VALUES.var(ddof=1)
    apart, alike = components(VALUES, 1e-3 * np.eye(6), range(6), 40), components(VALUES, NONE + 1e-3, range(6), 40)
    assert apart.both.variance == pytest.approx(total - 1e-3)
    assert alike.both.variance == pytest.approx(total)
    assert apart.cases.variance == alike.cases.variance == pytest.approx(1e-3)
    assert apart.cases.low < 1e-3 < apart.cases.high
    assert components(VALUES, 1.0 * np.eye(6), range(6), 40).both[:2] == (0, 0)


def test_unknown_cases_and_a_single_trial():
    assert components(VALUES, NONE + np.nan, range(6), 40).cases.note == NO_CASES
    assert components(VALUES, NONE, range(6), 1).cases.note == NO_CASES
    assert components(VALUES[:1], NONE[:1, :1], [0], 40).both.note == ONE_TRIAL
    for wrong in ([0.8, np.nan], []):
        with pytest.raises(UserError, match="finite value of every trial"):
            components(np.array(wrong), NONE[: len(wrong), : len(wrong)], range(len(wrong)), 40)


@pytest.mark.parametrize(("splits", "trainings"), [(5, 3), (1, 5), (6, 1)])
def test_known_truth(splits, trainings):
    """Estimates without bias, intervals that cover 95 %, where test sets overlap more within splits than between."""
    rng, split_variance, training_variance = np.random.default_rng(0), 9e-4, 4e-4
    label = np.repeat(np.arange(splits), trainings)
    alike = np.where(label[:, None] == label, 0.8, 0.4)
    covariance = 1e-4 * np.where(np.eye(label.size) == 1, 1, alike)
    root = np.linalg.cholesky(covariance)
    truth = {"split": split_variance, "training": training_variance, "both": split_variance + training_variance}
    found: dict[str, list] = {name: [] for name in truth}
    for _ in range(600):
        effects = rng.normal(size=splits)[label] * split_variance**0.5 + rng.normal(size=label.size) * 0.02
        own = components(0.8 + effects + root @ rng.normal(size=label.size), covariance, label.tolist(), 50)
        for name, each in found.items():
            each.append(getattr(own, name))
    separable = {(5, 3): {"split", "training"}, (1, 5): {"training"}, (6, 1): {"both"}}[splits, trainings]
    for name, each in found.items():
        if name not in separable:
            assert all(one.variance is None for one in each)
            continue
        assert np.mean([one.variance for one in each]) == pytest.approx(truth[name], rel=0.1)
        assert 0.92 <= np.mean([one.low <= truth[name] <= one.high for one in each]) <= 0.98
        assert all(a <= b for one in each for a, b in pairwise((one.low, one.variance, one.high)))
