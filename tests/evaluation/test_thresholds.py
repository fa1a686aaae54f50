"""Thresholds carried from validation to test, and sensitivity by video and by size: by hand and by brute force."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logit
from sklearn.metrics import roc_curve

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import froc, intervals, strata, thresholds
from pycaffe_ext.evaluation.classes import Images
from tests.evaluation.test_evaluation import kish, random_cases, repeated


def test_a_threshold_is_chosen_on_validation_and_reaches_what_it_reaches():
    rng = np.random.default_rng(1)
    validation, test = random_cases(rng), random_cases(rng, frames=45)
    group = rng.integers(0, 9, 45)
    for by, rate in (("lesion", 0.5), ("frame", 1.0)):
        threshold = thresholds.chosen(validation, rate, by)
        assert threshold == froc.operating_point(froc.curve(validation), rate, by).threshold
        found = thresholds.carried(test, group, threshold, by, wanted=rate, resamples=60, seed=3)
        best, _ = test.best_scores(by)
        hits, false = (best >= threshold).sum(), ((test.lesion == 0) & (test.score >= threshold)).sum()
        assert (found.sensitivity.hits, found.sensitivity.total) == (hits, best.size)
        assert (found.false_positives.count, found.false_positives.size) == (false, 45)
        assert found.wanted == rate and found.false_positives.value == false / 45 != rate
        assert found.sensitivity.exact == intervals.clopper_pearson(hits, best.size)
        assert found.false_positives.exact == intervals.poisson_interval(false, 45)


def test_carried_intervals_by_brute_force():
    rng = np.random.default_rng(2)
    test, group, threshold = random_cases(rng, frames=45), rng.integers(0, 9, 45), 0.4
    found = thresholds.carried(test, group, threshold, resamples=80, seed=3)
    shares, rates = [], []
    for weights in intervals.group_resamples(group, 80, 3):
        again = repeated(test, weights)
        shares.append((again.best_scores("lesion")[0] >= threshold).mean())
        rates.append(((again.lesion == 0) & (again.score >= threshold)).sum() / again.lesions.size)
    groups = kish(np.bincount(group, test.lesions))
    expected = intervals.area_interval(found.sensitivity.value, np.array(shares), groups)
    exact = found.sensitivity.exact
    assert found.sensitivity.group == pytest.approx((min(expected.low, exact.low), max(expected.high, exact.high)))
    false = test.frame[(test.lesion == 0) & (test.score >= threshold)]
    groups = min(kish(np.bincount(group)), kish(np.bincount(group[false])))
    value, exact = found.false_positives.value, found.false_positives.exact
    reach = stats.t.ppf(0.975, groups - 1) * np.std(rates, ddof=1) * (groups / (groups - 1)) ** 0.5 / value
    expected = min(value * np.exp(-reach), exact.low), max(value * np.exp(reach), exact.high)
    assert found.false_positives.group == pytest.approx(expected)


def test_one_false_positive_says_little_but_no_frame_has_more_than_its_candidates():
    """One group has the only one above the threshold: a t of one degree of freedom, on a logarithmic scale."""
    frame = np.repeat(np.arange(12), 5)
    score = np.tile([0.1, 0.2, 0.3, 0.4, 0.5], 12)
    score[4] = 0.9
    cases = froc.Cases(frame, score, np.tile([1, 0, 0, 0, 0], 12), np.ones(12, int))
    found = thresholds.carried(cases, np.arange(12), 0.8, resamples=400, seed=0).false_positives
    assert found.value == pytest.approx(1 / 12)
    assert found.exact == intervals.poisson_interval(1, 12) and found.exact.high < 0.5
    assert found.group.low < 1e-4 and found.group.high == 5


def test_thresholds_that_there_are_not():
    cases = froc.Cases([0, 1, 2], [0.9, 0.5, 0.3], [0, 1, 0], [0, 1, 0])
    with pytest.raises(UserError, match="highest validation scores already have more; choose a higher rate"):
        thresholds.chosen(cases, 0.1)
    with pytest.raises(UserError, match="all validation candidates together have 0.67; choose a lower rate"):
        thresholds.chosen(cases, 1.0)
    assert thresholds.chosen(cases, 0.4) == 0.5
    with pytest.raises(ValueError, match="0 or more"):
        thresholds.chosen(cases, np.nan)
    with pytest.raises(ValueError, match="must be a number"):
        thresholds.carried(cases, np.arange(3), np.nan)
    with pytest.raises(ValueError, match="2 groups for 3 frames"):
        thresholds.carried(cases, np.arange(2), 0.5)


def test_nothing_and_everything_detected():
    cases = froc.Cases([0, 1, 2], [0.9, 0.5, 0.3], [0, 1, 0], [1, 1, 1])
    nothing = thresholds.carried(cases, [0, 1, 2], np.inf, resamples=40)
    assert nothing.sensitivity.value == 0 and 0.7 < nothing.sensitivity.group.high <= 1
    assert nothing.false_positives.count == 0 and nothing.false_positives.group is None
    everything = thresholds.carried(cases, [0, 0, 0], -np.inf, resamples=40)
    assert (everything.sensitivity.hits, everything.false_positives.count) == (1, 2)
    assert everything.sensitivity.group is everything.false_positives.group is None  # one group


def test_shares_of_labelled_cases():
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 2, 80)
    scores = (rng.normal(size=80) + labels).round(1)
    for share in (0.1, 0.29, 0.5, 1.0):
        threshold = thresholds.chosen_share(labels, scores, share)
        assert (scores[labels == 0] >= threshold).mean() <= share
        lower = scores[scores < threshold].max(initial=-9)
        reached, next_one = ((scores[labels == 1] >= t).mean() for t in (threshold, lower))
        assert (scores[labels == 0] >= lower).mean() > share or next_one == reached or lower == -9
    found = thresholds.carried_share(labels, scores, rng.integers(0, 12, 80), 0.5, 0.3, resamples=50)
    assert found.sensitivity.hits == ((labels == 1) & (scores >= 0.5)).sum()
    assert found.false_positives.value == pytest.approx((scores[labels == 0] >= 0.5).mean())
    for part in (found.sensitivity, found.false_positives):
        assert part.group.low <= part.exact.low < part.value < part.exact.high <= part.group.high
    for wrong in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match="must lie between 0 and 1"):
            thresholds.chosen_share(labels, scores, wrong)
    with pytest.raises(UserError, match="a share of 0 of the negatives"):
        thresholds.chosen_share(np.array([0, 1]), np.array([1.0, 0.5]), 0.0)


def test_rows_by_video():
    cases = froc.Cases([0, 0, 1, 2, 3], [0.9, 0.2, 0.8, 0.7, 0.6], [1, 0, 1, 0, 0], [1, 2, 0, 0])
    rows = strata.by_group(cases, ["b", "a", "a", "c"], 0.5)
    assert [(r.group, r.frames, r.hits, r.lesions, r.false_positives_per_frame) for r in rows] == [
        ("a", 2, 1, 2, 0.5),
        ("b", 1, 1, 1, 0.0),
        ("c", 1, 0, 0, 1.0),
    ]
    assert rows[0].exact == intervals.clopper_pearson(1, 2) and rows[2].exact is rows[2].sensitivity is None
    mean = strata.group_mean(rows)
    assert (mean.mean, mean.worst, mean.groups) == (0.75, 0.5, 2)
    assert strata.group_mean(rows[:1]).interval is None
    with pytest.raises(UserError, match="no group has a lesion"):
        strata.group_mean(rows[2:])
    with pytest.raises(ValueError, match="3 groups for 4 frames"):
        strata.by_group(cases, ["a"] * 3, 0.5)


def test_the_mean_over_videos():
    values = np.array([3, 8, 9, 10, 5]) / 10
    rows = [strata.GroupRow(str(i), 10, int(10 * v), 10, None, 0.0) for i, v in enumerate(values)]
    found = strata.group_mean(rows)
    reach = stats.t.ppf(0.975, 4) * stats.sem(values) / (0.7 * 0.3)
    assert found.mean == pytest.approx(0.7)
    assert found.interval == pytest.approx((expit(logit(0.7) - reach), expit(logit(0.7) + reach)))
    perfect = strata.group_mean([strata.GroupRow(str(i), 10, 10, 10, None, 0.0) for i in range(20)])
    assert perfect.interval == pytest.approx(intervals.clopper_pearson(20, 20))


def test_rows_by_size():
    """Six lesions of sizes 1 to 6: what is found is known, and the classes are thirds unless edges are given."""
    cases = froc.Cases([0, 1, 2, 2], [0.9, 0.9, 0.9, 0.9], [1, 1, 1, 2], [1, 2, 3])
    size = [5, 1, 2, 6, 4, 3]  # frame 0; frame 1; frame 2
    rows = strata.by_size(cases, ["a", "b", "c"], size, 0.5, resamples=50)
    assert [(row.found.hits, row.found.total) for row in rows] == [(1, 2), (1, 2), (2, 2)]
    assert rows[0].least == -np.inf and rows[-1].most == np.inf and rows[0].most == rows[1].least
    rows = strata.by_size(cases, ["a", "b", "c"], size, 0.5, edges=(5,), resamples=50)
    assert [(row.least, row.most, row.found.hits, row.found.total) for row in rows] == [
        (-np.inf, 5, 2, 4),
        (5, np.inf, 2, 2),
    ]
    assert rows[0].found.exact == intervals.clopper_pearson(2, 4) and rows[1].found.group.low < 0.2
    assert len(strata.by_size(cases, list("abc"), size, 0.5, edges=(100,), resamples=5)) == 1
    assert len(strata.by_size(cases, list("abc"), [7] * 6, 0.5, resamples=5)) == 1  # all of one size
    with pytest.raises(ValueError, match="5.* sizes for 6 lesions"):
        strata.by_size(cases, list("abc"), size[:5], 0.5)
    for edges in ((3, 2), (np.nan,)):
        with pytest.raises(ValueError, match="must rise"):
            strata.by_size(cases, list("abc"), size, 0.5, edges=edges)
    with pytest.raises(ValueError, match="2 groups for 3 frames"):
        strata.by_size(cases, list("ab"), size, 0.5)


def test_youden_by_scikit_learn():
    rng = np.random.default_rng(4)
    for _ in range(5):
        label = rng.integers(2, size=60)
        score = np.round(rng.normal(size=60) + label, 1)
        false, true, threshold = roc_curve(label, score, drop_intermediate=False)
        found = thresholds.chosen_youden(label, score)
        best = (true - false).max()
        assert (score[label == 1] >= found).mean() - (score[label == 0] >= found).mean() == pytest.approx(best)
        assert found == threshold[np.isclose(true - false, best)].max()


def test_no_threshold_of_youden_where_scores_tell_the_wrong_way():
    with pytest.raises(UserError, match="no threshold tells more than chance"):
        thresholds.chosen_youden(np.array([0, 0, 1, 1]), np.array([0.9, 0.8, 0.2, 0.1]))


def test_recall_by_group_by_brute_force():
    rng = np.random.default_rng(5)
    label, group = rng.integers(3, size=80), rng.choice(["a", "b", "c", "d"], 80)
    probability = rng.dirichlet(np.ones(3), 80)
    images = Images(probability, label, group)
    for kind in range(3):
        rows = strata.recall_by_group(images, kind)
        assert [row.group for row in rows] == ["a", "b", "c", "d"]
        for row in rows:
            own = group == row.group
            called = probability.argmax(axis=1) == kind
            assert (row.frames, row.lesions) == (own.sum(), (own & (label == kind)).sum())
            assert row.hits == (own & (label == kind) & called).sum()
            assert row.exact == intervals.clopper_pearson(row.hits, row.lesions)
            assert row.false_positives_per_frame == (own & (label != kind) & called).sum() / own.sum()


def test_the_reason_is_the_one_that_holds():
    """False positives at 0.9, 0.8 and 0.5 on two frames, the only lesion below: at one a frame it is not found."""
    frame, score, lesion = np.array([0, 0, 1, 1]), np.array([0.9, 0.8, 0.5, 0.1]), np.array([0, 0, 0, 1])
    cases = froc.Cases(frame, score, lesion, np.array([0, 1]))
    with pytest.raises(UserError, match="within it nothing is found that is there; choose a higher rate"):
        thresholds.chosen(cases, 1.0)
    with pytest.raises(UserError, match="the highest validation scores already have more"):
        thresholds.chosen(cases, 0.1)
