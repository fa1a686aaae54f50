"""FROC: from scored candidates to the numbers, tables and figures of a run that detects lesions."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pycaffe_ext.data.columns import read_columns
from pycaffe_ext.data.items import Floats, Ints
from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import froc, intervals, operating, roc, summaries
from pycaffe_ext.evaluation.contrasts import Figure
from pycaffe_ext.evaluation.findings import power
from pycaffe_ext.evaluation.findings.model import Merit
from pycaffe_ext.evaluation.intervals import ENOUGH_GROUPS
from pycaffe_ext.evaluation.margins import MARGINS
from pycaffe_ext.evaluation.metrics import carried
from pycaffe_ext.evaluation.metrics.base import (
    SCORES,
    Headline,
    Metric,
    PatchScores,
    Table,
    TestData,
    patch_auc,
    positive,
)
from pycaffe_ext.evaluation.study_figures import auc_figure
from pycaffe_ext.evaluation.words import ENDPOINT_RATE, ENDS, POLYPS, Words

if TYPE_CHECKING:
    from pycaffe_ext.runs.finished import Study

RATES = (0.5, 1.0, 2.0, 4.0)  # false positives per item at which sensitivity is reported
RESAMPLES = operating.RESAMPLES
SCORE_KINDS = (str, int, int, float, float)  # of the columns of scores.csv
AREA_RATE = 2.0  # false positives per item up to which the area under the FROC curve is taken
QUOTED_RATES = (1.0, 2.0)  # on the terminal
WHO = ("network", "detector")
ROC_HEADER = ("scores", "threshold", "false_positive_share", *(f"sensitivity{end}" for end in ENDS))


@dataclass(frozen=True)
class Evaluation:
    """The test of one net.

    cases : its candidates with their mean probability.  baseline : the same candidates with the detector's own score.
    group : (frames,) video or patient of each test frame.  frames : their names.  number : (candidates,) rank of each
    candidate in its frame.   patch_label : (patches,) 1 = polyp; patch_candidate : (patches,) int, the candidate that
    each patch shows; patch_probability : (patches,) of being positive.  These three are None in an evaluation that was
    read back: the scores of single patches are not kept.
    """

    cases: froc.Cases
    baseline: froc.Cases
    group: np.ndarray
    frames: tuple[str, ...]
    number: np.ndarray
    patch_label: np.ndarray | None = None
    patch_candidate: np.ndarray | None = None
    patch_probability: np.ndarray | None = None

    def of(self, who: str) -> froc.Cases:
        """The candidates as the "network" or the "detector" scores them."""
        return dict(zip(WHO, (self.cases, self.baseline), strict=True))[who]

    def name(self, row: int) -> tuple[str, int]:
        """(frame, rank) of a candidate."""
        return self.frames[self.cases.frame[row]], int(self.number[row])

    @property
    def label(self) -> np.ndarray:
        """(candidates,) 1 = hits a lesion."""
        return (self.cases.lesion > 0).astype(np.int64)

    @property
    def candidate_group(self) -> np.ndarray:
        """(candidates,) group of each candidate's frame."""
        return np.asarray(self.group)[self.cases.frame]


