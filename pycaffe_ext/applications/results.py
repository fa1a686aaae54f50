"""From scored candidates to the numbers and tables of a run, the same for every application tested by FROC."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pycaffe_ext.applications import packed
from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import froc, intervals, operating, roc
from pycaffe_ext.evaluation.intervals import ENOUGH_GROUPS
from pycaffe_ext.files import read_json

RATES = (0.5, 1.0, 2.0, 4.0)  # false positives per frame at which sensitivity is reported
RESAMPLES = operating.RESAMPLES
SCORE_HEADER = ("frame", "candidate", "lesion", "probability", "detector")
SCORE_KINDS = dict(zip(SCORE_HEADER, (str, int, int, float, float), strict=True))
LESION_KINDS = {"frame": str, "group": str, "split": str, "lesions": int}  # of the packed folder's lesions.csv
WHO = ("network", "detector")
ENDS = ("", "_exact_low", "_exact_high", "_group_low", "_group_high")
CURVE_HEADER = (
    "scores",
    "threshold",
    "false_positives_per_frame",
    *(f"{by}_sensitivity{end}" for by in froc.SENSITIVITIES for end in ENDS),
)
ROC_HEADER = ("scores", "threshold", "false_positive_share", *(f"sensitivity{end}" for end in ENDS))


@dataclass(frozen=True)
class Evaluation:
    """The test of one net.

    cases : its candidates with their mean probability.  baseline : the same candidates with the detector's own score.
    group : (frames,) video or patient of each test frame.  names : (frame, rank) of each candidate, in their order.
    patch_label : (patches,) 1 = polyp; patch_candidate : (patches,) int, the candidate that each patch shows.  Both are
    None in an evaluation that was read back: the scores of single patches are not kept.
    """

    cases: froc.Cases
    baseline: froc.Cases
    group: np.ndarray
    names: tuple[tuple[str, int], ...]
    patch_label: np.ndarray | None = None
    patch_candidate: np.ndarray | None = None

    def of(self, who: str) -> froc.Cases:
        """The candidates as the "network" or the "detector" scores them."""
        return dict(zip(WHO, (self.cases, self.baseline), strict=True))[who]

    @property
    def label(self) -> np.ndarray:
        """(candidates,) 1 = hits a lesion."""
        return (self.cases.lesion > 0).astype(np.int64)

    @property
    def candidate_group(self) -> np.ndarray:
        """(candidates,) group of each candidate's frame."""
        return np.asarray(self.group)[self.cases.frame]


def read_evaluation(run_folder: Path) -> Evaluation:
    """The evaluation of a finished run, from its scores.csv and the packed folder that its run.json names.

    Raises UserError if a file is missing or is none of these, or if the scores are of other frames.
    """
    if not (run_folder / "scores.csv").exists():
        raise UserError(f"{run_folder}: no finished run: scores.csv is missing; the same make command goes on with it")
    data = _packed_folder(run_folder)
    row, lesions, group = tested_frames(data)
    scores = packed.read_columns(run_folder / "scores.csv", SCORE_KINDS)
    if foreign := set(scores["frame"].tolist()) - set(row):
        raise UserError(f"{run_folder / 'scores.csv'}: {min(foreign)} is no test frame of {data}; remove the run")
    frame = np.array([row[name] for name in scores["frame"]], np.int64)
    both = (froc.Cases(frame, scores[column], scores["lesion"], lesions) for column in ("probability", "detector"))
    names = tuple(zip(scores["frame"].tolist(), scores["candidate"].tolist(), strict=True))
    return Evaluation(*both, group=group, names=names)


def tested_frames(data: Path) -> tuple[dict[str, int], np.ndarray, np.ndarray]:
    """The test frames of a folder of packed data: name -> place, and the lesions and the group of each."""
    frames = packed.read_columns(data / "lesions.csv", LESION_KINDS)
    test = frames["split"] == "test"
    return {name: i for i, name in enumerate(frames["frame"][test])}, frames["lesions"][test], frames["group"][test]


