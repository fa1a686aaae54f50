"""The fall of a figure on another data set: its interval by hand, in worlds of known truth, and where there is none."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from class_lab import data, patches
from scipy.stats import t as student

from pycaffe_ext.evaluation import class_resampling, classes, contrasts, fall_worlds, folds
from pycaffe_ext.evaluation.class_figures import accuracy_figure, auc_figure, balanced_figure
from pycaffe_ext.evaluation.contrasts import Figure
from pycaffe_ext.evaluation.designs import Trial
from pycaffe_ext.evaluation.falls import fall
from pycaffe_ext.evaluation.metrics.by_class import RocByClass
from pycaffe_ext.evaluation.seeds import NOT_POSITIVE
from pycaffe_ext.evaluation.simulation import share_of_each


def figure(values, covariance, groups=20, trials=(), effective=None) -> Figure:
    """Of one scheme."""
    values = np.asarray(values, float)[:, None]
    return Figure(values, np.asarray(covariance, float)[:, None, :, None], groups, trials, effective)


def test_one_seed_by_hand():
    """Independent samples: the variances add, the smaller number of effective groups counts."""
    inside, outside = figure([0.9], [[0.01**2]], 40), figure([0.8], [[0.02**2]], 30, effective=11.0)
    found = fall(inside, outside, 0, 0.0)
    reach = student.ppf(0.975, 10) * sqrt(0.01**2 + 0.02**2)
    assert (found.value, found.low, found.high) == pytest.approx((0.1, 0.1 - reach, 0.1 + reach))
    assert not found.trainings and found.seeds == 1
    assert found.internal.low < 0.9 < found.internal.high and found.external.low < 0.8 < found.external.high


def test_several_seeds_are_paired():
    """d = 0.1, 0.12, 0.11 whatever the seeds' own levels are; C is the external set's variance and the overlap's."""
    levels, d = np.array([0.95, 0.85, 0.75]), np.array([0.10, 0.12, 0.11])
    own = 0.02**2 * (0.5 * np.eye(3) + 0.5)  # half of the internal groups in common
    other = np.full((3, 3), 0.03**2)  # one external set
    found = fall(figure(levels, own, 60), figure(levels - d, other, 25), 0, 0.5)
    direct = contrasts.Estimate(
        0.11, sqrt(d.var(ddof=1) / 3), sqrt(0.5 * 0.02**2 + 0.03**2), 3, 25, 0.0, 0.0
    ).interval()
    assert (found.value, found.low, found.high) == pytest.approx((0.11, *direct))
    assert found.trainings and found.seeds == 3


def test_the_external_cases_do_not_average_out_over_folds():
    trials = tuple(Trial(0, 0, fold, 5) for fold in range(1, 6))
    values, other = np.array([0.9, 0.88, 0.93, 0.91, 0.89]), np.full((5, 5), 0.05**2)
    inside = figure(values, np.diag([0.03**2] * 5), 30, trials)
    outside = figure(np.array([0.80, 0.81, 0.79, 0.80, 0.80]), other, 12)
    found = fall(inside, outside, 0, 0.0)
    alone = folds.fold_mean(values - outside.values[:, 0], trials)
    assert found.value == pytest.approx(alone.mean)
    half = (found.high - found.low) / 2
    assert half > student.ppf(0.975, 11) * 0.05, "at least what the external groups alone leave open"
    assert half > student.ppf(0.975, 4) * sqrt(alone.variance)
    direct = contrasts.Estimate(alone.mean, sqrt(alone.variance), 0.05, 1, 12, 0.0, 0.0, folds=5, freedom=4).interval()
    assert (found.low, found.high) == pytest.approx(tuple(direct))
    assert found.external.high - found.external.low > 2 * 1.9 * 0.05 and found.external.mean == pytest.approx(0.8)
    with pytest.raises(ValueError, match="same seeds"):
        fall(inside, figure(values, other, 12, trials), 0, 0.0)


def test_seeds_that_came_to_the_same_leave_the_groups():
    """As of a detector that is trained once for all seeds: one test set, one set of scores."""
    inside, outside = figure([0.9] * 3, np.full((3, 3), 0.01**2), 40), figure([0.8] * 3, np.full((3, 3), 0.02**2), 30)
    found = fall(inside, outside, 0, 1.0)
    reach = student.ppf(0.975, 29) * sqrt(0.01**2 + 0.02**2)
    assert (found.low, found.high) == pytest.approx((0.1 - reach, 0.1 + reach))
    assert not found.trainings and found.external.low < 0.8 < found.external.high and found.seeds == 3


