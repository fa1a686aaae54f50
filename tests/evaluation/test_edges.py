"""Statistics where there is next to nothing to go by: a clear error, None or a value that does not claim too much."""

import numpy as np
import pytest
from scipy.stats import binomtest

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import class_comparison, class_intervals, froc, intervals, operating, roc
from pycaffe_ext.evaluation.classes import Images
from pycaffe_ext.evaluation.comparison import NO_DIFFERENCE, NOT_TESTED, compare, compare_aucs
from pycaffe_ext.evaluation.multiplicity import holm, max_t

LABELS = np.array([1, 1, 0, 0])
PERFECT, TIED = LABELS.astype(float), np.full(4, 0.5)


@pytest.mark.parametrize("other, value", [(-PERFECT, 1.0), (TIED, 0.5)], ids=["reversed", "tied"])
def test_two_and_two_cases_show_nothing(other, value):
    found = roc.auc_difference(LABELS, PERFECT, other)
    assert found.value == value and found.p == 0.5 and found.low < 0 and found.high > 0.9
    back = roc.auc_difference(LABELS, other, PERFECT)
    assert back == pytest.approx((-found.value, -found.high, -found.low, found.p))
    row = compare_aucs(LABELS, {"perfect": PERFECT, "other": other}, np.array([0, 1, 0, 1]), resamples=50)[0]
    assert row.delong_verdict == NO_DIFFERENCE and not row.reliable and row.evidence == NOT_TESTED


@pytest.mark.parametrize("cases, shown", [(5, False), (7, True)])
def test_a_perfect_curve_against_tied_scores_needs_six_cases_of_a_class(cases, shown):
    labels = np.repeat([1, 0], [cases, 100])
    found = roc.auc_difference(labels, labels.astype(float), np.zeros(labels.size))
    assert found.p == 2.0 ** (1 - cases) and (found.p < 0.05) == shown
    assert found.low < found.value < found.high


def test_two_tied_positives_of_a_thousand_say_little_of_the_next():
    rng = np.random.default_rng(0)
    labels = np.repeat([1, 0], [2, 1000])
    scores = np.r_[2.0, 2.0, rng.normal(size=1000)]
    area, (low, high) = roc.auc(labels, scores), roc.auc_interval(labels, scores)
    assert area > 0.95 and low < 0.2 and high > 0.99
    nearly = roc.auc_interval(labels, np.r_[2.0, 2.05, scores[2:]])  # two positives, one degree of freedom
    assert nearly[1] - nearly[0] > 0.03
    scores[0] = -3.0
    low, high = roc.auc_interval(labels, scores)
    assert low < 0.01 and high > 0.99


def test_two_tied_images_of_a_class_say_little_of_a_mean_over_classes():
    """Two images of one class, at one probability, of 1 002 of three classes: the class adds no variance at all."""
    top = np.r_[0.99, 0.99, np.random.default_rng(0).random(1000)]
    label = np.r_[1, 1, np.zeros(500, int), np.full(500, 2)]
    images = Images(np.c_[(1 - top) / 2, top / 2, np.full(1002, 0.5)], label, np.arange(1002))
    own, one = class_intervals.macro_auc(images), class_intervals.areas(images)[0][1]
    assert one.image.low < 0.2
    for interval in (own.image, own.group):
        assert own.value - interval.low > 0.2


@pytest.mark.parametrize("other", [1 - PERFECT, TIED], ids=["reversed", "tied"])
@pytest.mark.parametrize("figure", class_comparison.FIGURES)
def test_two_and_two_images_show_nothing(other, figure):
    nets = {"perfect": PERFECT, "other": other}
    images = {name: Images(np.c_[1 - score, score], LABELS, np.arange(4)) for name, score in nets.items()}
    (row,) = class_comparison.compare(images, figure)
    assert row.verdict in (NO_DIFFERENCE, NOT_TESTED) and "groups" in row.note
    assert row.difference is None or row.difference.p >= 0.5
    own = class_intervals.macro_auc(images["perfect"])
    assert own.image.low < 0.2 and own.group is None


def test_delong_with_few_positives_covers_the_truth():
    """Four positives: a normal tail covers 90 % here, the t tail of three degrees of freedom 97."""
    rng, truth = np.random.default_rng(1), 0.5
    labels = np.repeat([1, 0], [4, 400])
    found = [roc.auc_interval(labels, rng.normal(size=404)) for _ in range(300)]
    assert np.mean([low <= truth <= high for low, high in found]) > 0.93


@pytest.mark.parametrize("p", [np.nan, -0.1, 1.1])
def test_a_p_value_that_is_none(p):
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        holm([0.01, p])
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        max_t([0.01, p], np.zeros((5, 2)))


