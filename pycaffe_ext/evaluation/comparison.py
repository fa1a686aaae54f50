"""Which of several methods is better: at operating points of FROC curves, and by AUC.

Two answers stand side by side.  The paper's: two curves differ where their 95 % error bars do not overlap.  It knows
nothing of pairs, although both methods saw the same frames, and is far stricter than p < .05.  And a paired test:
the bootstrap of the difference, groups (videos, patients) drawn with replacement, both methods on the same resample,
with p values adjusted for the number of comparisons in the table: by Holm's method, which the verdicts go by, and
beside it by max-T, which makes use of how alike the comparisons are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import froc, operating, roc
from pycaffe_ext.evaluation.compared import (
    LEVEL,
    NO_DIFFERENCE,
    NOT_TESTED,
    AucComparison,
    Comparison,
    Point,
)
from pycaffe_ext.evaluation.intervals import (
    ENOUGH_GROUPS,
    Difference,
    Interval,
    area_interval,
    clopper_pearson,
    least_p,
    paired_difference,
)
from pycaffe_ext.evaluation.multiplicity import holm, max_t

TIED = 0.2  # a step of the curve over more than this part of the rate is pointed out


def compare(
    cases: Mapping[str, froc.Cases],
    group: Sequence[object] | np.ndarray,
    rates: Sequence[float],
    by: str = "lesion",
    resamples: int = 2000,
    seed: int = 0,
    item: str = "frame",
) -> list[Comparison]:
    """Every pair of methods at every rate: pairs in the order of `cases`, the rates of a pair together.

    cases : name -> scored candidates, all over the same frames with the same lesions (the candidates may differ)
    group : (frames,) video or patient of each frame        rates : false positives per frame
    by : "lesion" or "frame"        item : what a frame is called, in notes
    At a rate a method is taken at its highest sensitivity with at most that many false positives.  A curve that ends
    before the rate is taken at its end, and the row's note says so; where both end, nothing is tested.
    Raises ValueError for methods over different frames.
    """
    froc.check_same_frames(cases)
    drawn = {name: _drawn(scored, group, rates, by, resamples, seed) for name, scored in cases.items()}
    points = {name: _points(scored, group, rates, by, resamples, seed) for name, scored in cases.items()}
    pairs = [(a, b, i) for a, b in combinations(cases, 2) for i in range(len(rates))]
    if not pairs:
        return []
    gaps = np.stack([drawn[a][:, i] - drawn[b][:, i] for a, b, i in pairs], axis=1)
    any_cases = next(iter(cases.values()))
    groups = froc.lesion_groups(any_cases, group), froc.effective_lesion_groups(any_cases, group, by)
    rows = [
        _comparison((a, b), (points[a][i], points[b][i]), rates[i], by, gap, groups, item)
        for (a, b, i), gap in zip(pairs, gaps.T, strict=True)
    ]
    p = [None if row.difference is None else row.difference.p for row in rows]
    return [
        replace(row, p_holm=q, p_max_t=m, verdict=_verdict(row.first, row.second, row.difference, q))
        for row, q, m in zip(rows, holm(p), max_t(p, gaps), strict=True)
    ]


def compare_aucs(
    labels: np.ndarray,
    scores: Mapping[str, np.ndarray],
    group: Sequence[object] | np.ndarray,
    resamples: int = 2000,
    seed: int = 0,
) -> list[AucComparison]:
    """Every pair of methods by AUC, in the order of `scores`.

    labels : (n,) 1 = positive      scores : name -> (n,) higher = more likely positive      group : (n,) of each case
    Raises UserError if a class has fewer than two cases or a score is not finite.
    """
    labels = np.asarray(labels)
    drawn = {name: _drawn_aucs(labels, values, group, resamples, seed) for name, values in scores.items()}
    pairs = list(combinations(scores, 2))
    if not pairs:
        return []
    groups = roc.class_groups(labels, group), roc.effective_class_groups(labels, group)
    rows = [_auc_comparison(labels, (a, b), (scores[a], scores[b]), (drawn[a], drawn[b]), groups) for a, b in pairs]
    delong = holm([row.delong.p for row in rows])
    p = [None if row.bootstrap is None else row.bootstrap.p for row in rows]
    together = max_t(p, np.stack([drawn[a] - drawn[b] for a, b in pairs], axis=1))
    return [
        replace(
            row,
            delong_p_holm=d if d is not None else row.delong.p,
            delong_verdict=_verdict(row.first, row.second, row.delong, d),
            bootstrap_p_holm=q,
            bootstrap_p_max_t=m,
            bootstrap_verdict=_verdict(row.first, row.second, row.bootstrap, q),
        )
        for row, d, q, m in zip(rows, delong, holm(p), together, strict=True)
    ]


def least_adjusted_p(rows: Sequence[Comparison]) -> float | None:
    """The least p that Holm's method leaves possible in a table, by its tests and groups; None if nothing is tested.

    At LEVEL or above, no difference can be shown however large it is.
    """
    tested = [row for row in rows if row.difference is not None]
    return min(1.0, len(tested) * least_p(tested[0].effective_groups)) if tested else None


def _drawn(
    cases: froc.Cases, group: Sequence[object] | np.ndarray, rates: Sequence[float], by: str, resamples: int, seed: int
) -> np.ndarray:
    """(resamples, rates), nan throughout where one group makes a bootstrap impossible."""
    if froc.lesion_groups(cases, group) < 2:
        return np.full((resamples, len(rates)), np.nan)
    return froc.bootstrap_sensitivities(cases, group, rates, by, resamples, seed)


def _drawn_aucs(
    labels: np.ndarray, scores: np.ndarray, group: Sequence[object] | np.ndarray, resamples: int, seed: int
) -> np.ndarray:
    if roc.class_groups(labels, group) < 2:
        return np.full(resamples, np.nan)
    return roc.bootstrap_aucs(labels, scores, group, resamples, seed)


def _points(
    cases: froc.Cases, group: Sequence[object] | np.ndarray, rates: Sequence[float], by: str, resamples: int, seed: int
) -> list[Point]:
    curve = froc.curve(cases)
    band = operating.group_intervals(cases, group, rates, by, resamples, seed)
    return [
        _point(curve, rate, by, band and Interval(float(band[0][i]), float(band[1][i]))) for i, rate in enumerate(rates)
    ]


def _point(curve: froc.Curve, rate: float, by: str, bootstrap: Interval | None) -> Point:
    point, along = froc.operating_point(curve, rate, by), curve.false_positives_per_frame
    last = int(np.searchsorted(curve.false_positives, froc.allowance(rate, curve.frames), side="right")) - 1
    step = float(along[last]), float(along[min(last + 1, along.size - 1)])
    return Point(
        point.false_positives_per_frame,
        point.hits,
        point.total,
        step,
        round(curve.frames * (step[1] - step[0])),
        float(along[-1]),
        froc.reaches(curve, rate),
        clopper_pearson(point.hits, point.total),
        bootstrap,
    )


def _area(value: float, drawn: np.ndarray, groups: float) -> Interval | None:
    try:
        return area_interval(value, drawn, groups)
    except UserError:
        return None


def _test(value: float, drawn: np.ndarray, groups: float) -> Difference | None:
    try:
        return paired_difference(value, drawn, groups)
    except UserError:
        return None


def _comparison(
    names: tuple[str, str],
    points: tuple[Point, Point],
    rate: float,
    by: str,
    drawn: np.ndarray,
    groups: tuple[int, float],
    item: str,
) -> Comparison:
    """groups : how many, and how many of one size.   item : what a frame is called."""
    a, b = points
    comparable = a.reached or b.reached
    difference = _test(a.sensitivity - b.sensitivity, drawn, groups[1]) if comparable else None
    paper = _paper(names, (a.exact, b.exact)) if comparable else NOT_TESTED
    return Comparison(
        *names,
        rate,
        by,
        a,
        b,
        paper,
        difference,
        None,
        NOT_TESTED,
        groups[0],
        _note(names, points, rate, difference is None, groups[0], item),
        groups[1],
    )


def _note(
    names: tuple[str, str], points: tuple[Point, Point], rate: float, untested: bool, groups: int, item: str
) -> str:
    short = [
        f"{name} ends at {point.end:.2f} false positives a {item}"
        for name, point in zip(names, points, strict=True)
        if not point.reached
    ]
    tied = [
        f"{name} steps from {point.step[0]:.2f} to {point.step[1]:.2f} false positives a {item}: {point.tied} are tied"
        for name, point in zip(names, points, strict=True)
        if point.tied > 1 and point.step[1] - point.step[0] > TIED * rate
    ]
    return "; ".join([*short, *tied, *_few_groups(untested and len(short) < 2, groups)])


def _few_groups(untested: bool, groups: int) -> list[str]:
    if untested:
        return [f"{groups} group{'s' * (groups != 1)}: too few to be resampled"]
    return [f"only {groups} groups: unreliable"] if groups < ENOUGH_GROUPS else []


def _auc_comparison(
    labels: np.ndarray,
    names: tuple[str, str],
    scores: tuple[np.ndarray, np.ndarray],
    drawn: tuple[np.ndarray, np.ndarray],
    groups: tuple[int, float],
) -> AucComparison:
    delong = roc.auc_difference(labels, *scores)
    exact = roc.auc_interval(labels, scores[0]), roc.auc_interval(labels, scores[1])
    aucs = roc.auc(labels, scores[0]), roc.auc(labels, scores[1])
    first, second = (_area(value, values, groups[1]) for value, values in zip(aucs, drawn, strict=True))
    bootstrap = _test(delong.value, drawn[0] - drawn[1], groups[1])
    return AucComparison(
        *names,
        aucs,
        exact,
        None if first is None or second is None else (first, second),
        _paper(names, exact),
        delong,
        delong.p,
        NOT_TESTED,
        bootstrap,
        None,
        NOT_TESTED,
        groups[0],
        "; ".join(_few_groups(bootstrap is None, groups[0])),
        groups[1],
    )


def _paper(names: tuple[str, str], intervals: tuple[Interval, Interval]) -> str:
    """The paper's rule: a difference where the error bars do not overlap."""
    first, second = intervals
    if first.low > second.high:
        return f"{names[0]} > {names[1]}"
    return f"{names[1]} > {names[0]}" if second.low > first.high else NO_DIFFERENCE


def _verdict(first: str, second: str, difference: Difference | None, p: float | None) -> str:
    if difference is None or p is None:
        return NOT_TESTED
    if p >= LEVEL:
        return NO_DIFFERENCE
    return f"{first} > {second}" if difference.value > 0 else f"{second} > {first}"