def test_no_fall_is_larger_than_one():
    found = fall(figure([0.9], [[0.5]]), figure([0.2], [[0.5]]), 0, 0.0)
    assert found.high == 1.0 and -1.0 <= found.low < 0.7


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        (figure([0.9], [[np.nan]]), figure([0.8], [[0.01]])),
        (figure([0.9], [[0.0]]), figure([0.8], [[0.0]])),
        (figure([0.9], [[0.01]], groups=1), figure([0.8], [[0.01]])),
        (figure([0.9, 0.9], np.zeros((2, 2))), figure([0.8, 0.8], np.zeros((2, 2)))),
        (figure([0.9, 0.8], np.full((2, 2), np.nan)), figure([0.8, 0.8], np.zeros((2, 2)))),
    ],
)
def test_what_is_not_known_has_no_interval(inside, outside):
    found = fall(inside, outside, 0, 0.0)
    assert found.low is None and found.high is None and np.isfinite(found.value)


def test_different_seeds_are_refused():
    with pytest.raises(ValueError, match="same seeds"):
        fall(figure([0.9, 0.8], np.zeros((2, 2))), figure([0.9], [[0.1]]), 0, 0.0)


@pytest.mark.parametrize("world", fall_worlds.WORLDS.values(), ids=fall_worlds.WORLDS)
def test_intervals_cover_the_true_fall(world):
    found = [fall_worlds.repetition(world, 7, number) for number in range(200)]
    covered = share_of_each(found)
    assert covered["fall"] > 0.95 - 2.5 * sqrt(0.95 * 0.05 / 200)
    assert covered["internal"] < covered["fall"], "the internal variance alone is too small"


def test_accuracies_vary_as_their_bootstrap_by_group():
    test = data(("cat", "dog", "eel"), n=120, groups=24)
    images = {seed: {"net": RocByClass().evaluate(test, patches(test, seed=seed)).images} for seed in (1, 2)}
    group = {seed: test.group.tolist() for seed in images}
    for made, value, resampled in (
        (accuracy_figure, classes.accuracy, lambda own: class_resampling.means(own, own.predicted == own.label, 0)),
        (balanced_figure, classes.balanced_accuracy, class_resampling.balanced_accuracies),
        (auc_figure, classes.macro_auc, class_resampling.macro_aucs),
    ):
        found = made(images, group, ["net"])
        for row, own in enumerate(images.values()):
            assert found.values[row, 0] == pytest.approx(value(own["net"]))
            spread = np.nanstd(resampled(own["net"]).value) * sqrt(24 / 23)
            assert sqrt(found.covariance[row, 0, row, 0]) == pytest.approx(spread, rel=0.12)
        assert abs(found.covariance[0, 0, 1, 0]) <= sqrt(found.covariance[0, 0, 0, 0] * found.covariance[1, 0, 1, 0])


def test_errors_in_millimetres_have_ends_on_either_side_of_their_mean():
    """Values are minus the error, which has one limit; the fall of an error has none."""
    own, other = 0.01**2 * (0.5 * np.eye(3) + 0.5), np.full((3, 3), 0.02**2)
    sides = figure([-0.05, -0.06, -0.045], own), figure([-0.14, -0.16, -0.13], other)
    found = fall(*sides, 0, 0.5, NOT_POSITIVE)
    for side in (found.internal, found.external):
        assert side.low < side.mean < side.high <= 0
    millimetres = figure([-2.0, -2.1, -1.9], 9 * other), figure([-5.0, -5.2, -4.9], 9 * other)
    wide = fall(*millimetres, 0, 0.5, NOT_POSITIVE)
    assert wide.low < wide.value < wide.high and wide.value == pytest.approx(3.0333, abs=1e-3)
    single = fall(figure([-0.05], [[0.01**2]]), figure([-0.14], [[0.02**2]]), 0, 0.0, NOT_POSITIVE)
    assert single.external.low < -0.14 < single.external.high <= 0
