"""ROC, FROC and their intervals against brute force, against scikit-learn, and by simulation of known truth."""

import time
import tracemalloc

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import binomtest, norm, t
from sklearn.metrics import roc_auc_score, roc_curve

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import froc, intervals, operating, roc


def scored(rng, positives, negatives, shift=1.0, decimals=None):
    labels = np.r_[np.ones(positives, int), np.zeros(negatives, int)]
    scores = rng.normal(size=labels.size) + shift * labels
    return labels, scores if decimals is None else scores.round(decimals)


# ROC


def naive_auc(labels, scores):
    pairs = [(p > n) + (p == n) / 2 for p in scores[labels == 1] for n in scores[labels == 0]]
    return sum(pairs) / len(pairs)


def naive_delong(labels, scores):
    """Area and variance from the definition, and placements of each positive and of each negative."""
    positive, negative = scores[labels == 1], scores[labels == 0]
    wins = (positive[:, None] > negative) + (positive[:, None] == negative) / 2
    placements = wins.mean(1), wins.mean(0)
    return wins.mean(), sum(places.var(ddof=1) / places.size for places in placements), placements


def naive_interval(labels, scores):
    """DeLong's on the logit scale with a t tail; a class whose cases are all placed alike may yet have others."""
    area, variance, placements = naive_delong(labels, scores)
    low, high = area, area
    if 0 < area < 1:
        reach = t.ppf(0.975, min(p.size for p in placements) - 1) * variance**0.5 / (area * (1 - area))
        low, high = (expit(logit(area) + side * reach) for side in (-1, 1))
    for places in placements:
        if np.ptp(places) < 1e-12:
            others = intervals.clopper_pearson(0, places.size).high
            low, high = min(low, area * (1 - others)), max(high, area + others * (1 - area))
    return low, high


@pytest.mark.parametrize("decimals", [None, 0])
def test_auc_and_its_interval_by_brute_force(decimals):
    rng = np.random.default_rng(1)
    for _ in range(20):
        labels, scores = scored(rng, *rng.integers(3, 30, 2), decimals=decimals)
        assert roc.auc(labels, scores) == pytest.approx(naive_auc(labels, scores))
        assert roc.auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores))
        assert roc.auc_interval(labels, scores) == pytest.approx(naive_interval(labels, scores))


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
    reach = intervals.clopper_pearson(0, 200).high  # 200 cases that all agree do not make sure of the next one
    assert roc.auc_difference(labels, scores, scores) == pytest.approx((0, -reach, reach, 1))


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
        intervals.logit_intervals(np.ones(1), values, 3)


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
    low, high = np.quantile(first - second, [0.025, 0.975])
    test = intervals.paired_difference(truth, first - second, 40)
    assert 0.1 < test.low < truth < test.high < 0.5 and test.p < 0.01
    assert (test.low, test.high) == pytest.approx((low, high), abs=0.03)
    assert intervals.paired_difference(0.0, first - first, 40).p == 1


def test_thousand_resamples_in_ten_seconds():
    rng = np.random.default_rng(11)
    lesions = rng.integers(0, 2, 500)
    frame = np.repeat(np.arange(500), 10)
    lesion = lesions[frame] * (rng.random(5000) < 0.2)
    start = time.process_time()
    froc.bootstrap_sensitivities(froc.Cases(frame, rng.random(5000), lesion, lesions), frame[::10], (0.5, 1, 2, 4))
    assert time.process_time() - start < 10


# Every operating point


def test_exact_intervals_are_scipys():
    for total in (1, 2, 7, 60, 500):
        hits = np.arange(total + 1) if total < 100 else np.array([0, 1, 250, 437, 499, 500])
        expected = [binomtest(int(h), total).proportion_ci(method="exact") for h in hits]
        found = np.transpose(intervals.exact_intervals(hits, total))
        np.testing.assert_allclose(found, [(e.low, e.high) for e in expected], rtol=1e-6, atol=1e-12)
    wide = intervals.exact_intervals(np.array([3]), 10, 0.99)
    assert np.ravel(wide) == pytest.approx(tuple(binomtest(3, 10).proportion_ci(0.99, "exact")))
    with pytest.raises(ValueError, match="total > 0"):
        intervals.exact_intervals(np.array([0]), 0)


