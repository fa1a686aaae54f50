"""Comparisons of methods against brute force, SciPy and by hand; what cannot be tested says so."""

import json

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logit

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import froc, intervals, operating, roc
from pycaffe_ext.evaluation.comparison import (
    NO_DIFFERENCE,
    NOT_TESTED,
    compare,
    compare_aucs,
    holm,
    least_adjusted_p,
)
from tests.evaluation.test_evaluation import kish, random_cases, repeated, scored


def rescored(cases, rng, gain):
    """The same candidates with other scores, those on lesions `gain` higher."""
    return froc.Cases(
        cases.frame, rng.normal(size=cases.frame.size) + gain * (cases.lesion > 0), cases.lesion, cases.lesions
    )


@pytest.fixture(scope="module")
def study():
    """Three methods over 120 frames of 24 groups: a good one, one as good, and one that guesses."""
    rng = np.random.default_rng(1)
    cases = random_cases(rng, frames=120)
    methods = {name: rescored(cases, rng, gain) for name, gain in (("good", 1.8), ("alike", 1.8), ("guess", -0.5))}
    return methods, np.repeat(np.arange(24), 5)


@pytest.mark.parametrize("by", froc.SENSITIVITIES)
def test_a_comparison_by_brute_force(study, by):
    methods, group = study
    rows = compare(methods, group, (0.5, 1.0), by, resamples=60, seed=4)
    copies = list(intervals.group_resamples(group, 60, 4))
    for row in rows:
        drawn = np.array(
            [
                [froc.sensitivity_at(froc.curve(repeated(methods[name], weights)), row.rate, by) for weights in copies]
                for name in (row.first, row.second)
            ]
        )
        for point, name in ((row.first_point, row.first), (row.second_point, row.second)):
            assert point.sensitivity == froc.sensitivity_at(froc.curve(methods[name]), row.rate, by)
            test = stats.binomtest(point.hits, point.total).proportion_ci(method="exact")
            assert point.exact == pytest.approx((test.low, test.high))
            band = operating.group_intervals(methods[name], group, [row.rate], by, 60, 4)
            assert point.bootstrap == tuple(np.ravel(band))
        value = row.first_point.sensitivity - row.second_point.sensitivity
        lesions = methods["good"].lesions if by == "lesion" else methods["good"].lesions > 0
        groups = kish([lesions[group == name].sum() for name in set(group)])
        assert row.effective_groups == pytest.approx(groups) and row.effective_groups < row.groups
        error = (drawn[0] - drawn[1]).std(ddof=1) * (groups / (groups - 1)) ** 0.5
        assert row.difference.value == value
        p = max(2 * stats.t.sf(abs(value) / error, groups - 1), 2.0 ** (1 - groups))
        assert row.difference.p == pytest.approx(p, rel=1e-6)
        reach = stats.t.ppf(0.975, groups - 1) * error
        assert (row.difference.low, row.difference.high) == pytest.approx((value - reach, min(value + reach, 1)))


def test_verdicts_in_words(study):
    methods, group = study
    rows = compare(methods, group, (0.5, 1.0), resamples=300)
    assert [(row.first, row.second, row.rate) for row in rows] == [
        ("good", "alike", 0.5),
        ("good", "alike", 1.0),
        ("good", "guess", 0.5),
        ("good", "guess", 1.0),
        ("alike", "guess", 0.5),
        ("alike", "guess", 1.0),
    ]
    assert [row.verdict for row in rows] == [NO_DIFFERENCE] * 2 + ["good > guess"] * 2 + ["alike > guess"] * 2
    assert [row.paper for row in rows] == [row.verdict for row in rows]
    back = compare(dict(reversed(methods.items())), group, (0.5, 1.0), resamples=300)
    assert {row.verdict for row in back} == {NO_DIFFERENCE, "good > guess", "alike > guess"}
    assert [row.difference.value for row in back[:2]] == [-row.difference.value for row in rows[4:]]
    assert all(row.reliable and row.note == "" and row.p_holm >= row.difference.p for row in rows)


def test_the_papers_rule_is_that_the_bars_do_not_overlap():
    lesions, group = np.ones(100, int), np.arange(100)
    hits = {name: froc.Cases(np.arange(n), np.ones(n), np.ones(n, int), lesions) for name, n in (("a", 70), ("b", 84))}
    with_false = {
        name: froc.Cases(np.r_[c.frame, 0], np.r_[c.score, 0.5], np.r_[c.lesion, 0], lesions)
        for name, c in hits.items()
    }
    row = compare(with_false, group, [0.01])[0]
    assert row.first_point.exact.high > row.second_point.exact.low and row.paper == NO_DIFFERENCE
    assert row.difference.p < 0.001 and row.verdict == "b > a"  # b finds all that a finds: the pairs know more


