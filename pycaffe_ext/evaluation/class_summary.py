"""All figures of one classification with their intervals, and how result.json keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pycaffe_ext.evaluation import calibration, class_intervals, class_resampling, classes
from pycaffe_ext.evaluation.calibration import Bin
from pycaffe_ext.evaluation.class_intervals import Estimate, Sensitivity
from pycaffe_ext.evaluation.classes import Images, Ints
from pycaffe_ext.evaluation.intervals import ENOUGH_GROUPS, Interval


@dataclass(frozen=True)
class Summary:
    """auc : of class 1 (two classes), or the mean one-against-rest AUC.   areas, recalls, sensitivities : by class.
    confusion : (classes, classes), rows are the true classes.   bins : of the reliability diagram."""

    auc: Estimate
    areas: Mapping[int, Estimate]
    accuracy: Estimate
    balanced_accuracy: Estimate
    recalls: Mapping[int, Estimate]
    sensitivities: Mapping[int, Sequence[Sensitivity]]
    brier: Estimate
    bins: Sequence[Bin]
    confusion: Ints


def summarise(images: Images, seed: int = 0) -> Summary:
    """All figures; seed : of the resamples."""
    areas, macro = class_intervals.areas(images, seed)
    return Summary(
        macro,
        areas,
        class_intervals.accuracy(images, seed),
        class_intervals.balanced_accuracy(images, seed),
        class_intervals.recalls(images, seed),
        {kind: class_intervals.sensitivities(images, kind, seed=seed) for kind in images.present},
        calibration.brier(images, seed),
        calibration.reliability(images, seed=seed),
        classes.confusion(images),
    )


def record(summary: Summary, names: Sequence[str]) -> dict[str, Any]:
    """JSON-able; names : of the classes.  An interval that can't be given is None."""
    return {
        "auc": estimate_record(summary.auc),
        "accuracy": estimate_record(summary.accuracy),
        "balanced_accuracy": estimate_record(summary.balanced_accuracy),
        "brier_score": estimate_record(summary.brier),
        "expected_calibration_error": calibration.expected_error(list(summary.bins)),
        "auc_of_class": {names[kind]: estimate_record(own) for kind, own in summary.areas.items()},
        "recall_of_class": {names[kind]: estimate_record(own) for kind, own in summary.recalls.items()},
        "sensitivity_of_class": {
            names[kind]: [_sensitivity_record(one) for one in own] for kind, own in summary.sensitivities.items()
        },
        "confusion": summary.confusion.tolist(),
    }


def estimate_record(estimate: Estimate) -> dict[str, Any]:
    return {"value": estimate.value, "image_95": _ends(estimate.image), "group_95": _ends(estimate.group)}


def _sensitivity_record(one: Sensitivity) -> dict[str, Any]:
    return {
        "specificity_at_least": one.specificity,
        "specificity": one.reached,
        "threshold": one.threshold if np.isfinite(one.threshold) else None,  # None: no image is called positive
        "hits": one.hits,
        "of": one.total,
        "sensitivity": one.estimate.value,
        "exact_95": _ends(one.estimate.image),
        "group_95": _ends(one.estimate.group),
    }


def _ends(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [float(interval.low), float(interval.high)]


def counts(images: Images, names: Sequence[str]) -> dict[str, Any]:
    """How many images and groups there are, and whether the groups are enough for intervals by group."""
    groups = class_resampling.class_groups(images)
    carrying = [count for count in groups if count]
    return {
        "classes": list(names),
        "images": int(images.label.size),
        "groups": int(np.unique(images.group).size),
        "images_of_class": dict(zip(names, images.count.tolist(), strict=True)),
        "groups_of_class": dict(zip(names, groups, strict=True)),
        "enough_groups": min(carrying) >= ENOUGH_GROUPS,  # else intervals by group are unreliable
    }
