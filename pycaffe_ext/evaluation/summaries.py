"""Whole FROC curves as one number, with intervals and paired tests by group.

- mean sensitivity at given false-positive rates; at 1/8 to 8 it is the score of LUNA16 (Setio et al. 2017);
- area under the FROC curve up to a rate, as a mean sensitivity over the rates from 0 on;
- AFROC: the chance that a lesion scores above the best false positive of a frame without lesions (the figure of merit
  of JAFROC, Chakraborty and Berbaum 2004), or of any frame (AFROC1, where every frame has a lesion); weighted, each
  frame with lesions counts once, however many it has (Chakraborty and Zhai 2016).  What has no mark ranks below all
  marks, and two without tie.
All lie between 0 and 1, higher is better.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import froc, operating, roc
from pycaffe_ext.evaluation.compared import LEVEL, NO_DIFFERENCE, NOT_TESTED
from pycaffe_ext.evaluation.intervals import (
    ENOUGH_GROUPS,
    Difference,
    Interval,
    area_interval,
    effective_groups,
    exact_intervals,
    paired_difference,
)
from pycaffe_ext.evaluation.multiplicity import holm, max_t

LUNA16_RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # false positives per scan
Group = Sequence[object] | np.ndarray


@dataclass(frozen=True)
class Figure:
    """A number that sums up the scored candidates of a set of frames, and how to take it again from resamples.

    value : cases -> float        resampled : cases, group, resamples, seed -> (resamples,), nan where undefined;
    paired between methods over the same frames        groups : cases, group -> effective groups
    least : cases -> an interval that the one by group is never narrower than; None = there is none
    All raise UserError where the figure is undefined.
    """

    value: Callable[[froc.Cases], float]
    resampled: Callable[[froc.Cases, Group, int, int], np.ndarray]
    groups: Callable[[froc.Cases, Group], float]
    least: Callable[[froc.Cases], Interval] | None = None


@dataclass(frozen=True)
class Summary:
    """value : in the sample        interval : 95 % by group, None where there are too few groups"""

    value: float
    interval: Interval | None
    effective_groups: float


@dataclass(frozen=True)
class SummaryComparison:
    """difference : first minus second, paired by group; None where there are too few groups.  p_holm, p_max_t :
    adjusted over the pairs."""

    first: str
    second: str
    difference: Difference | None
    effective_groups: float
    p_holm: float | None
    p_max_t: float | None

    @property
    def reliable(self) -> bool:
        """Whether there is a test and enough groups for it."""
        return self.difference is not None and self.effective_groups >= ENOUGH_GROUPS

    @property
    def verdict(self) -> str:
        """By Holm's p: "A > B" or "no difference shown"; "not tested" where the test is not reliable."""
        if self.difference is None or self.p_holm is None or not self.reliable:
            return NOT_TESTED
        if self.p_holm >= LEVEL:
            return NO_DIFFERENCE
        return f"{self.first} > {self.second}" if self.difference.value > 0 else f"{self.second} > {self.first}"


def mean_sensitivity(
    curve: froc.Curve,
    rates: Sequence[float] = LUNA16_RATES,
    by: str = "lesion",
    interpolated: bool = False,
) -> float:
    """Mean of the sensitivities at false-positive rates, each the highest that can be operated within the rate.

    interpolated : on straight lines between the thresholds instead, as the scripts of LUNA16 and CAMELYON16 and MONAI
    do; these points can't be operated.  Beyond its end the curve is taken at its end.
    Raises ValueError for a rate below 0 or not a number, or for none.
    """
    if not len(rates):
        raise ValueError("a mean sensitivity needs a false-positive rate or more")
    if interpolated:
        froc.allowance(np.asarray(rates), 1)
        return float(np.interp(rates, curve.false_positives_per_frame, curve.sensitivity(by)).mean())
    return float(np.mean([froc.sensitivity_at(curve, rate, by) for rate in rates]))


def area_to(curve: froc.Curve, rate: float, by: str = "lesion") -> float:
    """Mean of the sensitivities that can be operated at false-positive rates from 0 to `rate`, no interpolation."""
    widths, at = _steps(curve, rate)
    return float(widths @ curve.sensitivity(by)[at])