@pytest.mark.parametrize("ties", [True, False])
def test_operable_points_are_those_that_some_rate_gives(ties):
    for seed in range(10):
        curve = froc.curve(random_cases(np.random.default_rng(seed), ties=ties))
        rates = np.unique(curve.false_positives_per_frame)
        given = {froc.operating_point(curve, rate).threshold for rate in rates}
        assert curve.threshold[froc.operable(curve)].tolist() == sorted(given, reverse=True)
        by_frame = {froc.operating_point(curve, rate, "frame").threshold for rate in rates}
        at = froc.operable(curve)
        for threshold in by_frame:  # nothing by frame is lost either
            i = np.flatnonzero(curve.threshold == threshold)[0]
            same = at[curve.frame_hits[at] == curve.frame_hits[i]]
            assert curve.false_positives[same].min() == curve.false_positives[i]


def test_a_rate_allows_whole_false_positives():
    """0.29 * 100 is 28.999999999999996 in floats, and 29 in fact."""
    curve = froc.curve(froc.Cases(np.arange(30), -np.arange(30.0), np.r_[np.zeros(29), 1], np.ones(100)))
    assert froc.operating_point(curve, 0.29).hits == 1 and froc.operating_point(curve, 0.289).hits == 0
    assert froc.reaches(curve, 0.29) and not froc.reaches(curve, 0.3)


def kish(sizes):
    return sum(sizes) ** 2 / sum(size**2 for size in sizes)


def naive_by_group(value, exact, drawn, groups):
    """t interval on the logit scale with the bootstrap's standard error, no narrower than the exact one."""
    reach = t.ppf(0.975, groups - 1) * np.std(drawn, ddof=1) * (groups / (groups - 1)) ** 0.5
    whole = 1 - 0.025 ** (1 / groups)
    if 0 < value < 1 and reach > 1e-12:
        ends = [expit(logit(value) + side * reach / (value * (1 - value))) for side in (-1, 1)]
    else:
        ends = [min(value * (1 - whole), value - reach), max(value + whole * (1 - value), value + reach)]
    return max(min(ends[0], exact[0]), 0), min(max(ends[1], exact[1]), 1)


def assert_by_group(found, drawn, groups):
    """drawn : (resamples, points).  At 1 and 0 the interval is no wider than at the next point of the curve."""
    exact = np.transpose([found.exact_low, found.exact_high])
    ends = [naive_by_group(*point, groups) for point in zip(found.sensitivity, exact, drawn.T, strict=True)]
    low, high = np.transpose(ends)
    full, none = found.sensitivity == 1, found.sensitivity == 0
    if full.any() and not full.all():
        low[full] = np.maximum(low[full], low[~full][-1])
    if none.any() and not none.all():
        high[none] = np.minimum(high[none], high[~none][0])
    np.testing.assert_allclose([found.group_low, found.group_high], [low, high], atol=1e-9)


@pytest.mark.parametrize("ties", [True, False])
def test_intervals_at_every_point_by_brute_force(ties):
    rng = np.random.default_rng(13)
    cases, group = random_cases(rng, ties=ties), rng.integers(0, 8, 30)
    points = operating.froc_points(cases, group, resamples=40, seed=2)
    curves = [froc.curve(repeated(cases, weights)) for weights in intervals.group_resamples(group, 40, 2)]
    for by in froc.SENSITIVITIES:
        found = points.estimates[by]
        drawn = np.array([[froc.sensitivity_at(curve, rate, by) for rate in points.rate] for curve in curves])
        total = naive_total(cases, by)
        for i, (threshold, rate) in enumerate(zip(points.threshold, points.rate, strict=True)):
            false, *hits = naive_point(cases, threshold)
            assert rate == false / 30 and found.sensitivity[i] == hits[by == "frame"] / total
            exact = intervals.clopper_pearson(hits[by == "frame"], total)
            assert (found.exact_low[i], found.exact_high[i]) == pytest.approx(exact)
        per_frame = cases.lesions if by == "lesion" else cases.lesions > 0
        assert_by_group(found, drawn, kish([per_frame[group == name].sum() for name in set(group)]))
        some = points.rate[::5]
        alone = np.transpose([operating.group_intervals(cases, group, [rate], by, 40, 2) for rate in some])[0]
        np.testing.assert_array_equal(alone, [found.group_low[::5], found.group_high[::5]])


