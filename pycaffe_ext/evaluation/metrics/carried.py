"""Thresholds chosen on the validation samples and what they reach on validation and test, as result.json keeps them.

Every row is a dictionary, the same for every metric:

- scores : whose scores, "network" or what the baseline is called        class : the class that is called
- criterion : what the threshold was chosen for        rate : what a false-positive rate counts
- threshold : score that is called, or more; None where there is none, and `reason` says why
- validation, test : what it reaches there (see `_reached`), None where there is no threshold
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import class_intervals, class_resampling, froc, thresholds
from pycaffe_ext.evaluation.classes import Images
from pycaffe_ext.evaluation.intervals import Interval
from pycaffe_ext.evaluation.thresholds import Carried

YOUDEN = "highest sensitivity + specificity"
OF_NEGATIVES = "share of the negatives"
Detections = tuple[froc.Cases, np.ndarray]  # scored candidates, and the group of each frame


def froc_row(
    scores: str,
    name: str,
    validation: Detections,
    test: Detections,
    rate: float,
    resamples: int,
    seed: int,
    item: str = "frame",
) -> dict[str, Any]:
    """The threshold for at most `rate` false positives an item, by lesion.  name : of the class, "polyp" """

    def reached(of: Detections, threshold: float) -> Carried:
        return thresholds.carried(*of, threshold, wanted=rate, resamples=resamples, seed=seed)

    head = {
        "scores": scores,
        "class": name,
        "criterion": f"at most {rate:g} false positive{'s' * (rate != 1)} a {item}",
        "rate": f"false positives a {item}",
    }
    return _row(head, lambda: thresholds.chosen(validation[0], rate, item=item), reached, validation, test)


def class_rows(
    scores: str, names: Sequence[str], validation: Images, test: Images, seed: int
) -> Iterator[dict[str, Any]]:
    """For each class with an AUC, against the rest: at each of `class_intervals.SPECIFICITIES`, and Youden's."""
    for kind in test.present:
        label, score = (validation.label == kind).astype(np.int64), validation.probability[:, kind]

        def reached(images: Images, threshold: float, kind: int = kind) -> Carried:
            own, count = (images.label == kind).astype(np.int64), class_resampling.resamples(images)
            return thresholds.carried_share(
                own, images.probability[:, kind], images.group, threshold, resamples=count, seed=seed
            )

        for criterion, choose in _criteria(label, score):
            head = {"scores": scores, "class": names[kind], "criterion": criterion, "rate": OF_NEGATIVES}
            yield _row(head, choose, reached, validation, test)


def _criteria(label: np.ndarray, score: np.ndarray) -> Iterator[tuple[str, Callable[[], float]]]:
    for specificity in class_intervals.SPECIFICITIES:
        share = round(1 - specificity, 9)
        yield f"specificity at least {specificity:g}", partial(thresholds.chosen_share, label, score, share)
    yield YOUDEN, partial(thresholds.chosen_youden, label, score)


def _row(
    head: dict[str, Any],
    choose: Callable[[], float],
    reached: Callable[[Any, float], Carried],
    validation: Any,
    test: Any,
) -> dict[str, Any]:
    try:
        threshold = choose()
    except UserError as error:
        return {**head, "threshold": None, "reason": str(error), "validation": None, "test": None}
    own = {"validation": _reached(reached(validation, threshold)), "test": _reached(reached(test, threshold))}
    return {**head, "threshold": threshold, "reason": "", **own}


def _reached(found: Carried) -> dict[str, Any]:
    """Sensitivity and false-positive rate with their counts, exact intervals and those by group (None: too few)."""
    sensitivity, false = found.sensitivity, found.false_positives
    count, size = (false.count, false.size) if isinstance(false, thresholds.Rate) else (false.hits, false.total)
    return {
        "hits": sensitivity.hits,
        "of": sensitivity.total,
        "sensitivity": sensitivity.value,
        "exact_95": _ends(sensitivity.exact),
        "group_95": _ends(sensitivity.group),
        "false_positives": count,
        "negatives_or_frames": size,
        "false_positive_rate": false.value,
        "false_positive_rate_exact_95": _ends(false.exact),
        "false_positive_rate_group_95": _ends(false.group),
    }


def _ends(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [float(interval.low), float(interval.high)]


def text(row: Mapping[str, Any]) -> str:
    """A line for the terminal."""
    head = f"  threshold from validation, {row['criterion']}, {row['scores']}"
    if row["threshold"] is None:
        return f"{head}: none ({row['reason']})"
    test = row["test"]
    return (
        f"{head}: {row['threshold']:.6g}; on the test sensitivity {share_text(test)}, {row['rate']}"
        f" {share_text(test, 'false_positive_rate')}"
    )


def share_text(reached: Mapping[str, Any], what: str = "sensitivity") -> str:
    """A value with the interval by group, or the exact one where there is none by group."""
    prefix = "" if what == "sensitivity" else f"{what}_"
    low, high = reached[f"{prefix}group_95"] or reached[f"{prefix}exact_95"]
    return f"{reached[what]:.3f} [{low:.3f}, {high:.3f}]"
