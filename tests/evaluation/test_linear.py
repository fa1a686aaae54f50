"""A linear classifier on features, by group: what it finds, what it must not see, and its intervals."""

from __future__ import annotations

import numpy as np
import pytest

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import linear, roc


def cases(groups: int, each: int, skill: float, seed: int = 0, classes: int = 2):
    """Features of which the first ones tell the class, and a mark that every case of a group shares."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), each)
    label = group % classes  # as the class of a patient is
    features = rng.normal(size=(len(label), 12))
    features[:, :classes] += skill * np.eye(classes)[label]
    return features, label, group


def merit(probability, label) -> float:
    return roc.auc(label, probability[:, 1])


def test_features_that_tell_the_classes_apart_do_so_on_unseen_groups():
    features, label, group = cases(60, 4, skill=1.0)
    found = linear.out_of_fold(features, label, group, seed=0)
    assert found.shape == (240, 2)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    # Two normal features that differ by 1 each: a difference of sqrt(2), whose AUC is Phi(1) = 0.841.
    assert merit(found, label) == pytest.approx(0.841, abs=0.06)


def test_what_marks_a_group_helps_nobody():
    """A group has a mark of its own, as a patient's frames look alike: split by case it gives the class away."""
    _, label, group = cases(40, 6, skill=0.0)
    marks = np.random.default_rng(1).normal(size=(40, 60))[group]
    assert abs(merit(linear.out_of_fold(marks, label, group, seed=0), label) - 0.5) < 0.2
    shuffled = np.random.default_rng(2).permutation(len(group))  # as if every case were a group of its own
    assert merit(linear.out_of_fold(marks, label, shuffled, seed=0), label) > 0.95


def test_three_classes():
    features, label, group = cases(45, 3, skill=3.0, classes=3)
    found = linear.out_of_fold(features, label, group, seed=0)
    assert (found.argmax(axis=1) == label).mean() > 0.9


def test_the_same_seed_gives_the_same():
    features, label, group = cases(20, 3, skill=0.5)
    first, again, other = (linear.out_of_fold(features, label, group, seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_resamples_are_of_whole_groups_and_paired(monkeypatch):
    monkeypatch.setattr(linear, "RESAMPLES", 200)
    features, label, group = cases(30, 5, skill=1.0)
    found = linear.out_of_fold(features, label, group, seed=0)
    drawn = linear.by_group(merit, found, label, group, seed=0)
    assert len(drawn) == linear.RESAMPLES and abs(np.nanmean(drawn) - merit(found, label)) < 0.02
    assert np.array_equal(drawn, linear.by_group(merit, found**2, label, group, seed=0), equal_nan=True)  # same order
    once = linear.by_group(merit, found[::5], label[::5], group[::5], seed=0)  # one case a group, the same groups
    assert len(once) == len(drawn) and np.array_equal(np.isnan(once), np.isnan(drawn))


def test_groups_count_by_the_rarer_class():
    label = np.array([0] * 12 + [1] * 6)
    group = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5])
    assert roc.effective_class_groups(label, group, np.unique(label)) == 2


def test_a_class_of_one_group_is_refused():
    label, group = np.array([0, 0, 0, 1, 1]), np.array([0, 1, 2, 3, 3])
    with pytest.raises(UserError, match="too few groups"):
        linear.out_of_fold(np.zeros((5, 2)), label, group, seed=0)


def test_two_groups_a_class_are_enough():
    features, label, group = cases(4, 6, skill=4.0)
    assert merit(linear.out_of_fold(features, label, group, seed=0), label) > 0.9