def test_roc_points_are_scikit_learns_corners():
    rng = np.random.default_rng(14)
    labels, scores = scored(rng, 30, 50, decimals=1)
    group = rng.integers(0, 9, 80)
    points = operating.roc_points(labels, scores, group, resamples=30, seed=5)
    false, true, _ = roc_curve(labels, scores, drop_intermediate=False)
    best = {f: true[false == f].max() for f in false}  # the highest sensitivity of each false-positive share
    corners = [(f, t) for f, t in best.items() if f == 0 or t > max(u for g, u in best.items() if g < f)]
    np.testing.assert_allclose(np.c_[points.rate, points.estimates["case"].sensitivity], corners)
    drawn = []
    for weights in intervals.group_resamples(group, 30, 5):
        chosen = np.repeat(np.arange(80), weights)
        false, true, _ = roc_curve(labels[chosen], scores[chosen], drop_intermediate=False)
        drawn.append([true[false <= rate + 1e-12].max() for rate in points.rate])
    groups = min(kish([(labels[group == name] == k).sum() for name in set(group)]) for k in (0, 1))
    assert_by_group(points.estimates["case"], np.array(drawn), groups)


def test_blocks_of_points_make_no_difference(monkeypatch):
    rng = np.random.default_rng(15)
    cases, group = random_cases(rng), rng.integers(0, 8, 30)
    whole = operating.froc_points(cases, group, resamples=20)
    monkeypatch.setattr(operating, "BLOCK", 3)
    for a, b in zip(whole.estimates.values(), operating.froc_points(cases, group, 20).estimates.values(), strict=True):
        np.testing.assert_array_equal(np.array(a), np.array(b))


@pytest.mark.parametrize("decimals", [None, 0])
def test_aucs_of_resamples_with_and_without_a_table(decimals, monkeypatch):
    rng = np.random.default_rng(16)
    labels, scores = scored(rng, 40, 60, decimals=decimals)
    group = rng.integers(0, 7, 100)
    by_table = roc.bootstrap_aucs(labels, scores, group, 50)
    monkeypatch.setattr(roc, "TABLE_GROUPS", 0)
    np.testing.assert_allclose(roc.bootstrap_aucs(labels, scores, group, 50), by_table, rtol=1e-12)


def test_delong_is_the_jackknife():
    """DeLong's variance is that of leaving out each positive and each negative in turn; so is the covariance."""
    rng = np.random.default_rng(17)
    labels, first = scored(rng, 15, 25, decimals=1)
    second = first + rng.normal(size=40).round(1)
    left_out = np.array([[roc.auc(np.delete(labels, i), np.delete(s, i)) for i in range(40)] for s in (first, second)])
    variance = sum((m - 1) / m * m * np.cov(left_out[:, labels == k], bias=True) for k, m in ((1, 15), (0, 25)))
    test = roc.auc_difference(labels, first, second)
    error = np.sqrt(variance[0, 0] + variance[1, 1] - 2 * variance[0, 1])
    assert (test.high - test.value) / 1.959964 == pytest.approx(error)
    area, (low, high) = roc.auc(labels, first), roc.auc_interval(labels, first)
    error = (logit(high) - logit(low)) / 2 / t.ppf(0.975, 14) * area * (1 - area)
    assert error == pytest.approx(variance[0, 0] ** 0.5)


# Nothing is NaN, and nothing certain, at the ends


def finite(estimates):
    return all(np.isfinite(column).all() for column in estimates if column is not None)