def test_a_method_against_itself(study):
    methods, group = study
    row = compare({"one": methods["good"], "same": methods["good"]}, group, [1.0])[0]
    assert row.difference.value == 0 and row.p_holm == 1 and row.verdict == row.paper == NO_DIFFERENCE
    # not a sure zero: 24 groups without a difference leave room for one
    reach = 1 - 0.025 ** (1 / row.effective_groups)
    assert reach > stats.binomtest(0, 24).proportion_ci(method="exact").high  # the groups differ in size
    assert row.groups == 24 and (row.difference.low, row.difference.high) == pytest.approx((-reach, reach))


def test_a_rate_beyond_the_end_of_a_curve(study):
    methods, group = study
    ends = froc.curve(methods["good"]).false_positives_per_frame[-1]
    both = compare({name: methods[name] for name in ("good", "guess")}, group, [1.0, ends + 1])
    assert both[0].verdict == "good > guess"
    beyond = both[1]
    assert beyond.verdict == beyond.paper == NOT_TESTED and beyond.difference is beyond.p_holm is None
    assert beyond.note == "; ".join(f"{name} ends at {ends:.2f} false positives a frame" for name in ("good", "guess"))
    assert both[0].p_holm == both[0].difference.p, "what is not tested is not counted by Holm"
    keep = methods["good"].score > 0  # a detector with fewer candidates
    few = froc.Cases(
        *(getattr(methods["good"], name)[keep] for name in ("frame", "score", "lesion")), methods["good"].lesions
    )
    row = compare({"few": few, "guess": methods["guess"]}, group, [ends])[0]
    assert not row.first_point.reached and row.second_point.reached and row.difference is not None
    assert row.first_point.hits == froc.curve(few).lesion_hits[-1]
    assert row.note.startswith("few ends at") and "guess" not in row.note


@pytest.mark.parametrize("groups, tested", [(1, False), (2, True), (5, True), (9, True), (10, True)])
def test_few_groups_are_not_hidden(study, groups, tested):
    methods, _ = study
    group = np.arange(120) % groups
    rows = compare({name: methods[name] for name in ("good", "guess")}, group, [1.0])
    assert (rows[0].difference is not None) == tested and rows[0].groups == groups
    assert rows[0].reliable == (groups >= 10)
    assert rows[0].note == (
        "" if groups >= 10 else f"only {groups} groups: unreliable" if tested else "1 group: too few to be resampled"
    )
    assert rows[0].paper == "good > guess", "the exact intervals need no groups"
    if groups < 6:
        assert rows[0].verdict != "good > guess", "no test by five groups can reach p < .05"


def test_one_group_with_all_the_lesions():
    lesions = np.r_[1, 1, np.zeros(18, int)]
    cases = froc.Cases([0, 5], [0.9, 0.5], [1, 0], lesions)
    row = compare({"a": cases, "b": cases}, np.repeat(np.arange(10), 2), [0.05])[0]
    assert row.groups == 1 and row.difference is None and row.first_point.bootstrap is None
    assert row.verdict == NOT_TESTED and "1 group" in row.note


def test_methods_over_other_frames_cannot_be_paired(study):
    methods, group = study
    with pytest.raises(ValueError, match="other was tested on other frames than good"):
        compare({"good": methods["good"], "other": froc.Cases([], [], [], [1] * 120)}, group, [1.0])
    assert compare({}, group, [1.0]) == [] and compare({"good": methods["good"]}, group, [1.0]) == []


def test_extremes_have_numbers():
    """All found against nothing found, in every group: no spread, and yet no p of 0 and no interval without width."""
    lesions = np.ones(12, int)
    everything = froc.Cases(np.arange(12), np.ones(12), np.ones(12, int), lesions)
    nothing = froc.Cases([0], [0.5], [0], lesions)
    row = compare({"all": everything, "none": nothing}, np.arange(12), [0.05])[0]
    assert row.difference.value == 1 and row.difference.p == 2.0**-11 and row.verdict == "all > none"
    assert 0.4 < row.difference.low < 0.5 and row.difference.high == 1
    assert row.first_point.bootstrap.low == pytest.approx(0.025 ** (1 / 12)) and row.first_point.bootstrap.high == 1
    assert row.second_point.bootstrap == pytest.approx((0, 1 - 0.025 ** (1 / 12)))


# AUC


