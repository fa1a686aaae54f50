"""FROC curves as one number, against brute force, scikit-learn and the scripts of LUNA16 and MONAI."""

from itertools import product

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import froc, intervals, summaries
from pycaffe_ext.evaluation.comparison import compare_aucs
from tests.evaluation.test_evaluation import kish, random_cases, repeated

FIGURES = {
    "mean": summaries.mean_sensitivity_figure((0.2, 1.0, 3.0)),
    "area": summaries.area_figure(1.7),
    "weighted AFROC": summaries.afroc_figure(),
    "AFROC": summaries.afroc_figure(weighted=False),
    "weighted AFROC1": summaries.afroc_figure(all_frames=True),
}


def luna16(cases, rates=summaries.LUNA16_RATES):
    """As LUNA16's script goes about it: a ROC over the marks, scaled to both axes, and straight lines between."""
    best, _ = cases.best_scores("lesion")
    marks = np.r_[best[np.isfinite(best)], cases.score[cases.lesion == 0]]
    truth = np.arange(marks.size) < np.isfinite(best).sum()
    false, true, _ = roc_curve(truth, marks)
    return np.interp(rates, false * (~truth).sum() / cases.lesions.size, true * truth.sum() / best.size).mean()


def test_the_score_of_luna16():
    for seed in range(8):
        cases = random_cases(np.random.default_rng(seed), ties=seed % 2 == 0)
        curve = froc.curve(cases)
        assert summaries.mean_sensitivity(curve, interpolated=True) == pytest.approx(luna16(cases))
        operated = np.mean([froc.sensitivity_at(curve, rate) for rate in summaries.LUNA16_RATES])
        assert summaries.mean_sensitivity(curve) == operated
    with pytest.raises(ValueError, match="a false-positive rate or more"):
        summaries.mean_sensitivity(curve, ())
    for interpolated in (True, False):
        with pytest.raises(ValueError, match="must be a number, 0 or more"):
            summaries.mean_sensitivity(curve, (1.0, np.nan), interpolated=interpolated)


def test_monais_published_scores():
    """Of its tests: four lesions in two images, three found, false positives of 0.8 and 0.6."""
    cases = froc.Cases([0, 0, 0, 0, 1, 1], [1, 1, 0.8, 0.8, 0.8, 0.6], [1, 2, 3, 3, 0, 0], [4, 0])
    curve = froc.curve(cases)
    # MONAI counts hits of its seven entries over four lesions: the sensitivity at 0.8 is 4/4, ours 3/4
    four = froc.Cases([0, 0, 0, 0, 1, 1], [1, 1, 0.8, 0.8, 0.8, 0.6], [1, 2, 3, 4, 0, 0], [4, 0])
    rates = (0.25, 0.5, 1, 2, 4, 8)
    assert summaries.mean_sensitivity(froc.curve(four), rates, interpolated=True) == pytest.approx(0.95833333)
    assert summaries.mean_sensitivity(froc.curve(four), (0.25,), interpolated=True) == 0.75
    assert summaries.mean_sensitivity(curve, rates, interpolated=True) == pytest.approx((0.625 + 5 * 0.75) / 6)


def naive_area(cases, rate, by="lesion"):
    """The staircase summed in its whole steps, and the part of the last."""
    curve, frames = froc.curve(cases), cases.lesions.size
    whole = int(rate * frames + 1e-9)
    steps = [froc.sensitivity_at(curve, count / frames, by) for count in range(whole + 1)]
    return (sum(steps[:-1]) + (rate * frames - whole) * steps[-1]) / (rate * frames)


def naive_afroc(cases, weighted=True, all_frames=False):
    """Every pair of a lesion and a frame that counts."""
    lesions, frames = [], []
    for frame, count in enumerate(cases.lesions):
        marks = [(s, n) for f, s, n in zip(cases.frame, cases.score, cases.lesion, strict=True) if f == frame]
        for number in range(1, count + 1):
            best = max((score for score, n in marks if n == number), default=-np.inf)
            lesions.append((best, 1 / count if weighted else 1))
        if all_frames or not count:
            frames.append(max((score for score, n in marks if n == 0), default=-np.inf))
    won = sum(w * ((score > false) + (score == false) / 2) for (score, w), false in product(lesions, frames))
    return won / sum(w for _, w in lesions) / len(frames)


@pytest.mark.parametrize("ties", [True, False])
def test_figures_by_brute_force(ties):
    for seed in range(4):
        cases = random_cases(np.random.default_rng(seed), ties=ties)
        curve = froc.curve(cases)
        for rate in (0.01, 1 / 3, 1.7, 4.0, 50.0):
            assert summaries.area_to(curve, rate) == pytest.approx(naive_area(cases, rate))
            assert summaries.area_to(curve, rate, "frame") == pytest.approx(naive_area(cases, rate, "frame"))
        for weighted, all_frames in product((True, False), repeat=2):
            expected = naive_afroc(cases, weighted, all_frames)
            assert summaries.afroc(cases, weighted, all_frames) == pytest.approx(expected)
    for wrong in (0, -1, np.nan, np.inf):
        with pytest.raises(ValueError, match="a finite rate above 0"):
            summaries.area_to(curve, wrong)


def test_one_lesion_a_frame_makes_the_afroc_a_roc():
    rng = np.random.default_rng(1)
    label = rng.integers(0, 2, 60)
    score = (rng.normal(size=60) + label).round(1)
    cases = froc.Cases(np.arange(60), score, label, label)
    for weighted in (True, False):
        assert summaries.afroc(cases, weighted) == pytest.approx(roc_auc_score(label, score))