def _steps(curve: froc.Curve, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the rates from 0 to `rate`, and the points of the curve that are operated over each."""
    if not 0 < rate < np.inf:
        raise ValueError(f"area up to {rate} false positives per frame: it needs a finite rate above 0")
    last = np.flatnonzero(np.r_[np.diff(curve.false_positives) > 0, True])
    ends = np.r_[curve.false_positives_per_frame[last[1:]], np.inf]
    return np.diff(np.minimum(np.r_[curve.false_positives_per_frame[last[0]], ends], rate)) / rate, last


def mean_sensitivity_figure(rates: Sequence[float] = LUNA16_RATES, by: str = "lesion") -> Figure:
    """Mean sensitivity at false-positive rates; its interval is no narrower than the mean of the exact ones."""

    def resampled(cases: froc.Cases, group: Group, resamples: int, seed: int) -> np.ndarray:
        return np.asarray(froc.bootstrap_sensitivities(cases, group, rates, by, resamples, seed).mean(axis=1))

    def least(cases: froc.Cases) -> Interval:
        points = [froc.operating_point(froc.curve(cases), rate, by) for rate in rates]
        return _mean_exact(np.array([p.hits for p in points]), points[0].total, np.full(len(rates), 1 / len(rates)))

    return Figure(
        lambda cases: mean_sensitivity(froc.curve(cases), rates, by),
        resampled,
        lambda cases, group: froc.effective_lesion_groups(cases, group, by),
        least,
    )


def area_figure(rate: float, by: str = "lesion") -> Figure:
    """`area_to` a rate; its interval is no narrower than the mean of the exact ones of the curve's points."""

    def resampled(cases: froc.Cases, group: Group, resamples: int, seed: int) -> np.ndarray:
        curves = froc.bootstrap_curves(cases, group, by, resamples, seed)
        return np.array([drawn.area(rate) if drawn else np.nan for drawn in curves])

    def least(cases: froc.Cases) -> Interval:
        curve = froc.curve(cases)
        widths, at = _steps(curve, rate)
        hits, total = curve.hits(by)
        return _mean_exact(hits[at], total, widths)

    return Figure(
        lambda cases: area_to(froc.curve(cases), rate, by),
        resampled,
        lambda cases, group: froc.effective_lesion_groups(cases, group, by),
        least,
    )


def _mean_exact(hits: np.ndarray, total: int, weights: np.ndarray) -> Interval:
    """Weighted mean of exact intervals: the lesions are the same at every rate, so one is as sure as all."""
    low, high = exact_intervals(hits, total)
    return Interval(float(weights @ low), float(weights @ high))


def afroc(cases: froc.Cases, weighted: bool = True, all_frames: bool = False) -> float:
    """The area under the AFROC curve; all_frames : false positives of every frame count, not of lesion-free ones only.

    Raises UserError if no frame is without lesions and all_frames is False.
    """
    label, rank, _, weight = _ranked(cases, weighted, all_frames)
    return roc.auc(label, rank, weight)


def afroc_figure(weighted: bool = True, all_frames: bool = False) -> Figure:
    """`afroc`."""

    def resampled(cases: froc.Cases, group: Group, resamples: int, seed: int) -> np.ndarray:
        label, rank, frame, weight = _ranked(cases, weighted, all_frames)
        names = np.unique(np.asarray(group), return_inverse=True)[1]
        return roc.bootstrap_aucs(label, rank, names[frame], resamples, seed, weight, groups=names.max() + 1)

    def groups(cases: froc.Cases, group: Group) -> float:
        label, _, frame, weight = _ranked(cases, weighted, all_frames)
        names = np.unique(np.asarray(group), return_inverse=True)[1][frame]
        return min(effective_groups(np.bincount(names[label == k], weight[label == k])) for k in (0, 1))

    return Figure(lambda cases: afroc(cases, weighted, all_frames), resampled, groups)


def _ranked(
    cases: froc.Cases, weighted: bool, all_frames: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Label (1 = lesion, 0 = frame), rank of the best mark, frame and weight, of every lesion and frame that counts."""
    lesion, lesion_frame = cases.best_scores("lesion")
    best = np.full(cases.lesions.size, -np.inf)
    false = cases.lesion == 0
    np.maximum.at(best, cases.frame[false], cases.score[false])
    counted = np.flatnonzero((cases.lesions == 0) | all_frames)
    if not counted.size:
        raise UserError("AFROC undefined: every frame has a lesion; take the false positives of all frames (AFROC1)")
    rank = np.unique(np.r_[lesion, best[counted]], return_inverse=True)[1].astype(np.float64)
    weight = 1 / cases.lesions[lesion_frame] if weighted else np.ones(lesion.size)
    label = np.repeat([1, 0], [lesion.size, counted.size])
    return label, rank, np.r_[lesion_frame, counted], np.r_[weight, np.ones(counted.size)]


def summary(
    cases: froc.Cases, group: Group, figure: Figure, resamples: int = operating.RESAMPLES, seed: int = 0
) -> Summary:
    """A figure with its interval by group.  group : (frames,) video or patient of each frame"""
    try:
        return summary_of(cases, group, figure, figure.resampled(cases, group, resamples, seed))
    except UserError:  # too few groups
        return Summary(figure.value(cases), None, figure.groups(cases, group))


def summary_of(cases: froc.Cases, group: Group, figure: Figure, drawn: np.ndarray) -> Summary:
    """As `summary`, from resamples at hand.  Raises UserError for too few groups."""
    value, groups = figure.value(cases), figure.groups(cases, group)
    interval = area_interval(value, drawn, groups)
    least = figure.least(cases) if figure.least else interval
    return Summary(value, Interval(min(interval.low, least.low), max(interval.high, least.high)), groups)


def compare_summaries(
    cases: Mapping[str, froc.Cases],
    group: Group,
    figure: Figure,
    resamples: int = operating.RESAMPLES,
    seed: int = 0,
) -> list[SummaryComparison]:
    """Every pair of methods by one figure, in the order of `cases`; all over the same frames with the same lesions.

    Raises ValueError for methods over different frames.
    """
    froc.check_same_frames(cases)
    pairs = list(combinations(cases, 2))
    if not pairs:
        return []
    groups = figure.groups(next(iter(cases.values())), group)
    enough = groups >= 2
    drawn = {
        name: figure.resampled(scored, group, resamples, seed) if enough else np.full(resamples, np.nan)
        for name, scored in cases.items()
    }
    gaps = np.stack([drawn[a] - drawn[b] for a, b in pairs], axis=1)
    values = {name: figure.value(scored) for name, scored in cases.items()}
    tests = [_test(values[a] - values[b], gap, groups) for (a, b), gap in zip(pairs, gaps.T, strict=True)]
    p = [None if test is None else test.p for test in tests]
    return [
        SummaryComparison(a, b, test, groups, adjusted, together)
        for (a, b), test, adjusted, together in zip(pairs, tests, holm(p), max_t(p, gaps), strict=True)
    ]


def _test(value: float, drawn: np.ndarray, groups: float) -> Difference | None:
    try:
        return paired_difference(value, drawn, groups)
    except UserError:
        return None