@dataclass(frozen=True)
class Detection(Metric[Evaluation]):
    """FROC over candidates, each scored by the mean probability of its patches (paper, section 6)."""

    words: Words = POLYPS
    baseline = "detector"

    @property
    def unit(self) -> str:
        return f"sensitivity by {self.words.target}, false positives by {self.words.item}"

    def validation(self, probability: Floats, label: Ints) -> float:
        """AUC of patches; anything but class 0 is positive."""
        return patch_auc(probability, label)

    def evaluate(self, test: TestData, scores: PatchScores) -> Evaluation:
        samples, probability = test.samples, positive(scores.probability)
        network = froc.candidate_scores(scores.sample, probability, len(samples))
        return self._evaluation(
            test,
            network,
            patch_label=(scores.label > 0).astype(np.int8),
            patch_candidate=scores.sample,
            patch_probability=probability,
        )

    def result(self, evaluation: Evaluation, seed: int) -> dict[str, Any]:
        return summary(evaluation, seed, self.words)

    def headline(self, result: Mapping[str, Any], of_baseline: bool = False) -> Headline:
        points = result["detector" if of_baseline else "network"]["lesion"]
        point = next(p for p in points if p[self._at_most] == ENDPOINT_RATE)
        low, high = point.get("group_bootstrap_95") or point["exact_95"]  # by group where there are enough
        return Headline(self.words.endpoint, point["sensitivity"], low, high)

    @property
    def _at_most(self) -> str:
        return f"at_most_false_positives_per_{self.words.item}"

    def text(self, result: Mapping[str, Any]) -> list[str]:
        low, high = result["patch_auc_95_delong"]
        item, target = self.words.item, self.words.target
        lines = [
            f"test: patch AUC {result['patch_auc']:.4f} [{low:.4f}, {high:.4f}],"
            f" {result['lesions']} {target}s in {result[f'{item}s']} {item}s, {result['candidates']} candidates"
        ]
        for rate in QUOTED_RATES:
            for who in WHO:
                point = next(p for p in result[who]["lesion"] if p[self._at_most] == rate)
                lines.append(f"  sensitivity at {rate:g} false positives a {item}, {who:8s}: {point_text(point)}")
        return lines

    def thresholds(self, validation: Evaluation, test: Evaluation, seed: int) -> list[dict[str, Any]]:
        return [
            carried.froc_row(
                who,
                self.words.target,
                (validation.of(who), validation.group),
                (test.of(who), test.group),
                ENDPOINT_RATE,
                RESAMPLES,
                seed,
                self.words.item,
            )
            for who in WHO
        ]

    def scores(self, evaluation: Evaluation) -> Table:
        return Table(SCORES, self.words.score_header, score_rows(evaluation))

    def tables(self, evaluation: Evaluation, seed: int) -> Iterator[Table]:
        yield self.scores(evaluation)
        for file, header, rows in (
            ("froc.csv", self.words.curve_header, curve_rows),
            ("roc.csv", ROC_HEADER, roc_rows),
        ):
            yield Table(file, header, [row for who in WHO for row in rows(evaluation, who, seed)])

    def figures(self, folder: Path, evaluation: Evaluation, name: str, title: str) -> list[str]:
        from pycaffe_ext.report import figures

        curve, baseline = froc.curve(evaluation.cases), froc.curve(evaluation.baseline)
        figures.froc_figure(folder / "froc.png", {name: curve}, baseline, title=title, words=self.words)
        return ["froc.png"]

    def read(self, run: Path, test: TestData, file: str = SCORES) -> Evaluation:
        item = self.words.item
        kinds = dict(zip(self.words.score_header, SCORE_KINDS, strict=True))
        scores = read_columns(run / file, kinds)
        samples = test.samples
        known = len(scores["candidate"]) == len(samples) and (
            np.array_equal(scores["candidate"], samples.number)
            and np.array_equal(scores["lesion"], samples.target)
            and np.array_equal(scores[item], np.array(test.items)[samples.item])
        )
        if not known:
            raise UserError(f"{run / file}: not the candidates that were tested; remove the run and repeat it")
        return self._evaluation(test, scores["probability"])

    def _evaluation(self, test: TestData, score: np.ndarray, **patches: np.ndarray) -> Evaluation:
        samples, case = test.samples, None
        if self.words.case != self.words.item:
            case = np.unique(test.group, return_inverse=True)[1]
        both = (froc.Cases(samples.item, own, samples.target, samples.targets, case) for own in (score, samples.score))
        return Evaluation(*both, test.group, test.items, samples.number, **patches)

    def merit(self, evaluation: Evaluation | None = None) -> Merit:
        """The AUC of the candidates: a sensitivity at one false-positive rate tells less of the same test."""
        return Merit("AUC of candidates", "AUC", 1.0, (0.0, 1.0), True, MARGINS.auc, power.AUC)

    def judged(self, evaluation: Evaluation, of_baseline: bool = False) -> froc.Cases:
        return evaluation.baseline if of_baseline else evaluation.cases

    def judged_figure(
        self, judged: Mapping[int, Mapping[str, Any]], group: Mapping[int, Sequence[Hashable]], names: Sequence[str]
    ) -> Figure:
        return auc_figure(judged, group, names)

    def report(self, folder: Path, study: Study, missing: Sequence[str], options: Mapping[str, Any]) -> None:
        from pycaffe_ext.report.detection import pages

        pages.write(folder, study, missing, options)