def _packed_folder(run_folder: Path) -> Path:
    """The packed data of a run: where it was then, or beside the run if both were moved."""
    try:
        named = Path(read_json(run_folder / "run.json")["resolved"]["data"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{run_folder}: no finished run: run.json is missing or damaged; run again") from error
    places = (named, run_folder.parent / "data" / named.name)
    return next((place for place in places if (place / "lesions.csv").exists()), named)


def summary(evaluation: Evaluation, probabilities: np.ndarray, seed: int) -> dict[str, Any]:
    """What result.json says of the test: AUCs by patch and by candidate, sensitivities with each kind of interval.

    probabilities : (patches,) of being positive, in the order of `evaluation.patch_label`.
    Patches of a candidate are alike, and so are candidates of a video: DeLong's intervals, which take them as
    independent, are too narrow; those by group are not.  Raises UserError if all patches are of one class.
    """
    frames = int(evaluation.cases.lesions.size)
    numbers = np.unique(evaluation.group, return_inverse=True)[1].astype(np.int32)  # names would fill the memory
    patch_group = numbers[evaluation.cases.frame][evaluation.patch_candidate]
    groups = froc.lesion_groups(evaluation.cases, evaluation.group)
    return {
        **_area("patch_auc", evaluation.patch_label, probabilities, patch_group, seed),
        **_area("candidate_auc", evaluation.label, evaluation.cases.score, evaluation.candidate_group, seed),
        **_area("detector_auc", evaluation.label, evaluation.baseline.score, evaluation.candidate_group, seed),
        "frames": frames,
        "groups": int(np.unique(evaluation.group).size),
        "groups_with_lesions": groups,
        "enough_groups": groups >= ENOUGH_GROUPS,  # else intervals by group are unreliable
        "lesions": int(evaluation.cases.lesions.sum()),
        "candidates": int(evaluation.cases.score.size),
        # candidates that share one score: a curve cannot be operated between all and none of them
        "largest_ties": {who: int(np.unique(evaluation.of(who).score, return_counts=True)[1].max()) for who in WHO},
        "false_positives_per_frame_at_most": float((evaluation.cases.lesion == 0).sum() / frames),
        **{
            who: {by: points(evaluation.of(who), evaluation.group, by, seed) for by in froc.SENSITIVITIES}
            for who in WHO
        },
    }


def _area(name: str, label: np.ndarray, score: np.ndarray, group: np.ndarray, seed: int) -> dict[str, Any]:
    """An AUC with DeLong's interval (None for fewer than two cases of a class) and the bootstrap's by group."""
    area = roc.auc(label, score)
    return {
        name: area,
        f"{name}_95_delong": _or_none(lambda: roc.auc_interval(label, score)),
        f"{name}_95_group": _or_none(
            lambda: intervals.area_interval(
                area, roc.bootstrap_aucs(label, score, group, RESAMPLES, seed), roc.class_groups(label, group)
            )
        ),
    }


def _or_none(interval: Callable[[], Sequence[float]]) -> list[float] | None:
    """An interval as JSON has it; None where the cases or groups are too few for one."""
    try:
        return list(interval())
    except UserError:
        return None


def points(cases: froc.Cases, group: np.ndarray, by: str, seed: int) -> list[dict[str, Any]]:
    """The operating points at RATES: sensitivity, exact and Wilson binomial intervals, bootstrap by group.

    The bootstrap is None where there are too few groups for one; the binomial intervals take lesions as independent.
    """
    curve, band = froc.curve(cases), operating.group_intervals(cases, group, RATES, by, RESAMPLES, seed)
    bootstrap = [None] * len(RATES) if band is None else np.transpose(band).tolist()
    return [_point(curve, rate, by, interval) for rate, interval in zip(RATES, bootstrap, strict=True)]


def _point(curve: froc.Curve, rate: float, by: str, bootstrap: list[float] | None) -> dict[str, Any]:
    point = froc.operating_point(curve, rate, by)
    return {
        "at_most_false_positives_per_frame": rate,
        "reached": froc.reaches(curve, rate),  # else the candidates end before: all of them are detections
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


def curve_rows(evaluation: Evaluation, who: str = "network", seed: int = 0) -> list[tuple[Any, ...]]:
    """Rows of froc.csv (CURVE_HEADER): every point at which the curve can be operated, from the highest threshold.

    who : "network" or "detector".  Threshold inf = nothing detected; intervals by group are empty where there are too
    few groups.
    """
    found = operating.froc_points(evaluation.of(who), evaluation.group, RESAMPLES, seed)
    return list(_rows(who, found))


def roc_rows(evaluation: Evaluation, who: str = "network", seed: int = 0) -> list[tuple[Any, ...]]:
    """Rows of roc.csv (ROC_HEADER): every corner of the ROC curve over candidates; as `curve_rows`."""
    score, group = evaluation.of(who).score, evaluation.candidate_group
    return list(_rows(who, operating.roc_points(evaluation.label, score, group, RESAMPLES, seed)))


def _rows(who: str, found: operating.Points) -> Iterator[tuple[Any, ...]]:
    columns: list[Iterable[Any]] = [found.threshold, found.rate]
    for estimates in found.estimates.values():
        columns += [[None] * found.rate.size if column is None else column for column in estimates]
    for values in zip(*columns, strict=True):
        yield who, *("" if value is None else repr(float(value)) for value in values)
