"""Figures of classification against scikit-learn and brute force; their intervals cover; wrong input is refused."""

import tracemalloc
from math import sqrt

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn import metrics

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import (
    calibration,
    class_comparison,
    class_intervals,
    class_resampling,
    classes,
    comparison,
    intervals,
    roc,
)
from pycaffe_ext.evaluation.classes import Images


def drawn_images(classes_=3, n=200, groups=25, seed=0, spread=0.5, gain=1.5):
    """Images with probabilities that know something; each group shifts its images, which come in unequal numbers."""
    rng = np.random.default_rng(seed)
    group = np.sort(rng.integers(groups, size=n) * rng.integers(1, 3, size=n) % groups)
    label = rng.integers(classes_, size=n)
    z = rng.normal(size=(n, classes_)) + spread * rng.normal(size=(groups, classes_))[group]
    z[np.arange(n), label] += gain
    return Images(softmax(z), label, group)


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def rescored(images, seed):
    """The same images by another net."""
    noise = np.random.default_rng(seed).normal(size=images.probability.shape)
    return Images(softmax(np.log(images.probability) + noise), images.label, images.group)


@pytest.mark.parametrize("count", [2, 3, 7])
def test_figures_are_scikit_learns(count):
    images = drawn_images(count)
    y, p = images.label, images.probability
    expected = metrics.roc_auc_score(y, p[:, 1]) if count == 2 else metrics.roc_auc_score(y, p, multi_class="ovr")
    assert classes.macro_auc(images) == pytest.approx(expected, abs=1e-12)
    assert classes.validation(p, y) == pytest.approx(expected, abs=1e-12)
    assert classes.accuracy(images) == metrics.accuracy_score(y, p.argmax(1))
    assert classes.balanced_accuracy(images) == pytest.approx(metrics.balanced_accuracy_score(y, p.argmax(1)))
    assert (classes.confusion(images) == metrics.confusion_matrix(y, p.argmax(1))).all()
    assert classes.by_row(classes.confusion(images)) == pytest.approx(
        metrics.confusion_matrix(y, p.argmax(1), normalize="true")
    )
    brier = metrics.brier_score_loss(y, p[:, 1] if count == 2 else p, labels=range(count))
    assert calibration.brier(images).value == pytest.approx(brier)


def test_an_auc_of_each_class_against_the_rest():
    images = drawn_images(4)
    for kind, value in classes.aucs(images).items():
        assert value == pytest.approx(metrics.roc_auc_score(images.label == kind, images.probability[:, kind]))


def test_a_class_without_an_image_has_no_figure_and_is_left_out_of_the_means():
    images = drawn_images(3)
    wider = Images(np.c_[images.probability, np.zeros(200)], images.label, images.group)
    assert list(classes.aucs(wider)) == [0, 1, 2]
    assert classes.macro_auc(wider) == classes.macro_auc(images)
    assert classes.validation(wider.probability, wider.label) == classes.macro_auc(images)
    assert classes.balanced_accuracy(wider) == classes.balanced_accuracy(images)
    assert np.isnan(classes.by_row(classes.confusion(wider))[3]).all()
    assert list(class_intervals.recalls(wider)) == [0, 1, 2]
    assert class_intervals.balanced_accuracy(wider) == class_intervals.balanced_accuracy(images)


