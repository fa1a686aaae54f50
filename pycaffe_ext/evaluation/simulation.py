"""Test sets of worlds of known truth, to find out whether intervals cover it and tests keep their level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from pycaffe_ext.evaluation import froc, operating, roc, summaries, thresholds
from pycaffe_ext.evaluation.intervals import Interval, area_interval, clopper_pearson, paired_difference
from pycaffe_ext.evaluation.multiplicity import holm, max_t
from pycaffe_ext.evaluation.worlds import WORLDS, Sample, World, draw
from pycaffe_ext.processes import map_processes

__all__ = ["MEANINGS", "WORLDS", "Sample", "World", "draw", "shares", "trial"]

LEVEL = 0.05
TABLE = (0.5, 1.0, 2.0)  # rates of a table of comparisons, adjusted together
UP_TO = 2.0  # false positives per frame: where the area under the FROC curve ends

MEANINGS = {
    "exact_at_threshold": "exact binomial interval of sensitivity at a fixed threshold covers the truth",
    "exact_at_rate": "exact binomial interval of sensitivity at a fixed false-positive rate covers the truth",
    "group_at_threshold": "interval by group of sensitivity at a threshold from validation covers the truth",
    "false_positives": "interval by group of false positives per frame at that threshold covers the truth",
    "group": "interval by group of sensitivity at a fixed false-positive rate covers the truth",
    "difference": "paired interval by group of a difference in sensitivity covers the truth",
    "mean": "interval by group of the mean sensitivity at 1/8 to 8 false positives covers the truth",
    "area": "interval by group of the area under the FROC curve covers the truth",
    "afroc": "interval by group of the weighted AFROC area covers the truth",
    "delong": "DeLong's interval of the AUC covers the truth",
    "group_auc": "interval by group of the AUC covers the truth",
    "test": "paired test by group finds a difference in sensitivity, p < .05",
    "rule": "the paper's rule finds one: the exact intervals do not overlap",
    "holm": "of three rates one or more has a difference by Holm's method",
    "max_t": "of three rates one or more has a difference by max-T",
    "mean_test": "paired test by group finds a difference in mean sensitivity, p < .05",
    "afroc_test": "paired test by group finds a difference in weighted AFROC area, p < .05",
    "delong_test": "DeLong's paired test finds a difference in AUC, p < .05",
    "auc_test": "paired test by group finds a difference in AUC, p < .05",
    "auc_rule": "the paper's rule finds one: DeLong's intervals do not overlap",
}


def trial(world: World, sample: Sample, resamples: int, seed: int) -> dict[str, bool]:
    """What the intervals and tests say of a sample, compared with the truth: name -> yes or no; see `MEANINGS`.

    resamples : of each bootstrap; 0 leaves the bootstraps out
    """
    first, second = sample.cases
    points = [froc.operating_point(froc.curve(cases), world.rate) for cases in sample.cases]
    exact = [clopper_pearson(point.hits, point.total) for point in points]
    at_threshold = int((first.best_scores("lesion")[0] >= world.threshold).sum())
    areas = [roc.auc_interval(sample.label, cases.score) for cases in sample.cases]
    delong = roc.auc_difference(sample.label, first.score, second.score)
    outcome = {
        "exact_at_threshold": _covers(clopper_pearson(at_threshold, points[0].total), world.sensitivity[0]),
        "exact_at_rate": _covers(exact[0], world.sensitivity[0]),
        "rule": not _overlap(*exact),
        "delong": _covers(areas[0], world.auc[0]),
        "delong_test": delong.p < LEVEL,
        "auc_rule": not _overlap(*areas),
    }
    if not resamples:
        return outcome
    parts = [_at_threshold, _at_rates, _by_auc, *([_by_afroc] if world.clean else [])]
    for part in parts:
        outcome |= part(world, sample, resamples, seed)
    return outcome


def _at_threshold(world: World, sample: Sample, resamples: int, seed: int) -> dict[str, bool]:
    """A threshold for the world's rate is chosen on a test set of its own and carried over; the truth is that at it."""
    validation = draw(world, np.random.default_rng([1, seed]))
    threshold = thresholds.chosen(validation.cases[0], world.rate)
    found = thresholds.carried(sample.cases[0], sample.group, threshold, resamples=resamples, seed=seed)
    sensitivity, rate = world.reached(threshold)
    return {
        "group_at_threshold": _covers(found.sensitivity.group, sensitivity),
        "false_positives": _covers(found.false_positives.group, rate),
    }