def summary(evaluation: Evaluation, seed: int, words: Words = POLYPS) -> dict[str, Any]:
    """What result.json says of the test: AUCs by patch and by candidate, sensitivities with each kind of interval.

    Patches of a candidate are alike, and so are candidates of a video: DeLong's intervals, which take them as
    independent, are too narrow; those by group are not.  Raises UserError if all patches are of one class.
    """
    frames = int(evaluation.cases.lesions.size)
    numbers = np.unique(evaluation.group, return_inverse=True)[1].astype(np.int32)  # names would fill the memory
    patch_group = numbers[evaluation.cases.frame][evaluation.patch_candidate]
    groups = froc.lesion_groups(evaluation.cases, evaluation.group)
    return {
        **_area("patch_auc", evaluation.patch_label, evaluation.patch_probability, patch_group, seed),
        **_area("candidate_auc", evaluation.label, evaluation.cases.score, evaluation.candidate_group, seed),
        **_area("detector_auc", evaluation.label, evaluation.baseline.score, evaluation.candidate_group, seed),
        f"{words.item}s": frames,
        "groups": int(np.unique(evaluation.group).size),
        "groups_with_lesions": groups,
        "enough_groups": groups >= ENOUGH_GROUPS,  # else intervals by group are unreliable
        "lesions": int(evaluation.cases.lesions.sum()),
        "candidates": int(evaluation.cases.score.size),
        # candidates that share one score: a curve cannot be operated between all and none of them
        "largest_ties": {who: int(np.unique(evaluation.of(who).score, return_counts=True)[1].max()) for who in WHO},
        f"false_positives_per_{words.item}_at_most": float((evaluation.cases.lesion == 0).sum() / frames),
        **{
            who: {key: points(evaluation.of(who), evaluation.group, by, seed, words) for by, key in words.by.items()}
            for who in WHO
        },
        "summaries": {who: summary_records(evaluation.of(who), evaluation.group, seed, words) for who in WHO},
    }


def summary_figures(cases: Sequence[froc.Cases], words: Words = POLYPS) -> dict[str, summaries.Figure]:
    """Name -> figure that sums up a whole FROC curve, the same ones for all of these test sets.

    Where a test set has no frame without lesions, AFROC takes the false positives of all frames (AFROC1).
    """
    every = any((own.lesions > 0).all() for own in cases)
    name = "AFROC1" if every else "AFROC"
    return {
        f"mean sensitivity at 1/8 to 8 FP a {words.item}": summaries.mean_sensitivity_figure(),
        f"area under FROC up to {AREA_RATE:g} FP a {words.item}": summaries.area_figure(AREA_RATE),
        name: summaries.afroc_figure(weighted=False, all_frames=every),
        f"weighted {name}": summaries.afroc_figure(weighted=True, all_frames=every),
    }


