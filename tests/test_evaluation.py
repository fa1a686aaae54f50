"""ROC, FROC and their intervals against brute force, against scikit-learn, and by simulation of known truth."""

import time

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_curve

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import froc, intervals, roc


def scored(rng, positives, negatives, shift=1.0, decimals=None):
    labels = np.r_[np.ones(positives, int), np.zeros(negatives, int)]
    scores = rng.normal(size=labels.size) + shift * labels
    return labels, scores if decimals is None else scores.round(decimals)


# ROC


def naive_auc(labels, scores):
    pairs = [(p > n) + (p == n) / 2 for p in scores[labels == 1] for n in scores[labels == 0]]
    return sum(pairs) / len(pairs)


def naive_delong(labels, scores):
    """Area and variance from the definition: placements of each positive and of each negative."""
    positive, negative = scores[labels == 1], scores[labels == 0]
    wins = (positive[:, None] > negative) + (positive[:, None] == negative) / 2
    return wins.mean(), wins.mean(1).var(ddof=1) / positive.size + wins.mean(0).var(ddof=1) / negative.size


@pytest.mark.parametrize("decimals", [None, 0])
def test_auc_and_its_interval_by_brute_force(decimals):
    rng = np.random.default_rng(1)
    for _ in range(20):
        labels, scores = scored(rng, *rng.integers(3, 30, 2), decimals=decimals)
        assert roc.auc(labels, scores) == pytest.approx(naive_auc(labels, scores))
        area, variance = naive_delong(labels, scores)
        low, high = roc.auc_interval(labels, scores)
        assert low == pytest.approx(max(0, area - 1.959964 * variance**0.5))
        assert high == pytest.approx(min(1, area + 1.959964 * variance**0.5))


def test_higher_scores_mean_positive():
    assert roc.auc(np.array([0, 0, 1]), np.array([0.1, 0.2, 0.9])) == 1
    assert roc.auc(np.array([1, 1, 0]), np.array([0.1, 0.2, 0.9])) == 0


@pytest.mark.parametrize(
    "labels, scores, message",
    [
        ([1, 1], [0.1, 0.2], "all 2 cases are positive"),
        ([0, 0], [0.1, 0.2], "all 2 cases are negative"),
        ([0, 1], [0.1, np.nan], "1 of 2 scores are not finite"),
        ([0, 1], [np.inf, 0.2], "1 of 2 scores are not finite"),
    ],
)
def test_undefined_auc_is_an_error(labels, scores, message):
    with pytest.raises(UserError, match=message):
        roc.auc(np.array(labels), np.array(scores))


def test_arrays_that_do_not_fit():
    with pytest.raises(ValueError, match="one length"):
        roc.auc(np.array([0, 1]), np.array([0.5]))
    with pytest.raises(ValueError, match="must be 0 or 1"):
        roc.auc(np.array([0, 2]), np.array([0.5, 0.6]))
    with pytest.raises(UserError, match="two cases of each class"):
        roc.auc_interval(np.array([0, 1]), np.array([0.5, 0.6]))


def test_delong_interval_covers_the_truth():
    rng, truth = np.random.default_rng(2), norm.cdf(1 / 2**0.5)
    found = [roc.auc_interval(*scored(rng, 60, 80)) for _ in range(600)]
    assert 0.93 <= np.mean([low <= truth <= high for low, high in found]) <= 0.97


def test_delong_test_keeps_its_level_and_finds_a_difference():
    rng = np.random.default_rng(3)
    ps = []
    for _ in range(500):
        labels, common = scored(rng, 50, 50)
        first, second = (common + rng.normal(size=100) for _ in range(2))
        ps.append(roc.auc_difference(labels, first, second).p)
    assert 0.03 <= np.mean(np.array(ps) < 0.05) <= 0.07
    labels, scores = scored(rng, 200, 200)
    worse = roc.auc_difference(labels, scores, scores + 3 * rng.normal(size=400))
    assert worse.value > 0.1 and worse.low > 0 and worse.p < 0.01
    assert roc.auc_difference(labels, scores, scores) == (0, 0, 0, 1)