def _at_rates(world: World, sample: Sample, resamples: int, seed: int) -> dict[str, bool]:
    """One bootstrap of the curves serves the rates, the mean sensitivity and the area."""
    group, groups = sample.group, froc.effective_lesion_groups(sample.cases[0], sample.group)
    rates = (world.rate, *TABLE, *summaries.LUNA16_RATES)
    curves = [list(froc.bootstrap_curves(cases, group, "lesion", resamples, seed)) for cases in sample.cases]
    drawn = np.array([froc.sensitivities_of(iter(of), rates, resamples) for of in curves])
    found = np.array([[froc.sensitivity_at(froc.curve(cases), rate) for rate in rates] for cases in sample.cases])
    tests = [
        paired_difference(found[0, i] - found[1, i], drawn[0, :, i] - drawn[1, :, i], groups)
        for i in range(1 + len(TABLE))
    ]
    p, gaps = [test.p for test in tests[1:]], (drawn[0] - drawn[1])[:, 1 : 1 + len(TABLE)]
    means = drawn[:, :, 1 + len(TABLE) :].mean(axis=2)
    mean, area = summaries.mean_sensitivity_figure(), summaries.area_figure(UP_TO)
    areas = np.array([curve.area(UP_TO) if curve else np.nan for curve in curves[0]])
    values = [mean.value(cases) for cases in sample.cases]
    band = operating.group_intervals(sample.cases[0], group, [world.rate], "lesion", resamples, seed)
    return {
        "group": _covers(band and (float(band[0][0]), float(band[1][0])), world.sensitivity[0]),
        "difference": _covers(tests[0][1:3], world.sensitivity[0] - world.sensitivity[1]),
        "test": tests[0].p < LEVEL,
        "holm": _any_below(holm(p)),
        "max_t": _any_below(max_t(p, gaps)),
        "mean": _covers(_interval(mean, sample, means[0]), world.sensitivities(summaries.LUNA16_RATES)[:, 0].mean()),
        "mean_test": paired_difference(values[0] - values[1], means[0] - means[1], groups).p < LEVEL,
        "area": _covers(_interval(area, sample, areas), world.area(UP_TO)[0]),
    }


def _by_auc(world: World, sample: Sample, resamples: int, seed: int) -> dict[str, bool]:
    drawn = [
        roc.bootstrap_aucs(sample.label, cases.score, sample.candidate_group, resamples, seed) for cases in sample.cases
    ]
    values = [roc.auc(sample.label, cases.score) for cases in sample.cases]
    groups = roc.effective_class_groups(sample.label, sample.candidate_group)
    return {
        "group_auc": _covers(area_interval(values[0], drawn[0], groups), world.auc[0]),
        "auc_test": paired_difference(values[0] - values[1], drawn[0] - drawn[1], groups).p < LEVEL,
    }


def _by_afroc(world: World, sample: Sample, resamples: int, seed: int) -> dict[str, bool]:
    figure = summaries.afroc_figure()
    drawn = [figure.resampled(cases, sample.group, resamples, seed) for cases in sample.cases]
    first, second = (figure.value(cases) for cases in sample.cases)
    groups = figure.groups(sample.cases[0], sample.group)
    return {
        "afroc": _covers(_interval(figure, sample, drawn[0]), world.afroc[0]),
        "afroc_test": paired_difference(first - second, drawn[0] - drawn[1], groups).p < LEVEL,
    }


def _interval(figure: summaries.Figure, sample: Sample, drawn: np.ndarray) -> Interval | None:
    return summaries.summary_of(sample.cases[0], sample.group, figure, drawn).interval


def _covers(interval: Sequence[float] | None, truth: float) -> bool:
    """No interval claims nothing."""
    return interval is None or bool(interval[0] <= truth <= interval[1])


def _overlap(first: Interval, second: Interval) -> bool:
    return first.low <= second.high and second.low <= first.high


def _any_below(p: Sequence[float | None]) -> bool:
    return any(value is not None and value < LEVEL for value in p)


def shares(
    world: World, repetitions: int, resamples: int, seed: int = 0, progress: bool = False, workers: int = 1
) -> dict[str, float]:
    """`share_of_each` of `repetitions` test sets of a world.  workers : processes; the shares do not depend on them."""
    work = partial(repetition, world, resamples, seed)
    return share_of_each(list(map_processes(work, range(repetitions), "test sets", workers, progress, unit="test set")))


def share_of_each(trials: Sequence[Mapping[str, bool]]) -> dict[str, float]:
    """The share of trials for which each outcome is yes, of those that have it.

    The standard error of a share s is sqrt(s * (1 - s) / trials).
    """
    names = dict.fromkeys(name for outcome in trials for name in outcome)
    return {name: float(np.mean([outcome[name] for outcome in trials if name in outcome])) for name in names}


def repetition(world: World, resamples: int, seed: int, number: int) -> dict[str, bool]:
    """`trial` of the test set of that number."""
    return trial(world, draw(world, np.random.default_rng([seed, number])), resamples, number)