def test_aucs_in_pairs():
    rng = np.random.default_rng(2)
    labels, good = scored(rng, 100, 200, shift=2.0)
    group = rng.integers(0, 30, 300)
    scores = {"good": good, "alike": good + 0.01 * rng.normal(size=300), "guess": rng.normal(size=300)}
    rows = compare_aucs(labels, scores, group, resamples=200, seed=3)
    assert [(r.first, r.second) for r in rows] == [("good", "alike"), ("good", "guess"), ("alike", "guess")]
    for row in rows:
        assert row.aucs == tuple(roc.auc(labels, scores[name]) for name in (row.first, row.second))
        assert row.delong == roc.auc_difference(labels, scores[row.first], scores[row.second])
        drawn = [roc.bootstrap_aucs(labels, scores[name], group, 200, 3) for name in (row.first, row.second)]
        groups = min(kish(np.bincount(group[labels == k])) for k in (0, 1))
        assert row.effective_groups == pytest.approx(groups)
        assert row.bootstrap == intervals.paired_difference(row.delong.value, drawn[0] - drawn[1], row.effective_groups)
        for auc, values, interval in zip(row.aucs, drawn, row.bootstrap_intervals, strict=True):
            error = values.std(ddof=1) * (groups / (groups - 1)) ** 0.5
            reach = stats.t.ppf(0.975, groups - 1) * error / (auc * (1 - auc))
            assert interval == pytest.approx(tuple(expit(logit(auc) + side * reach) for side in (-1, 1)))
    assert [r.delong_verdict for r in rows] == [r.bootstrap_verdict for r in rows] == [r.paper for r in rows]
    assert [r.paper for r in rows] == [NO_DIFFERENCE, "good > guess", "alike > guess"]
    assert [r.delong_p_holm for r in rows] == holm([r.delong.p for r in rows])
    one = compare_aucs(labels, scores, np.zeros(300), resamples=10)[1]
    assert one.bootstrap is one.bootstrap_intervals is one.bootstrap_p_holm is None
    assert one.bootstrap_verdict == NOT_TESTED and one.delong_verdict == "good > guess"
    with pytest.raises(UserError, match="all 3 cases are positive"):
        compare_aucs(np.ones(3), {"a": np.arange(3), "b": np.arange(3)}, np.arange(3))


# Holm, seeds


def test_holm_rejects_what_the_stepwise_procedure_rejects():
    rng = np.random.default_rng(3)
    for _ in range(50):
        p = rng.random(rng.integers(1, 12)) ** 3
        adjusted = np.array(holm(p.tolist()))
        for level in (0.001, 0.01, 0.05, 0.2, 0.7):
            rejected = np.zeros(p.size, bool)
            for step, i in enumerate(np.argsort(p)):
                if p[i] > level / (p.size - step):
                    break
                rejected[i] = True
            np.testing.assert_array_equal(adjusted <= level, rejected)
    assert holm([0.01, None, 0.04]) == [0.02, None, 0.04] and holm([]) == []
    assert holm([0.5, 0.9, 0.02]) == pytest.approx([1, 1, 0.06])


def test_rows_are_plain_numbers(study):
    from dataclasses import asdict

    methods, group = study
    rows = compare(methods, group, [1.0], resamples=20)
    labels = (methods["good"].lesion > 0).astype(int)
    scores = {name: cases.score for name, cases in methods.items()}
    aucs = compare_aucs(labels, scores, group[methods["good"].frame], 20)
    for row in rows + aucs:
        json.dumps(asdict(row), allow_nan=False)


def test_a_rate_within_many_ties_is_pointed_out(study):
    """A net whose output is the same for a third of the candidates cannot be operated within that third."""
    methods, group = study
    good = methods["good"]
    order = np.argsort(-good.score[good.lesion == 0])
    block = good.score[good.lesion == 0][order][[60, 240]]  # 120 frames: from 0.5 to 2 false positives a frame
    score = np.where((good.score < block[0]) & (good.score >= block[1]), block[1], good.score)
    tied = froc.Cases(good.frame, score, good.lesion, good.lesions)
    row = compare({"tied": tied, "good": good}, group, [1.0], resamples=50)[0]
    assert row.note == "tied steps from 0.51 to 2.01 false positives a frame: 180 are tied"
    assert row.first_point.step == (61 / 120, 241 / 120) and row.first_point.sensitivity < row.second_point.sensitivity


def test_too_few_groups_for_a_table_show_nothing_however_large_the_difference():
    """Eight groups reach p = 1/128 at best; nine comparisons make 9/128 of it."""
    frame = np.repeat(np.arange(80), 2)
    lesion = np.tile([1, 0], 80)
    perfect = {
        name: froc.Cases(frame, sign * lesion + 0.001 * np.arange(160), lesion, np.ones(80, int))
        for name, sign in (("perfect", 1.0), ("as good", 2.0), ("reversed", -1.0))
    }
    rows = compare(perfect, np.repeat(np.arange(8), 10), [0.2, 0.4, 0.6], resamples=200)
    assert least_adjusted_p(rows) == pytest.approx(9 / 128) and all(row.verdict == NO_DIFFERENCE for row in rows)
    assert {row.difference.value for row in rows if "reversed" in (row.first, row.second)} >= {1.0}
    more = compare(perfect, np.repeat(np.arange(10), 8), [0.2, 0.4, 0.6], resamples=200)
    assert least_adjusted_p(more) == pytest.approx(9 / 512)
    assert sum(row.verdict.endswith("> reversed") for row in more) == 6
    assert least_adjusted_p(compare(perfect, np.zeros(80, int), [0.2], resamples=200)) is None