@pytest.mark.parametrize("confidence", [95, 1, 0, -0.5, np.nan])
def test_a_confidence_is_a_share(confidence):
    labels, scores = np.repeat([0, 1], 5), np.arange(10) % 7.0
    drawn = np.linspace(0, 1, 50)
    for interval in (
        lambda: intervals.clopper_pearson(1, 3, confidence),
        lambda: intervals.wilson(1, 3, confidence),
        lambda: intervals.poisson_interval(1, 3, confidence),
        lambda: intervals.area_interval(0.5, drawn, 5, confidence),
        lambda: intervals.paired_difference(0.5, drawn, 5, confidence),
        lambda: intervals.all_alike(5, confidence),
        lambda: roc.auc_interval(labels, scores, confidence),
        lambda: roc.auc_difference(labels, scores, -scores, confidence),
    ):
        with pytest.raises(ValueError, match="it must lie between 0 and 1, as 0.95 does for 95 %"):
            interval()


@pytest.mark.parametrize("hits, total", [(2.5, 10), (2, 10.5), (np.nan, 10), (2, np.nan), (-1, 10), (3, 2), (0, 0)])
def test_hits_are_counted(hits, total):
    for interval in (intervals.clopper_pearson, intervals.wilson):
        with pytest.raises(ValueError, match="hits of .*: an interval needs"):
            interval(hits, total)


def test_poisson_intervals():
    assert intervals.poisson_interval(0, 1) == pytest.approx((0, 3.68888), abs=1e-5)
    assert intervals.poisson_interval(10, 1) == pytest.approx((4.79539, 18.39036), abs=1e-5)  # Garwood's table
    assert intervals.poisson_interval(10, 5) == pytest.approx((4.79539 / 5, 18.39036 / 5), abs=1e-5)
    for count, size in ((-1, 1), (1.5, 1), (np.nan, 1), (1, 0), (1, np.nan)):
        with pytest.raises(ValueError, match="needs a whole number of events"):
            intervals.poisson_interval(count, size)


@pytest.mark.parametrize("rate", [-1, -0.001, np.nan])
def test_a_rate_is_a_number_from_0_on(rate):
    cases = froc.Cases([0, 1, 2], [0.9, 0.5, 0.3], [1, 0, 0], [1, 0, 0])
    group, curve = np.arange(3), froc.curve(cases)
    for wrong in (
        lambda: froc.operating_point(curve, rate),
        lambda: froc.sensitivity_at(curve, rate),
        lambda: froc.reaches(curve, rate),
        lambda: froc.bootstrap_sensitivities(cases, group, [1.0, rate], resamples=5),
        lambda: operating.group_intervals(cases, group, [rate], resamples=5),
        lambda: compare({"a": cases, "b": cases}, group, [rate], resamples=5),
    ):
        with pytest.raises(ValueError, match="it must be a number, 0 or more"):
            wrong()


def test_groups_that_all_agree_are_not_certain():
    """Half of the lesions of each of 12 videos: no spread at all, and no interval without width."""
    whole = binomtest(0, 12).proportion_ci(method="exact").high
    found = intervals.area_interval(0.5, np.full(50, 0.5), 12)
    assert found == pytest.approx((0.5 * (1 - whole), 0.5 + 0.5 * whole))
    test = intervals.paired_difference(0.5, np.full(50, 0.5), 12)
    assert (test.low, test.high) == pytest.approx((0.5 - 1.5 * whole, 0.5 + 0.5 * whole)) and test.p == 2.0**-11


def test_one_video_with_nearly_all_lesions_counts_for_what_it_is():
    """Eleven videos, one of them with 200 of 220 lesions: as good as two groups, and nothing can be shown."""
    lesions = np.ones(220, int)
    group = np.r_[np.zeros(200, int), np.repeat(np.arange(1, 11), 2)]
    every = froc.Cases(np.arange(220), np.ones(220), lesions, lesions)
    none = froc.Cases([0], [0.5], [0], lesions)
    row = compare({"all": every, "none": none}, group, [0.004], resamples=50)[0]
    assert row.groups == 11 and row.effective_groups == 2 and row.verdict == NO_DIFFERENCE
    with pytest.raises(UserError, match="two groups with cases or more"):
        intervals.area_interval(0.5, np.linspace(0, 1, 50), intervals.effective_groups([0, 7]))


def test_what_is_unreliable_is_no_evidence():
    rng = np.random.default_rng(2)
    lesions = np.ones(90, int)
    frame, lesion = np.repeat(np.arange(90), 2), np.tile([1, 0], 90)
    good, bad = (froc.Cases(frame, rng.normal(size=180) + gain * lesion, lesion, lesions) for gain in (4, -2))
    for groups, reliable in ((9, False), (10, True)):
        row = compare({"good": good, "bad": bad}, np.arange(90) % groups, [0.2], resamples=100)[0]
        assert row.verdict == "good > bad" and row.reliable == reliable
        assert row.evidence == ("good > bad" if reliable else NOT_TESTED)