def test_of_equally_probable_classes_the_first_is_predicted():
    images = Images(np.full((2, 2), 0.5), [0, 1], ["a", "b"])
    assert images.predicted.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": [0, 1, 3]}, "labels must be 0 .. 2, there are 0 .. 3"),
        ({"label": [0, 1, -1]}, "labels must be 0 .. 2, there are -1 .. 1"),
        ({"label": [1, 1, 1]}, "all 3 images are of class 1"),
        ({"probability": np.full((3, 3), np.nan)}, "the probabilities of 3 of 3 images are not finite"),
        ({"probability": [[1, 0, 0], [0, np.inf, 0], [0, 0, 1]]}, "1 of 3 images are not finite"),
        ({"probability": [[1, 0, 0], [0, 0.5, 0], [0, 0, 1]]}, "image 1 sum to 0.5"),
        ({"probability": [[1, 0, 0], [-1, 2, 0], [0, 0, 1]]}, "between 0 and 1, not -1 and 2"),
    ],
)
def test_wrong_input_is_one_line(change, message):
    arguments = {"probability": np.eye(3), "label": [0, 1, 2], "group": ["a", "b", "c"], **change}
    with pytest.raises(UserError, match=message) as error:
        Images(**arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("change", [{"probability": np.ones((3, 1))}, {"label": [0, 1]}, {"group": ["a"]}])
def test_arrays_that_do_not_fit_are_refused(change):
    with pytest.raises(ValueError, match="must be"):
        Images(**{"probability": np.eye(3), "label": [0, 1, 2], "group": ["a", "b", "c"], **change})


def test_validation_refuses_what_early_stopping_could_not_compare():
    with pytest.raises(UserError, match="all 2 images are of class 1"):
        classes.validation(np.full((2, 3), 1 / 3), np.array([1, 1]))
    with pytest.raises(UserError, match="not finite"):
        classes.validation(np.full((2, 2), np.nan), np.array([0, 1]))
    with pytest.raises(UserError, match="labels must be"):
        classes.validation(np.full((2, 2), 0.5), np.array([0, 2]))


def test_patches_are_averaged_by_sample(monkeypatch):
    rng = np.random.default_rng(1)
    sample, probability = rng.permutation(np.r_[np.arange(40), rng.integers(40, size=960)]), rng.random((1000, 3))
    expected = [probability[sample == i].mean(axis=0) for i in range(40)]
    monkeypatch.setattr(classes, "CHUNK", 37)
    assert classes.mean_by_sample(sample, probability, 40) == pytest.approx(np.array(expected), abs=1e-14)


def test_ten_million_patches_are_averaged_in_little_memory():
    sample = np.repeat(np.arange(1_000_000, dtype=np.int32), 10)
    probability = np.broadcast_to(np.float32([0.25, 0.75]), (sample.size, 2))  # a column is never copied whole
    tracemalloc.start()
    means = classes.mean_by_sample(sample, probability, 1_000_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (means == [0.25, 0.75]).all()
    assert peak < 120e6


@pytest.mark.parametrize(
    ("sample", "n", "error"),
    [([0, 0], 2, "1 of 2 samples have no patch"), ([0, 2], 2, "0 .. 1"), ([0], 1, "do not fit")],
)
def test_patches_that_do_not_fit_the_samples(sample, n, error):
    with pytest.raises(ValueError, match=error):
        classes.mean_by_sample(np.array(sample), np.ones((2, 2)), n)


def test_a_patch_that_is_not_finite_is_refused():
    with pytest.raises(UserError, match="not all finite"):
        classes.mean_by_sample(np.array([0, 1]), np.array([[0.5, 0.5], [np.nan, 1]]), 2)


def test_intervals_of_each_class_are_those_of_a_class_against_the_rest():
    images = drawn_images(3)
    found, macro = class_intervals.areas(images)
    for kind, own in found.items():
        score = images.probability[:, kind]
        alone = Images(np.stack([1 - score, score], axis=1), images.label == kind, images.group)
        assert own == class_intervals.macro_auc(alone)
    assert macro == class_intervals.macro_auc(images)


def test_with_two_classes_intervals_are_delongs_and_the_bootstraps():
    images = drawn_images(2)
    own = class_intervals.macro_auc(images)
    label, score = images.label, images.probability[:, 1]
    assert own.image == roc.auc_interval(label, score)
    drawn = roc.bootstrap_aucs(label, score, images.group, class_resampling.RESAMPLES, 0)
    assert own.group == intervals.area_interval(own.value, drawn, roc.effective_class_groups(label, images.group))
    assert (class_intervals.auc_contributions(images) ** 2).sum() == pytest.approx(delong_variance(label, score))


def delong_variance(label, score):
    below = (score[label == 1][:, None] > score[label == 0]) + 0.5 * (score[label == 1][:, None] == score[label == 0])
    return below.mean(axis=1).var(ddof=1) / label.sum() + below.mean(axis=0).var(ddof=1) / (label == 0).sum()


def test_curves_along_shares_of_false_positives():
    images, rates = drawn_images(3), np.linspace(0, 1, 11)
    along = classes.sensitivities_along(images, rates)
    for kind, row in zip(images.present, along, strict=True):
        assert row == pytest.approx([brute_sensitivity(images, kind, 1 - rate) for rate in rates])


def test_the_bootstrap_of_a_macro_auc_by_brute_force():
    images = drawn_images(3, n=90, groups=12)
    drawn = class_resampling.macro_aucs(images, seed=3)
    for value, weights in zip(drawn.value[:25], intervals.group_resamples(images.group, 25, 3), strict=True):
        rows = np.repeat(np.arange(90), weights)
        again = metrics.roc_auc_score(images.label[rows], images.probability[rows], multi_class="ovr")
        assert value == pytest.approx(again)
    sizes = np.unique(images.group, return_counts=True)[1]
    assert drawn.groups == intervals.effective_groups(sizes) < 12  # no more degrees of freedom than groups


def test_spread_by_group_is_that_of_the_sums_of_contributions():
    """Obuchowski's variance for clustered data, which needs no resamples."""
    images = drawn_images(4, n=600, groups=60, spread=1.0)
    sums = np.bincount(images.group, class_intervals.auc_contributions(images))
    drawn = class_resampling.macro_aucs(images)
    assert drawn.value.std() == pytest.approx(sqrt((sums**2).sum()), rel=0.1)


def test_the_bootstrap_of_balanced_accuracy_by_brute_force():
    images = drawn_images(3, n=90, groups=12)
    drawn = class_resampling.balanced_accuracies(images, seed=3)
    for value, weights in zip(drawn.value[:25], intervals.group_resamples(np.arange(12), 25, 3), strict=True):
        rows = np.repeat(np.arange(90), weights[np.unique(images.group, return_inverse=True)[1]])
        assert value == pytest.approx(metrics.balanced_accuracy_score(images.label[rows], images.predicted[rows]))


def test_a_resample_without_a_class_deviates_by_the_others():
    drawn = np.array([[0.9, 0.5], [0.8, np.nan], [np.nan, np.nan]])
    found = class_resampling.mean_over_classes(np.array([0.7, 0.6]), drawn, [5, 5], 10)
    assert found.value[:2] == pytest.approx([0.7, 0.75])
    assert np.isnan(found.value[2])


@pytest.mark.parametrize(
    ("variance", "groups", "expected"),
    [([1, 1], [6, 6], 11), ([1, 0], [6, 100], 6), ([0, 0], [6, 9], 6), ([1, 1], [1, 9], 1)],
)
def test_degrees_of_freedom(variance, groups, expected):
    assert class_resampling.satterthwaite(np.array(variance, float), groups) == expected


@pytest.mark.parametrize(
    ("sizes", "expected"), [([5, 5, 5], 3), ([100, 1, 1, 1], 2), ([4], 1), ([2, 2, 1, 1], 3.6), ([10, 10, 1], 2.194)]
)
def test_unequal_groups_count_as_fewer(sizes, expected):
    """Each group has the two classes in one proportion: what is effective is Kish's number."""
    group = np.repeat(np.arange(len(sizes)), 2 * np.array(sizes))
    label = np.arange(group.size) % 2
    images = Images(np.full((group.size, 2), 0.5), label, group)
    assert class_resampling.effective_class_groups(images, 1) == pytest.approx(expected, abs=1e-3)
    if len(sizes) > 1:
        assert class_resampling.macro_aucs(images).groups == pytest.approx(expected, abs=1e-3)


def test_intervals_go_by_effective_groups_and_carry_their_factor():
    """One of 12 patients has most images: the intervals have the t tails of three groups or so, not of twelve."""
    images = drawn_images(2, n=300, groups=12)
    group = np.where(np.arange(300) % 3 > 0, 0, images.group)
    images = Images(images.probability, images.label, group)
    positive = images.label == 1
    groups = roc.effective_class_groups(positive, group)
    assert groups < 4 and roc.class_groups(positive, group) >= 11
    drawn = class_resampling.class_aucs(images)
    expected = intervals.area_interval(roc.auc(positive, images.probability[:, 1]), drawn[:, 0], groups)
    assert class_intervals.macro_auc(images).group == pytest.approx(expected)
    rates = np.array([0.1])
    drawn = class_resampling.sensitivities(images, positive, images.probability[:, 1], rates, 0)[:, 0]
    (own,) = class_intervals.sensitivities(images, 1, [0.9])
    band = intervals.area_interval(own.estimate.value, drawn, groups)
    assert own.estimate.group == (min(band.low, own.estimate.image.low), max(band.high, own.estimate.image.high))


def test_accuracy_is_exact_by_image_and_never_narrower_by_group():
    images = drawn_images(3)
    own = class_intervals.accuracy(images)
    exact = binomtest(int((images.predicted == images.label).sum()), 200).proportion_ci(method="exact")
    assert own.image == pytest.approx((exact.low, exact.high))
    assert own.group.low <= own.image.low < own.image.high <= own.group.high


def test_balanced_accuracy_of_one_share_is_the_exact_interval():
    """Two classes of which one is never wrong: half of the other's reach, and that of the exact end at 1."""
    label = np.repeat([0, 1], 20)
    score = np.where(np.arange(40) < 25, 0.1, 0.9)  # class 0: 20 of 20; class 1: 15 of 20
    own = class_intervals.balanced_accuracy(Images(np.c_[1 - score, score], label, np.arange(40)))
    first, second = (intervals.clopper_pearson(hits, 20) for hits in (20, 15))
    assert own.value == pytest.approx(0.875)
    assert own.image.low == pytest.approx(0.875 - np.hypot(1 - first.low, 0.75 - second.low) / 2)
    assert own.image.high == pytest.approx(0.875 + (second.high - 0.75) / 2)


def brute_sensitivity(images, kind, specificity):
    """Highest sensitivity of a threshold with the specificity, over all thresholds."""
    positive, score = images.label == kind, images.probability[:, kind]
    return max(
        (score[positive] >= t).mean() for t in [*score, np.inf] if (score[~positive] < t).mean() >= specificity - 1e-9
    )


@pytest.mark.parametrize("digits", [1, 6])
def test_sensitivity_at_a_specificity_by_brute_force(digits):
    images = drawn_images(2, n=120)
    score = images.probability[:, 1].round(digits)
    images = Images(np.c_[1 - score, score], images.label, images.group)
    for own in class_intervals.sensitivities(images, 1):
        positive = images.label == 1
        assert own.estimate.value == pytest.approx(brute_sensitivity(images, 1, own.specificity))
        assert (score[positive] >= own.threshold).sum() == own.hits
        assert own.reached == (score[~positive] < own.threshold).mean() >= own.specificity - 1e-9
        assert own.estimate.image == intervals.clopper_pearson(own.hits, own.total)
        assert own.estimate.group.low <= own.estimate.image.low


@pytest.mark.parametrize("specificity", [0, 1, -0.1, np.nan])
def test_a_specificity_that_is_none(specificity):
    with pytest.raises(UserError, match="a specificity lies between 0 and 1"):
        class_intervals.sensitivities(drawn_images(2), 1, [specificity])


def test_few_groups_get_no_interval_rather_than_a_wrong_one():
    images = drawn_images(3)
    single = Images(images.probability, images.label, np.zeros(200))
    for figure in (class_intervals.macro_auc, class_intervals.accuracy, class_intervals.balanced_accuracy):
        assert figure(single).group is None
        assert figure(single).image is not None
    assert all(own.estimate.group is None for own in class_intervals.sensitivities(single, 0))
    assert calibration.brier(single).group is None
    assert all(own.observed.group is None for own in calibration.reliability(single))
    one_group = Images(images.probability, images.label, np.where(images.label == 2, -1, images.group))
    assert class_intervals.macro_auc(one_group).group is None
    assert class_intervals.balanced_accuracy(one_group).group is None
    assert class_intervals.accuracy(one_group).group is not None


def test_a_perfect_net_is_not_certain():
    label = np.repeat([0, 1, 2], 6)
    images = Images(np.eye(3)[label], label, np.arange(18) // 2)
    for figure in (class_intervals.macro_auc, class_intervals.accuracy, class_intervals.balanced_accuracy):
        own = figure(images)
        assert own.value == own.image.high == own.group.high == 1
        assert own.image.low < 0.9
        assert own.group.low <= 0.9
    worst = calibration.brier(images)
    assert worst.value == worst.image.low == 0
    assert worst.image.high > 0.2


def test_reliability_bins():
    images = drawn_images(2)
    p, true = images.probability[:, 1], images.label == 1
    bins = calibration.reliability(images)
    assert sum(own.images for own in bins) == 200
    for own in bins:
        inside = (p >= own.low) & ((p < own.high) | (own.high == 1))
        assert (own.images, own.mean) == (inside.sum(), pytest.approx(p[inside].mean()))
        assert own.observed.value == pytest.approx(true[inside].mean())
        assert own.observed.image == intervals.clopper_pearson(int(true[inside].sum()), int(inside.sum()))
    by_hand = sum(own.images * abs(own.observed.value - own.mean) for own in bins) / 200
    assert calibration.expected_error(bins) == pytest.approx(by_hand)


def test_reliability_of_many_classes_is_that_of_the_predicted_one():
    images = drawn_images(4)
    for own in calibration.reliability(images, bins=5):
        top = images.probability.max(axis=1)
        inside = (top >= own.low) & ((top < own.high) | (own.high == 1))
        assert own.observed.value == pytest.approx((images.predicted == images.label)[inside].mean())


def test_calibrated_probabilities_have_a_small_error():
    rng = np.random.default_rng(0)
    p = rng.random(20_000)
    label = (rng.random(20_000) < p).astype(int)
    good, bad = (Images(np.c_[1 - q, q], label, np.arange(20_000) // 20) for q in (p, np.clip(2 * p - 0.5, 0, 1)))
    assert calibration.expected_error(calibration.reliability(good)) < 0.015
    assert calibration.expected_error(calibration.reliability(bad)) > 0.1


def test_best_and_worst_images_of_a_class_are_one_of_each_group():
    images = drawn_images(3)
    for best in (True, False):
        rows = classes.extremes(images, 1, 5, best)
        assert len(set(images.group[rows])) == 5
        assert (images.label[rows] == 1).all()
        p = images.probability[rows, 1]
        assert (np.diff(p) <= 0 if best else np.diff(p) >= 0).all()
        own = images.probability[images.label == 1, 1]
        assert p[0] == (own.max() if best else own.min())


@pytest.mark.parametrize("figure", class_comparison.FIGURES)
def test_pairs_of_nets(figure):
    good = drawn_images(3, n=400, groups=40, gain=2.5)
    nets = {
        "good": good,
        "alike": rescored(good, 1),
        "guess": rescored(Images(good.probability**0 / 3, good.label, good.group), 2),
    }
    rows = class_comparison.compare(nets, figure)
    assert [(row.first, row.second) for row in rows] == [("good", "alike"), ("good", "guess"), ("alike", "guess")]
    assert rows[1].verdict == "good > guess"
    value, resampled = class_comparison.FIGURES[figure]
    for row in rows:
        first, second = (resampled(nets[name], 0) for name in (row.first, row.second))
        assert row.values == (value(nets[row.first]), value(nets[row.second]))
        assert row.difference == intervals.paired_difference(
            row.values[0] - row.values[1], first.value - second.value, min(first.groups, second.groups)
        )
    assert [row.p_holm for row in rows] == comparison.holm([row.difference.p for row in rows])


def test_a_net_does_not_differ_from_itself():
    images = drawn_images(2)
    (row,) = class_comparison.compare({"a": images, "b": images})
    assert (row.difference.p, row.verdict) == (1, comparison.NO_DIFFERENCE)


def test_pairs_that_can_not_be_tested():
    images = drawn_images(2)
    single = Images(images.probability, images.label, np.zeros(200))
    (row,) = class_comparison.compare({"a": single, "b": single})
    assert (row.difference, row.p_holm, row.verdict) == (None, None, comparison.NOT_TESTED)
    assert "too few groups" in row.note
    other = Images(images.probability, 1 - images.label, images.group)
    with pytest.raises(ValueError, match="b was tested on other images than a"):
        class_comparison.compare({"a": images, "b": other})


def test_intervals_by_group_cover_and_the_test_keeps_its_level(monkeypatch):
    """A small simulation; the truth is the mean over its studies, which a thousand more did not move."""
    monkeypatch.setattr(class_resampling, "RESAMPLES", 100)
    figures = {"macro": class_intervals.macro_auc, "balanced": class_intervals.balanced_accuracy}
    found = {name: [] for name in figures}
    false = 0
    for seed in range(60):
        images = drawn_images(3, n=150, groups=20, seed=seed, spread=0.8)
        for name, figure in figures.items():
            found[name].append(figure(images))
        rows = class_comparison.compare({"a": rescored(images, seed), "b": rescored(images, seed + 10_000)})
        false += rows[0].difference.p < 0.05
    for own in found.values():
        truth = np.mean([estimate.value for estimate in own])
        covered = sum(estimate.group.low <= truth <= estimate.group.high for estimate in own)
        assert covered >= 52  # of 60; 95 % coverage gives fewer once in 300 times
    assert false <= 8  # level .05 gives more once in 300 times


def test_curves_along_shares_keep_every_corner_of_tied_scores():
    """Ten scores with one image of either class each: the curve rises at each of them."""
    chance = np.repeat(np.linspace(0.05, 0.95, 10), 2)
    images = Images(np.stack([1 - chance, chance], axis=1), np.tile([0, 1], 10), np.arange(20))
    rates = np.linspace(0, 1, 11)
    along = classes.sensitivities_along(images, rates)
    np.testing.assert_allclose(along[images.present.index(1)], rates)
