"""The AUC of a study on classification: values of the nets themselves, covariance by the groups that seeds share."""

import numpy as np
import pytest

from pycaffe_ext.evaluation import classes
from pycaffe_ext.evaluation.class_figures import accuracy_figure, auc_figure
from pycaffe_ext.evaluation.classes import Images
from pycaffe_ext.evaluation.contrasts import contrast
from pycaffe_ext.evaluation.designs import Trial


def images_of(rng: np.random.Generator, label: np.ndarray, group: np.ndarray) -> Images:
    score = rng.normal(size=(label.size, 3)) + 1.5 * np.eye(3)[label]
    return Images(np.exp(score) / np.exp(score).sum(axis=1, keepdims=True), label, group)


@pytest.fixture
def study():
    rng, group = np.random.default_rng(0), np.repeat(np.arange(40), 3)
    label = np.tile([0, 1, 2], 40)
    images = {seed: {name: images_of(rng, label, group) for name in "ab"} for seed in (3, 4)}
    return images, {3: group, 4: group}


def test_values_and_variances(study):
    images, group = study
    found = auc_figure(images, group, ["b", "a", "c"])
    assert found.values[1, 0] == classes.macro_auc(images[4]["b"])
    assert np.isnan(found.values[:, 2]).all() and found.groups == 40
    own = images[3]["a"]
    drawn = []
    rng = np.random.default_rng(1)
    for _ in range(400):
        rows = np.concatenate([np.arange(120).reshape(40, 3)[g] for g in rng.integers(40, size=40)])
        drawn.append(classes.macro_auc(Images(own.probability[rows], own.label[rows], own.group[rows])))
    assert found.covariance[0, 1, 0, 1] == pytest.approx(np.var(drawn), rel=0.25)


def test_seeds_without_a_common_group_have_no_covariance(study):
    images, group = study
    apart = auc_figure(images, {3: group[3], 4: group[4] + 100}, ["a"]).covariance[:, 0, :, 0]
    assert apart[0, 1] == 0 and (np.diag(apart) > 0).all()
    same = {3: images[3], 4: {"a": images[3]["a"]}}
    alike = auc_figure(same, group, ["a"]).covariance[:, 0, :, 0]
    assert alike[0, 1] == pytest.approx(alike[0, 0])


def two_classes(positives: np.ndarray, group: np.ndarray, seed: int = 0) -> Images:
    """Images of two classes; positives : the groups that have one, among their images."""
    rng = np.random.default_rng(seed)
    label = (np.isin(group, positives) & (np.arange(group.size) % 2 == 0)).astype(int)
    chance = 1 / (1 + np.exp(-(label + rng.normal(size=label.size))))
    return Images(np.stack([1 - chance, chance], axis=1), label, group)


def test_the_groups_that_count_are_those_with_the_rarer_class():
    group = np.repeat(np.arange(24), 4)
    images = {seed: {"a": two_classes(np.array([3, 7, 8]), group, seed)} for seed in (0, 1)}
    found = auc_figure(images, {0: group, 1: group}, ["a"])
    assert found.groups == 3 and found.effective_groups == pytest.approx(3)
    assert accuracy_figure(images, {0: group, 1: group}, ["a"]).groups == 24
    lone = {seed: {"a": two_classes(np.array([3]), group, seed)} for seed in (0, 1)}
    assert np.isnan(auc_figure(lone, {0: group, 1: group}, ["a"]).covariance).all()


def test_equal_nets_are_found_different_in_few_studies_where_few_patients_carry_a_class():
    """Positives in two of 24 patients: with t tails for 24 it was one study in five."""
    group = np.repeat(np.arange(24), 4)
    rng, shown = np.random.default_rng(4), 0
    label = (np.isin(group, [3, 7]) & (np.arange(96) % 2 == 0)).astype(int)
    for _ in range(150):
        patient = rng.normal(size=(24, 2))[group]  # a patient's images err alike, by each net in another way
        images = {}
        for seed in (0, 1, 2):
            scores = label[:, None] + patient + 0.3 * rng.normal(size=(96, 2))
            chance = 1 / (1 + np.exp(-scores))
            images[seed] = {
                name: Images(np.stack([1 - chance[:, i], chance[:, i]], axis=1), label, group)
                for i, name in enumerate("ab")
            }
        figure = auc_figure(images, dict.fromkeys(images, group), ["a", "b"])
        shown += contrast(figure, np.array([1.0, -1.0])).p() < 0.05
    assert shown <= 12, "5 % of 150, and twice its standard error"


def test_folds_of_a_seed_are_one_test():
    rng, folds, images, groups = np.random.default_rng(0), 5, {}, {}
    for fold in range(1, folds + 1):
        group = np.repeat(np.arange(8) + 8 * fold, 2)
        trial = Trial(0, 0, fold, folds)
        images[trial] = {"a": images_of(rng, np.tile([0, 1], 8), group)}
        groups[trial] = group
    assert auc_figure(images, groups, ["a"]).groups == 40
    begun = Trial(1, 1, 1, folds)  # one fold of another seed, whose others are missing
    images[begun], groups[begun] = images[trial], groups[trial]
    assert auc_figure(images, groups, ["a"]).groups == 40