@pytest.mark.parametrize(
    "cases",
    [
        froc.Cases([], [], [], [1, 0, 1, 1]),  # no candidate
        froc.Cases([0, 1], [0.5, 0.5], [0, 0], [1, 0, 1, 1]),  # no lesion found
        froc.Cases([0, 2, 3], [0.9, 0.9, 0.9], [1, 1, 1], [1, 0, 1, 1]),  # no false positive
        froc.Cases([0, 1, 2, 3], [0.5] * 4, [1, 0, 1, 1], [1, 0, 1, 1]),  # all scores alike
        froc.Cases([0, 1], [0.5, 0.7], [1, 0], [1, 0, 0, 0]),  # a single lesion
    ],
    ids=["none", "missed", "perfect", "ties", "single"],
)
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_extreme_cases_have_numbers(cases, groups):
    group = np.arange(4) % groups
    points = operating.froc_points(cases, group, resamples=50)
    lesion_groups = froc.lesion_groups(cases, group)
    for estimates in points.estimates.values():
        assert finite(estimates) and (estimates.group_low is None) == (lesion_groups == 1)
        assert (estimates.exact_low < estimates.exact_high).all()
        if estimates.group_low is not None:
            assert (estimates.group_low < estimates.group_high).all()
            assert (estimates.group_low <= estimates.sensitivity).all()
            assert (estimates.group_high >= estimates.sensitivity).all()


def test_all_found_is_not_certainty():
    """20 of 20 videos: the exact bound of 20 cases, whatever the number of lesions; so for a perfect AUC."""
    everything = froc.Cases(np.arange(200), np.ones(200), np.ones(200, int), np.ones(200, int))
    group = np.repeat(np.arange(20), 10)
    low, high = np.ravel(operating.group_intervals(everything, group, [1.0], resamples=50))
    assert low == pytest.approx(intervals.clopper_pearson(20, 20).low) and high == 1
    labels = np.repeat([0, 1], 20)
    assert roc.auc_interval(labels, labels.astype(float)) == pytest.approx(intervals.clopper_pearson(20, 20))
    assert roc.auc_interval(labels, -labels.astype(float)) == pytest.approx(intervals.clopper_pearson(0, 20))
    nearly = intervals.area_interval(0.99999, np.r_[np.full(25, 0.9), np.ones(25)], 2)  # odds beyond what floats hold
    assert nearly == (0, 1)
    assert intervals.area_interval(0.0, np.zeros(50), 4) == pytest.approx(intervals.clopper_pearson(0, 4))


def test_intervals_of_few_groups_are_wider():
    values = np.random.default_rng(18).normal(0.5, 0.05, 100_000)
    for groups in (5, 20, 1000):
        low, high = intervals.area_interval(0.5, values, groups)
        reach = t.ppf(0.975, groups - 1) * (groups / (groups - 1)) ** 0.5 * 0.05 / 0.25
        assert (logit(low), logit(high)) == pytest.approx((-reach, reach), rel=0.02)
        test = intervals.paired_difference(0.05, values - 0.5, groups)
        assert (test.high - test.low) / 2 == pytest.approx(reach * 0.25, rel=0.02)
        assert test.p == pytest.approx(2 * t.sf(((groups - 1) / groups) ** 0.5, groups - 1), rel=0.02)
    with pytest.raises(UserError, match="two groups with cases or more, there is 1"):
        intervals.area_interval(0.5, values, 1)


def test_effective_groups():
    assert intervals.effective_groups([7] * 12) == 12 and intervals.effective_groups([3, 0, 3]) == 2
    assert intervals.effective_groups([100, 10, 10]) == 2  # 1.4, and two groups have at least the tails of two
    assert intervals.effective_groups([5]) == 1 and intervals.effective_groups([]) == 0
    assert intervals.effective_groups([40, 20, 20, 10, 10]) == pytest.approx(100**2 / 2600)


@pytest.mark.slow
@pytest.mark.parametrize("groups", [20, 500])
def test_the_papers_size_in_bounded_memory(groups):
    """189 000 candidates in 18 900 frames, 2000 resamples."""
    rng = np.random.default_rng(19)
    lesions = (np.arange(18_900) % 10 < 3).astype(int)
    frame = np.repeat(np.arange(18_900), 10)
    lesion = lesions[frame] * (rng.random(189_000) < 0.2)
    cases = froc.Cases(frame, rng.normal(size=189_000) + 2 * lesion, lesion, lesions)
    tracemalloc.start()
    points = operating.froc_points(cases, np.arange(18_900) * groups // 18_900)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 500e6 and points.rate.size > 2000 and finite(points.estimates["lesion"])