@pytest.mark.parametrize("decimals", [None, 0])
def test_group_bootstrap_of_the_auc_by_brute_force(decimals):
    rng = np.random.default_rng(12)
    labels, scores = scored(rng, 20, 30, decimals=decimals)
    group = rng.integers(0, 5, 50)
    fast = roc.bootstrap_aucs(labels, scores, group, resamples=30, seed=1)
    for value, names in zip(fast, intervals.group_resamples(np.unique(group), 30, 1), strict=True):
        chosen = np.repeat(np.arange(50), names[group])
        assert value == pytest.approx(roc.auc(labels[chosen], scores[chosen]))
    assert np.isnan(roc.bootstrap_aucs(labels, scores, labels, resamples=50)).any(), "one class drawn"


# FROC


def random_cases(rng, frames=30, ties=True):
    """Frames with 0-3 lesions; candidates on lesions, repeated hits, false ones; some lesions with none."""
    lesions = rng.integers(0, 4, frames) * (rng.random(frames) < 0.6)
    lesions[0] = 1
    frame = rng.integers(0, frames, 8 * frames)
    lesion = rng.integers(0, lesions[frame] + 1)
    score = rng.normal(size=frame.size) + (lesion > 0)
    return froc.Cases(frame, score.round(1) if ties else score, lesion, lesions)


def naive_point(cases, threshold):
    """False positives, lesions hit and frames hit at a threshold, one candidate at a time."""
    false, lesions = 0, set()
    for frame, score, lesion in zip(cases.frame, cases.score, cases.lesion, strict=True):
        if score >= threshold:
            if lesion:
                lesions.add((frame, lesion))
            else:
                false += 1
    return false, len(lesions), len({frame for frame, _ in lesions})


@pytest.mark.parametrize("ties", [True, False])
def test_curve_by_brute_force(ties):
    rng = np.random.default_rng(4)
    for _ in range(5):
        cases = random_cases(rng, ties=ties)
        curve = froc.curve(cases)
        naive = np.array([naive_point(cases, threshold) for threshold in curve.threshold])
        np.testing.assert_array_equal(curve.false_positives, naive[:, 0])
        np.testing.assert_array_equal(curve.sensitivity("lesion"), naive[:, 1] / cases.lesions.sum())
        np.testing.assert_array_equal(curve.sensitivity("frame"), naive[:, 2] / (cases.lesions > 0).sum())
        np.testing.assert_array_equal(curve.false_positives_per_frame, naive[:, 0] / cases.lesions.size)
        assert curve.threshold[0] == np.inf and set(curve.threshold[1:]) == set(cases.score)
        for rate in (0, 0.1, 0.5, 1, 2, 100):
            for column, by in enumerate(froc.SENSITIVITIES, 1):
                allowed = naive[naive[:, 0] <= rate * cases.lesions.size]
                expected = allowed[:, column].max() / naive_total(cases, by)
                assert froc.sensitivity_at(curve, rate, by) == expected
                point = froc.operating_point(curve, rate, by)
                assert point.false_positives_per_frame <= rate
                assert naive_point(cases, point.threshold)[column] == point.hits


def naive_total(cases, by):
    return cases.lesions.sum() if by == "lesion" else (cases.lesions > 0).sum()


def test_definitions_by_hand():
    # frame 0 has two lesions, frame 1 one that no candidate hits, frame 2 none
    cases = froc.Cases([0, 0, 0, 0, 2], [0.9, 0.8, 0.7, 0.3, 0.6], [1, 1, 0, 2, 0], [2, 1, 0])
    curve = froc.curve(cases)
    assert curve.threshold.tolist() == [np.inf, 0.9, 0.8, 0.7, 0.6, 0.3]
    assert curve.false_positives.tolist() == [0, 0, 0, 1, 2, 2]
    assert curve.lesion_hits.tolist() == [0, 1, 1, 1, 1, 2] and curve.lesions == 3
    assert curve.frame_hits.tolist() == [0, 1, 1, 1, 1, 1] and curve.lesion_frames == 2
    assert froc.sensitivity_at(curve, 0) == 1 / 3
    assert froc.sensitivity_at(curve, 2 / 3) == 2 / 3
    assert froc.operating_point(curve, 0.5).threshold == 0.9