def test_unmarked_lesions_and_frames_tie():
    """Of two lesions one is found, of two clean frames one has a false positive, below the hit: (1 + 1 + 0 + 1/2)/4."""
    cases = froc.Cases([0, 2], [0.9, 0.5], [1, 0], [1, 1, 0, 0])
    assert summaries.afroc(cases) == pytest.approx(2.5 / 4)


def test_weights_make_frames_count_alike():
    """Nine lesions missed in one frame and one found in another: half, not a tenth."""
    cases = froc.Cases([0, 2], [0.9, 0.1], [1, 0], [1, 9, 0])
    assert summaries.afroc(cases) == 0.5 and summaries.afroc(cases, weighted=False) == pytest.approx(0.1)


def test_afroc_needs_frames_without_lesions():
    cases = froc.Cases([0, 1], [0.9, 0.5], [1, 0], [1, 1])
    with pytest.raises(UserError, match="every frame has a lesion.*AFROC1"):
        summaries.summary(cases, [0, 1], summaries.afroc_figure(), resamples=5)
    assert summaries.afroc(cases, all_frames=True) == pytest.approx(5 / 8)


@pytest.mark.parametrize("name", FIGURES)
def test_resamples_by_brute_force(name):
    figure, rng = FIGURES[name], np.random.default_rng(3)
    cases, group = random_cases(rng), np.array(list("abcdef"))[rng.integers(0, 6, 30)]
    fast = figure.resampled(cases, group, 25, 4)
    for value, weights in zip(fast, intervals.group_resamples(group, 25, 4), strict=True):
        again = repeated(cases, weights)
        assert value == pytest.approx(figure.value(again))
    found = summaries.summary(cases, group, figure, 200, 4)
    assert found.value == figure.value(cases) and found.interval.low < found.value < found.interval.high
    by_group = intervals.area_interval(found.value, figure.resampled(cases, group, 200, 4), found.effective_groups)
    assert found.interval.low <= by_group.low and found.interval.high >= by_group.high
    assert summaries.summary(cases, np.zeros(30), figure, 20).interval is None


def test_effective_groups_of_figures():
    rng = np.random.default_rng(5)
    cases, group = random_cases(rng), rng.integers(0, 6, 30)
    lesions, frames = (np.bincount(group, w, 6) for w in (cases.lesions, cases.lesions > 0))
    clean = np.bincount(group, cases.lesions == 0, 6)
    assert FIGURES["mean"].groups(cases, group) == pytest.approx(kish(lesions))
    assert FIGURES["weighted AFROC"].groups(cases, group) == pytest.approx(min(kish(frames), kish(clean)))
    assert FIGURES["AFROC"].groups(cases, group) == pytest.approx(min(kish(lesions), kish(clean)))


def test_figures_are_no_surer_than_counts():
    """All found in 40 groups of a picture each: the exact interval of 40, for the mean and for the area."""
    everything = froc.Cases(np.arange(40), np.ones(40), np.ones(40, int), np.ones(40, int))
    for name in ("mean", "area"):
        found = summaries.summary(everything, np.arange(40), FIGURES[name], 50)
        assert found.value == 1 and found.interval == pytest.approx(intervals.clopper_pearson(40, 40))
    # one of 40 missed at every rate
    nearly = froc.Cases(np.arange(39), np.ones(39), np.ones(39, int), np.ones(40, int))
    exact = intervals.clopper_pearson(39, 40)
    for name in ("mean", "area"):
        found = summaries.summary(nearly, np.arange(40), FIGURES[name], 50)
        assert found.interval.low <= exact.low + 1e-9 and found.interval.high >= exact.high - 1e-9


def test_pairs_of_methods():
    rng = np.random.default_rng(6)
    cases = random_cases(rng, frames=150)
    group = np.repeat(np.arange(30), 5)

    def scored(gain):
        return froc.Cases(
            cases.frame, rng.normal(size=cases.frame.size) + gain * (cases.lesion > 0), cases.lesion, cases.lesions
        )

    methods = {"good": scored(2.0), "alike": scored(2.0), "guess": scored(-0.5)}
    for figure in FIGURES.values():
        rows = summaries.compare_summaries(methods, group, figure, 150, 2)
        assert [(row.first, row.second) for row in rows] == [("good", "alike"), ("good", "guess"), ("alike", "guess")]
        drawn = {name: figure.resampled(scored, group, 150, 2) for name, scored in methods.items()}
        for row in rows:
            value = figure.value(methods[row.first]) - figure.value(methods[row.second])
            gaps = drawn[row.first] - drawn[row.second]
            assert row.difference == intervals.paired_difference(value, gaps, row.effective_groups)
            assert row.difference.p <= row.p_max_t <= row.p_holm + 0.01
        assert [row.p_holm < 0.05 for row in rows] == [False, True, True]
    alone = summaries.compare_summaries(methods, np.zeros(150), FIGURES["mean"], 10)
    assert {row.difference for row in alone} == {row.p_holm for row in alone} == {None}
    other = froc.Cases([], [], [], np.ones(150, int))
    with pytest.raises(ValueError, match="other was tested on other frames than good"):
        summaries.compare_summaries({"good": methods["good"], "other": other}, group, FIGURES["mean"])
    assert summaries.compare_summaries({}, group, FIGURES["mean"]) == []
    assert compare_aucs(np.array([0, 1, 0, 1]), {"a": np.arange(4)}, np.arange(4)) == []
