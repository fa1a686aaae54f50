"""The AUC of a study on classification: values of the nets themselves, covariance by the groups that seeds share."""

import numpy as np
import pytest

from pycaffe_ext.evaluation import classes
from pycaffe_ext.evaluation.class_figures import auc_figure
from pycaffe_ext.evaluation.classes import Images


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
