"""Figures of a study: the values of each net's own evaluation, and their covariance over groups by brute force."""

import numpy as np
import pytest

from pycaffe_ext.evaluation import froc, roc
from pycaffe_ext.evaluation.intervals import group_resamples
from pycaffe_ext.evaluation.study_figures import auc_influence, resampled, study_figures
from pycaffe_ext.evaluation.study_worlds import StudyWorld, draw_study

WORLD = StudyWorld({"a": 0.8, "b": 0.7}, seeds=3, groups=40, pool=80, frames=2, spread=0.7)
RATES = (0.5, 1.0)


@pytest.fixture(scope="module")
def study():
    return draw_study(WORLD, np.random.default_rng(0))


def test_values_are_those_of_the_curves(study):
    cases, group = study
    del cases[1]["b"]
    found = study_figures(cases, group, RATES, resamples=20)
    assert (found.seeds, found.schemes, found.rates) == ((0, 1, 2), ("a", "b"), RATES)
    for i, seed in enumerate(found.seeds):
        for j, name in enumerate(found.schemes):
            if name in cases[seed]:
                own = cases[seed][name]
                wanted = [froc.sensitivity_at(froc.curve(own), rate) for rate in RATES]
                assert [found.sensitivity[rate].values[i, j] for rate in RATES] == wanted
                assert found.mean.values[i, j] == pytest.approx(np.mean(wanted))
                assert found.auc.values[i, j] == pytest.approx(roc.auc(own.lesion > 0, own.score))
    for figure in (found.mean, found.auc):
        assert np.isnan(figure.values[1, 1]) and np.isnan(figure.covariance[1, 1]).all()
        assert np.isfinite(np.delete(np.delete(figure.covariance.reshape(6, 6), 3, 0), 3, 1)).all()
    assert found.mean.groups == 40


@pytest.mark.parametrize("by", froc.SENSITIVITIES)
def test_resampled_values_are_those_of_single_nets(study, monkeypatch, by):
    monkeypatch.setattr("pycaffe_ext.evaluation.study_figures.CELLS", 3000)  # in several parts
    cases, group = study
    own, member = cases[0]["a"], np.unique(group[0], return_inverse=True)[1]
    weights = np.stack(list(group_resamples(np.arange(40), 50, seed=3))).T.astype(np.int32)
    found = resampled(own, member, weights, RATES, by)
    np.testing.assert_array_equal(found, froc.bootstrap_sensitivities(own, member, RATES, by, 50, seed=3))


def test_influence_values_are_the_jackknife(study):
    """Leaving a group out moves the AUC by its influence, but for terms of second order."""
    cases, group = study
    own, member = cases[0]["a"], np.unique(group[0], return_inverse=True)[1]
    label, at = (own.lesion > 0).astype(int), member[own.frame]
    found = auc_influence(label, own.score, at, 40)
    assert found.sum() == pytest.approx(0, abs=1e-12)
    area = roc.auc(label, own.score)
    without = np.array([roc.auc(label[at != g], own.score[at != g]) for g in range(40)])
    jackknife = (39 / 40) * ((without - without.mean()) ** 2).sum()
    assert found @ found == pytest.approx(jackknife, rel=0.1)
    np.testing.assert_allclose(area - without, found, atol=0.002)


def test_influence_values_of_single_cases_are_delongs():
    rng = np.random.default_rng(1)
    label = (rng.random(300) < 0.4).astype(int)
    score = np.round(label + rng.normal(size=300), 1)  # with ties
    found = auc_influence(label, score, np.arange(300), 300)
    interval = roc.auc_interval(label, score, 0.5)
    area = roc.auc(label, score)
    from scipy.special import logit
    from scipy.stats import norm

    error = (logit(interval.high) - logit(area)) * area * (1 - area) / norm.ppf(0.75)
    assert np.sqrt(found @ found) == pytest.approx(error, rel=0.01)


def test_seeds_covary_by_the_groups_that_they_share():
    """One net scored alike in all seeds: the covariance of two test sets is the shared part of their variance."""
    world = StudyWorld({"a": 0.8}, seeds=1, training=0.0, groups=120, pool=120, spread=0.7, frames=2)
    cases, group = draw_study(world, np.random.default_rng(2))
    whole = cases[0]["a"]
    parts = {0: range(60), 1: range(30, 90), 2: range(60, 120), 3: range(60)}
    found = study_figures(
        {seed: {"a": frames_of(whole, part)} for seed, part in parts.items()},
        {seed: [g for g in part for _ in range(2)] for seed, part in parts.items()},
        (1.0,),
        resamples=1000,
    )
    for figure, room in ((found.mean, 0.15), (found.auc, 0.15)):
        covariance = figure.covariance[:, 0, :, 0]
        variance = np.diag(covariance).mean()
        correlation = covariance / variance
        assert correlation[0, 3] == pytest.approx(1, abs=0.3) and abs(correlation[0, 2]) < room
        assert correlation[0, 1] == pytest.approx(0.5, abs=0.25)
    drawn = froc.bootstrap_sensitivities(
        frames_of(whole, parts[0]), np.repeat(np.arange(60), 2), (1.0,), resamples=1000
    )
    assert found.mean.covariance[0, 0, 0, 0] == pytest.approx(drawn.var() * 60 / 59, rel=0.15)


def frames_of(cases: froc.Cases, groups: range) -> froc.Cases:
    """The candidates in the frames of some groups of two frames each."""
    first, last = 2 * groups.start, 2 * groups.stop
    kept = (cases.frame >= first) & (cases.frame < last)
    return froc.Cases(cases.frame[kept] - first, cases.score[kept], cases.lesion[kept], cases.lesions[first:last])


def test_two_groups_with_lesions_are_too_few_to_be_resampled():
    lesions = np.array([1, 1, 0, 0, 0, 0])  # (4 / 6) ** 6 of the resamples have no lesion
    one = froc.Cases(np.arange(4), np.array([0.9, 0.8, 0.7, 0.1]), np.array([1, 1, 0, 0]), lesions)
    group = dict.fromkeys((0, 1), list("abcdef"))
    found = study_figures({0: {"a": one}, 1: {"a": one}}, group, (1.0,), resamples=200)
    assert np.isnan(found.mean.covariance).all() and found.mean.groups == 2