def summary_records(
    cases: froc.Cases,
    group: np.ndarray,
    seed: int,
    words: Words = POLYPS,
) -> dict[str, dict[str, Any]]:
    """Name -> value, interval by group and effective groups of each of `summary_figures`, JSON-able."""
    found = {
        name: summaries.summary(cases, group, figure, RESAMPLES, seed)
        for name, figure in summary_figures([cases], words).items()
    }
    return {
        name: {
            "value": own.value,
            "group_95": own.interval and list(own.interval),
            "effective_groups": own.effective_groups,
        }
        for name, own in found.items()
    }


def _area(name: str, label: np.ndarray, score: np.ndarray, group: np.ndarray, seed: int) -> dict[str, Any]:
    """An AUC with DeLong's interval (None for fewer than two cases of a class) and the bootstrap's by group."""
    area = roc.auc(label, score)
    return {
        name: area,
        f"{name}_95_delong": _or_none(lambda: roc.auc_interval(label, score)),
        f"{name}_95_group": _or_none(
            lambda: intervals.area_interval(
                area, roc.bootstrap_aucs(label, score, group, RESAMPLES, seed), roc.effective_class_groups(label, group)
            )
        ),
    }


def _or_none(interval: Callable[[], Sequence[float]]) -> list[float] | None:
    """An interval as JSON has it; None where the cases or groups are too few for one."""
    try:
        return list(interval())
    except UserError:
        return None


def points(
    cases: froc.Cases,
    group: np.ndarray,
    by: str,
    seed: int,
    words: Words = POLYPS,
) -> list[dict[str, Any]]:
    """The operating points at RATES: sensitivity, exact and Wilson binomial intervals, bootstrap by group.

    The bootstrap is None where there are too few groups for one; the binomial intervals take lesions as independent.
    """
    curve, band = froc.curve(cases), operating.group_intervals(cases, group, RATES, by, RESAMPLES, seed)
    bootstrap = [None] * len(RATES) if band is None else np.transpose(band).tolist()
    return [_point(curve, rate, by, interval, words.item) for rate, interval in zip(RATES, bootstrap, strict=True)]


def _point(curve: froc.Curve, rate: float, by: str, bootstrap: list[float] | None, item: str) -> dict[str, Any]:
    point = froc.operating_point(curve, rate, by)
    return {
        f"at_most_false_positives_per_{item}": rate,
        "reached": froc.reaches(curve, rate),  # else the candidates end before: all of them are detections
        f"false_positives_per_{item}": point.false_positives_per_frame,
        "threshold": point.threshold if np.isfinite(point.threshold) else None,  # None: nothing is detected
        "hits": point.hits,
        "of": point.total,
        "sensitivity": point.sensitivity,
        "exact_95": list(intervals.clopper_pearson(point.hits, point.total)),
        "wilson_95": list(intervals.wilson(point.hits, point.total)),
        "group_bootstrap_95": bootstrap,
    }


def score_rows(evaluation: Evaluation) -> list[tuple[Any, ...]]:
    """Rows of scores.csv (Words.score_header): lesion 0 = none, the network's probability, the detector's own score."""
    columns = evaluation.cases.lesion, evaluation.cases.score, evaluation.baseline.score
    return [
        (*evaluation.name(row), int(lesion), repr(float(score)), repr(float(own)))
        for row, (lesion, score, own) in enumerate(zip(*columns, strict=True))
    ]


def point_text(point: Mapping[str, Any]) -> str:
    """A sensitivity with its exact binomial interval, and the bootstrap by group where there is one."""
    low, high = point["exact_95"]
    text = f"{point['sensitivity']:.3f}, exact 95 % [{low:.3f}, {high:.3f}]"
    if point["group_bootstrap_95"]:
        low, high = point["group_bootstrap_95"]
        text += f", by group [{low:.3f}, {high:.3f}]"
    return text


def curve_rows(evaluation: Evaluation, who: str = "network", seed: int = 0) -> list[tuple[Any, ...]]:
    """Rows of froc.csv (Words.curve_header): every point at which the curve can be operated, from the highest
    threshold.

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