def test_one_candidate_a_frame_is_a_roc():
    rng = np.random.default_rng(5)
    labels, scores = scored(rng, 40, 60, decimals=1)
    curve = froc.curve(froc.Cases(np.arange(100), scores, labels, labels))
    false, true, thresholds = roc_curve(labels, scores, drop_intermediate=False)
    np.testing.assert_array_equal(curve.threshold, thresholds)
    np.testing.assert_allclose(curve.sensitivity(), true)
    np.testing.assert_allclose(curve.false_positives / 60, false)


def test_no_candidate_at_all_is_a_curve_of_one_point():
    curve = froc.curve(froc.Cases([], [], [], [1, 0]))
    assert curve.threshold.tolist() == [np.inf] and froc.sensitivity_at(curve, 10) == 0


def test_cases_that_are_wrong():
    with pytest.raises(UserError, match="no frame of this set has a lesion"):
        froc.Cases([0], [0.5], [0], [0])
    with pytest.raises(UserError, match="1 candidate scores are not finite"):
        froc.Cases([0], [np.nan], [1], [1])
    with pytest.raises(ValueError, match="does not have"):
        froc.Cases([0], [0.5], [2], [1])
    with pytest.raises(ValueError, match="outside 0..0"):
        froc.Cases([1], [0.5], [0], [1])
    with pytest.raises(ValueError, match="differ"):
        froc.Cases([0, 0], [0.5], [0], [1])


def test_candidate_scores_are_means_of_their_patches():
    rng = np.random.default_rng(6)
    candidate = np.r_[np.arange(7), rng.integers(0, 7, 50)]
    probability = rng.random(57)
    expected = [probability[candidate == i].mean() for i in range(7)]
    np.testing.assert_allclose(froc.candidate_scores(candidate, probability, 7), expected)
    with pytest.raises(ValueError, match="1 of 8 candidates have no patch"):
        froc.candidate_scores(candidate, probability, 8)


# Intervals


@pytest.mark.parametrize("truth", [0.5, 0.85])
def test_binomial_intervals_cover_the_truth(truth):
    hits = np.random.default_rng(7).binomial(150, truth, size=1500)
    by_hits = {h: (intervals.wilson(h, 150), intervals.clopper_pearson(h, 150)) for h in set(hits.tolist())}
    wilson, exact = (np.mean([by_hits[h][i].low <= truth <= by_hits[h][i].high for h in hits]) for i in (0, 1))
    assert 0.93 <= wilson <= 0.97
    assert 0.945 <= exact <= 0.99


def test_exact_interval_at_the_ends():
    assert intervals.clopper_pearson(0, 10).low == 0
    assert intervals.clopper_pearson(0, 10).high == pytest.approx(1 - 0.025**0.1)
    assert intervals.wilson(10, 10).high == 1
    with pytest.raises(ValueError, match="11 hits of 10"):
        intervals.wilson(11, 10)
    with pytest.raises(ValueError):
        intervals.wilson(0, 0)


def repeated(cases, weights):
    """The same cases with frame i written out weights[i] times."""
    copies = np.repeat(np.arange(weights.size), weights)
    parts = [np.flatnonzero(cases.frame == original) for original in copies]
    chosen = np.concatenate(parts)
    frame = np.repeat(np.arange(copies.size), [part.size for part in parts])
    return froc.Cases(frame, cases.score[chosen], cases.lesion[chosen], cases.lesions[copies])


