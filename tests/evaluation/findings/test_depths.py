"""Claim 3, the best depth by application: probabilities, the test of one depth for all, and the interaction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from grid_evidence import drawn, evidence, without
from scipy.stats import chi2, norm

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.contrasts import Estimate, Verdict
from pycaffe_ext.evaluation.findings import depths, grids
from pycaffe_ext.evaluation.findings.every import claims, findings

DEEPER = {"ft-fc8": {"1": 0.74}, "ft-conv4": {"1": 0.77}, "ft-conv1": {"1": 0.80}, "scratch": {"1": 0.70}}
SHALLOWER = {"ft-fc8": {"1": 0.80}, "ft-conv4": {"1": 0.78}, "ft-conv1": {"1": 0.74}, "scratch": {"1": 0.70}}


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_of_two_schemes_the_probability_is_one_minus_the_p_of_their_difference():
    own = evidence({"ft-fc8": {"1": [0.8, 0.82, 0.79]}, "ft-conv1": {"1": [0.81, 0.8, 0.84]}}, case_sd=0.005)
    found = depths.best(own, "1", rng(), draws=100_000)
    difference = grids.estimate(own, {("ft-conv1", "1"): 1, ("ft-fc8", "1"): -1})
    assert found.leader.scheme == "ft-conv1" and found.seeds == 3
    assert found.leader.probability == pytest.approx(1 - difference.p_above(), abs=0.005)
    assert sum(row.probability for row in found.rows) == pytest.approx(1)
    assert [row.mean for row in found.rows] == pytest.approx([0.8033, 0.8167], abs=1e-4)


def test_probabilities_are_those_of_a_bootstrap_of_seeds_and_groups():
    """With many seeds and groups the draws agree with resampling both by hand."""
    random = np.random.default_rng(3)
    groups, seeds, names = 300, 40, ("ft-fc8", "ft-conv4", "ft-conv1")
    parts = 0.2 * random.normal(size=(groups, 3))
    trained = np.array([0.8, 0.803, 0.806]) + 0.01 * random.normal(size=(seeds, 3))
    values = trained + parts.mean(axis=0)
    influence = (parts - parts.mean(axis=0)) / groups
    covariance = np.broadcast_to((influence.T @ influence)[None, :, None, :], (seeds, 3, seeds, 3))
    own = evidence({n: {"1": values[:, i]} for i, n in enumerate(names)}, groups=groups, covariance=covariance)
    found = [row.probability for row in depths.best(own, "1", rng(), 20_000).rows]
    drawn_seeds = random.integers(seeds, size=(20_000, seeds))
    drawn_groups = random.multinomial(groups, np.full(groups, 1 / groups), 20_000)
    means = trained[drawn_seeds].mean(axis=1) + drawn_groups @ parts / groups
    assert found == pytest.approx(np.bincount(means.argmax(axis=1), minlength=3) / 20_000, abs=0.02)


def test_one_seed_has_means_and_no_probability():
    found = depths.best(drawn(DEEPER, seeds=1), "1", rng())
    assert [row.probability for row in found.rows] == [None] * 4 and found.leader is None
    assert found.reason.startswith("one seed: how much a net varies from training to training is unknown")


def test_schemes_without_a_run_are_named_and_those_with_one_have_no_probability():
    own = without(without(drawn(DEEPER), "ft-conv4", "1"), "scratch", "1", seeds=[0, 1, 2, 3])
    found = depths.best(own, "1", rng())
    assert found.missing == ("ft-conv4",)
    assert [(row.scheme, row.seeds, row.probability is None) for row in found.rows] == [
        ("ft-fc8", 5, False),
        ("ft-conv1", 5, False),
        ("scratch", 1, True),
    ]


def test_one_depth_in_all_applications_is_rejected_depth_by_depth():
    """Of two applications; the second depth is rejected by the first alone, the third by neither."""
    table = [[0.01, 0.002, 0.6], [0.9, 0.4, 0.7]]
    assert depths.common_best(table) == 1
    table[1][2] = 0.004
    assert depths.common_best(table) == pytest.approx(2 * 0.01)


def test_p_of_being_the_best_is_bonferroni_over_the_others():
    own = drawn(DEEPER, training=0.01)
    others = [
        grids.estimate(own, {(other, "1"): 1, ("ft-fc8", "1"): -1}).p_above() for other in ("ft-conv4", "ft-conv1")
    ]
    assert depths.best_p(own, ["ft-fc8", "ft-conv4", "ft-conv1"], "1")[0] == pytest.approx(2 * min(others))


def test_crossed_depths_are_shown_and_equal_ones_are_not():
    crossed = claims([drawn(DEEPER, application="a"), drawn(SHALLOWER, application="b", seed=1)])
    by_statement = {one.statement: one for one in crossed if one.claim == 3}
    assert by_statement[depths.STATEMENT].verdict is Verdict.SHOWN
    assert by_statement[depths.ALIKE].verdict is Verdict.SHOWN
    alike = claims([drawn(DEEPER, application=name, seed=i) for i, name in enumerate("ab")])
    assert [one.verdict for one in alike if one.claim == 3] == [Verdict.NOT_SHOWN] * 2


def test_depth_that_helps_more_in_one_application_is_no_other_best_depth():
    """A quantitative interaction: the deepest is the best in both."""
    steep = {"ft-fc8": {"1": 0.60}, "ft-conv4": {"1": 0.70}, "ft-conv1": {"1": 0.80}, "scratch": {"1": 0.70}}
    found = claims([drawn(DEEPER, application="a"), drawn(steep, application="b", seed=1)])
    verdicts = {one.statement: one.verdict for one in found if one.claim == 3}
    assert verdicts[depths.ALIKE] is Verdict.SHOWN and verdicts[depths.STATEMENT] is Verdict.NOT_SHOWN


def test_only_depths_that_every_application_has_are_compared_and_a_single_application_has_no_claim():
    first, second = drawn(DEEPER, application="a"), without(drawn(SHALLOWER, application="b"), "ft-conv4", "1")
    found = depths.findings([first, second], "alexnet", 0)
    assert found[0].note == "depths compared: ft-fc8, ft-conv1"
    assert list(found[1].test.parts) == [depths.RISE]  # two depths have no bend
    assert depths.findings([first], "alexnet", 0) == []
    one_seed = depths.findings([first, drawn(SHALLOWER, seeds=1)], "alexnet", 0)
    assert "fewer than two applications with two seeds" in one_seed[0].reason


def test_only_all_data_have_a_verdict():
    means = {name: {"1": of["1"], "1/4": of["1"] - 0.05} for name, of in DEEPER.items()}
    found = depths.findings([drawn(means, application=name) for name in "ab"], "alexnet", 0)
    assert [(one.about.split()[-1], one.primary) for one in found] == [
        ("1", True),
        ("1", True),
        ("1/4", False),
        ("1/4", False),
    ]


def test_the_contrasts_are_a_line_and_a_parabola():
    learning = np.array([1.0, 4, 8])
    found = depths.depth_contrasts(learning)
    assert found[depths.RISE] @ (0.7 + 0.01 * learning) == pytest.approx(0.07)
    assert found[depths.BEND] @ (0.7 + 0.01 * learning) == pytest.approx(0, abs=1e-12)
    assert found[depths.BEND] @ np.array([0, 1, 0]) == pytest.approx(1)
    five = depths.depth_contrasts(np.arange(1.0, 6))
    assert five[depths.BEND] @ -((np.arange(1.0, 6) - 3) ** 2) > 0
    assert list(depths.depth_contrasts(np.array([1.0, 8]))) == [depths.RISE]


def known(value: float, error: float, seeds: int = 2000) -> Estimate:
    return Estimate(value, error, 0.0, seeds, 1000, error, error)


def test_with_many_seeds_the_comparison_of_applications_is_the_normal_one():
    statistic, p = depths.equal_means([known(0.1, 0.03), known(0.0, 0.04)], draws=200_000)
    assert statistic == pytest.approx(4) and p == pytest.approx(2 * norm.sf(2), rel=0.05)
    values = [0.1, 0.0, 0.05, -0.02]
    statistic, p = depths.equal_means([known(value, 0.05) for value in values], draws=200_000)
    assert statistic == pytest.approx(np.var(values) * 4 / 0.05**2) and p == pytest.approx(
        chi2.sf(statistic, 3), rel=0.03
    )


def test_with_few_seeds_the_comparison_keeps_its_level():
    random = np.random.default_rng(5)
    p = []
    for _ in range(300):
        values = np.array([[1.0], [1.0], [5.0]]) * random.normal(size=(3, 3))  # three applications, three seeds
        found = [known(own.mean(), own.std(ddof=1) / np.sqrt(3), 3) for own in values]
        p.append(depths.equal_means(found, draws=500)[1])
    assert 0.02 <= np.mean(np.array(p) < 0.05) <= 0.08
    with pytest.raises(UserError, match="fewer than two"):
        depths.equal_means([known(0, 1)])


def test_findings_are_the_same_for_the_same_seed_and_holm_goes_over_verdicts_alone():
    means = {name: {"1": of["1"], "1/4": of["1"] - 0.05, "1/8": of["1"] - 0.07} for name, of in DEEPER.items()}
    own = [drawn(means, application=name, seed=i, training=0.01) for i, name in enumerate("ab")]
    found, again = (findings(own, draws=50) for _ in range(2))
    assert (found.claims, found.best, found.recommendations) == (again.claims, again.best, again.recommendations)
    primary = [one for one in found.claims if one.primary]
    assert {one.tested for one in found.claims} == {5} and len(primary) == 5  # two gaps, their mean, two about depth
    assert max(one.p_holm for one in primary) <= 1 and all(
        one.p_holm is None for one in found.claims if not one.primary
    )
    assert len(found.best) == len(found.recommendations) == 6 and len(found.curves) == 8 and found.notes == ()
    single = findings([replace(own[0], figure=drawn(means, seeds=1).figure)], draws=50)
    assert single.notes[0].startswith("one seed (a, alexnet): how much a net varies")


def test_two_data_sets_of_one_application_say_nothing_about_another():
    first, second = drawn(DEEPER, application="polyp"), drawn(SHALLOWER, application="polyp")
    assert depths.findings([first, replace(second, title="polyp, other data")], "alexnet", 0) == []
