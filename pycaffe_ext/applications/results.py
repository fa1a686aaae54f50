"""From scored candidates to the numbers and tables of a run, the same for every application tested by FROC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import froc, intervals, roc

RATES = (0.5, 1.0, 2.0, 4.0)  # false positives per frame at which sensitivity is reported
RESAMPLES = 1000
SCORE_HEADER = ("frame", "candidate", "lesion", "probability", "detector")


@dataclass(frozen=True)
class Evaluation:
    """The test of one net.

    cases : its candidates with their mean probability.  baseline : the same candidates with the detector's own score.
    group : (frames,) video or patient of each test frame.  patch_label : (patches,) 1 = polyp.
    names : (frame, rank) of each candidate, in the order of `cases`.
    """

    cases: froc.Cases
    baseline: froc.Cases
    group: np.ndarray
    patch_label: np.ndarray
    names: tuple[tuple[str, int], ...]


def summary(evaluation: Evaluation, probabilities: np.ndarray, seed: int) -> dict[str, Any]:
    """What result.json says of the test: patch-level AUC, and sensitivities with both kinds of interval.

    probabilities : (patches,) of being positive, in the order of `evaluation.patch_label`.
    """
    low, high = roc.auc_interval(evaluation.patch_label, probabilities)
    frames = int(evaluation.cases.lesions.size)
    return {
        "patch_auc": roc.auc(evaluation.patch_label, probabilities),
        "patch_auc_95_delong": [low, high],  # patches of one candidate are alike: too narrow, see the README
        "frames": frames,
        "lesions": int(evaluation.cases.lesions.sum()),
        "candidates": int(evaluation.cases.score.size),
        "false_positives_per_frame_at_most": float((evaluation.cases.lesion == 0).sum() / frames),
        "network": {by: points(evaluation.cases, evaluation.group, by, seed) for by in froc.SENSITIVITIES},
        "detector": {by: points(evaluation.baseline, evaluation.group, by, seed) for by in froc.SENSITIVITIES},
    }


def points(cases: froc.Cases, group: np.ndarray, by: str, seed: int) -> list[dict[str, Any]]:
    """The operating points at RATES: sensitivity, exact and Wilson binomial intervals, bootstrap by group.

    The bootstrap is None where there are too few groups for one; the binomial intervals take lesions as independent.
    """
    curve = froc.curve(cases)
    try:
        drawn = froc.bootstrap_sensitivities(cases, group, RATES, by, RESAMPLES, seed)
        bootstrap = [list(intervals.percentile(column)) for column in drawn.T]
    except UserError:
        bootstrap = [None] * len(RATES)
    return [_point(curve, rate, by, interval) for rate, interval in zip(RATES, bootstrap, strict=True)]


def _point(curve: froc.Curve, rate: float, by: str, bootstrap: list[float] | None) -> dict[str, Any]:
    point = froc.operating_point(curve, rate, by)
    return {
        "at_most_false_positives_per_frame": rate,
        "false_positives_per_frame": point.false_positives_per_frame,
        "threshold": point.threshold if np.isfinite(point.threshold) else None,  # None: nothing is detected
        "hits": point.hits,
        "of": point.total,
        "sensitivity": point.sensitivity,
        "exact_95": list(intervals.clopper_pearson(point.hits, point.total)),
        "wilson_95": list(intervals.wilson(point.hits, point.total)),
        "group_bootstrap_95": bootstrap,
    }


def score_rows(evaluation: Evaluation) -> list[tuple[Any, ...]]:
    """Rows of scores.csv (SCORE_HEADER): lesion 0 = none, the network's probability, the detector's own score."""
    columns = evaluation.cases.lesion, evaluation.cases.score, evaluation.baseline.score
    return [
        (*name, int(lesion), repr(float(score)), repr(float(own)))
        for name, lesion, score, own in zip(evaluation.names, *columns, strict=True)
    ]