@pytest.mark.parametrize("by", froc.SENSITIVITIES)
def test_bootstrap_by_brute_force(by):
    rng = np.random.default_rng(8)
    cases = random_cases(rng)
    group = rng.integers(0, 6, 30)
    rates = (0, 0.2, 1, 3, 50)
    fast = froc.bootstrap_sensitivities(cases, group, rates, by, resamples=40, seed=3)
    for row, weights in zip(fast, intervals.group_resamples(group, 40, 3), strict=True):
        curve = froc.curve(repeated(cases, weights))
        assert row.tolist() == [froc.sensitivity_at(curve, rate, by) for rate in rates]


def test_resamples_are_whole_groups_and_repeatable():
    group = np.array(["a", "b", "b", "c", "c", "c"])
    first = np.array(list(intervals.group_resamples(group, 200, 1)))
    assert (first[:, 1] == first[:, 2]).all() and (first[:, 3] == first[:, 5]).all()
    assert (first[:, [0, 1, 3]].sum(axis=1) == 3).all()
    np.testing.assert_array_equal(first, list(intervals.group_resamples(group, 200, 1)))
    assert (first != list(intervals.group_resamples(group, 200, 2))).any()
    with pytest.raises(UserError, match="two groups or more, there is 1"):
        next(intervals.group_resamples(np.zeros(5), 1, 0))


def test_resamples_without_a_lesion_do_not_slip_through():
    cases = froc.Cases([0], [0.5], [1], [1, 0, 0])
    values = froc.bootstrap_sensitivities(cases, np.arange(3), [1.0], resamples=100)
    assert np.isnan(values).any() and (values[~np.isnan(values)] == 1).all()
    with pytest.raises(UserError, match="too few groups"):
        intervals.percentile(values[:, 0], 3)


def test_group_bootstrap_covers_where_the_binomial_does_not():
    """Frames of one video succeed or fail together: sensitivity varies by video, and only the bootstrap sees it."""
    rng, groups, frames, covered = np.random.default_rng(9), 40, 10, []
    for _ in range(150):
        chance = np.repeat(rng.beta(1.5, 1.5, groups), frames)
        found = np.flatnonzero(rng.random(chance.size) < chance)
        cases = froc.Cases(found, np.ones(found.size), np.ones(found.size), np.ones(chance.size))
        values = froc.bootstrap_sensitivities(cases, np.repeat(np.arange(groups), frames), [1.0], resamples=200)
        both = intervals.percentile(values[:, 0], groups), intervals.clopper_pearson(found.size, chance.size)
        covered.append([low <= 0.5 <= high for low, high in both])
    bootstrap, binomial = np.mean(covered, axis=0)
    assert bootstrap >= 0.9 and binomial < 0.8


def test_paired_bootstrap_of_a_difference():
    rng = np.random.default_rng(10)
    lesions = np.ones(200, int)
    good, bad = (np.flatnonzero(rng.random(200) < rate) for rate in (0.9, 0.6))
    group = np.repeat(np.arange(40), 5)
    first, second = (
        froc.bootstrap_sensitivities(
            froc.Cases(hit, np.ones(hit.size), np.ones(hit.size), lesions), group, [1.0], resamples=400
        )[:, 0]
        for hit in (good, bad)
    )
    truth = (good.size - bad.size) / 200
    low, high = intervals.percentile(first - second, 40)
    assert 0.1 < low < truth < high < 0.5
    test = intervals.paired_difference(truth, first - second, 40)
    assert (test.low, test.high) == pytest.approx((low, high), abs=0.03) and test.p < 0.01
    assert intervals.paired_difference(0.0, first - first, 40) == (0, 0, 0, 1)


def test_thousand_resamples_in_ten_seconds():
    rng = np.random.default_rng(11)
    lesions = rng.integers(0, 2, 500)
    frame = np.repeat(np.arange(500), 10)
    lesion = lesions[frame] * (rng.random(5000) < 0.2)
    start = time.perf_counter()
    froc.bootstrap_sensitivities(froc.Cases(frame, rng.random(5000), lesion, lesions), frame[::10], (0.5, 1, 2, 4))
    assert time.perf_counter() - start < 10
