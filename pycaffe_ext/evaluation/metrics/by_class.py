"""ROC by class: how nets are judged that classify whole images, such as frames and the images of class folders."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pycaffe_ext.data.columns import read_columns
from pycaffe_ext.data.items import Floats, Ints
from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import class_resampling, class_summary, classes, operating
from pycaffe_ext.evaluation.class_figures import auc_figure
from pycaffe_ext.evaluation.class_summary import Summary
from pycaffe_ext.evaluation.classes import Images
from pycaffe_ext.evaluation.contrasts import Figure
from pycaffe_ext.evaluation.findings import power
from pycaffe_ext.evaluation.findings.model import Merit
from pycaffe_ext.evaluation.margins import MARGINS
from pycaffe_ext.evaluation.metrics import carried
from pycaffe_ext.evaluation.metrics.base import SCORES, Headline, Metric, PatchScores, Table, TestData

if TYPE_CHECKING:
    from pycaffe_ext.runs.finished import Study

TWO, MORE = "AUC", "mean one-against-rest AUC"  # the primary endpoint, with two classes and with more
QUOTED = 0.9  # specificity on the terminal
QUOTED_CLASSES = 5  # whose AUCs stand on the terminal, the lowest
NETWORK, BASELINE = "network", "baseline"
Rows = Callable[[Images, Summary], Iterator[tuple[Any, ...]]]
ENDS = ("exact_low", "exact_high", "group_low", "group_high")
ROC_HEADER = ("scores", "class", "threshold", "false_positive_share", "sensitivity", *ENDS)
CONFUSION_HEADER = ("scores", "label", "predicted", "images", "share_of_label")
CALIBRATION_HEADER = ("scores", "low", "high", "images", "mean_probability", "observed_share", *ENDS)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The test of one net.

    images : with the mean probabilities of their patches.   names : of the images.   classes : their names.
    baseline : the same images with the probabilities of what scored them before, None where nothing did.
    patch_auc : AUC of the single patches; None in an evaluation that was read back, which has no patches.
    """

    images: Images
    names: tuple[str, ...]
    classes: tuple[str, ...]
    baseline: Images | None = None
    patch_auc: float | None = None
    _summaries: dict[tuple[str, int], Summary] = field(default_factory=dict, repr=False)

    @property
    def scored(self) -> dict[str, Images]:
        """The images as the network, and the baseline if there is one, scores them."""
        return {NETWORK: self.images, **({BASELINE: self.baseline} if self.baseline else {})}

    def summary(self, seed: int, scores: str = NETWORK) -> Summary:
        """All figures, computed once."""
        key = scores, seed
        if key not in self._summaries:
            self._summaries[key] = class_summary.summarise(self.scored[scores], seed)
        return self._summaries[key]


class RocByClass(Metric[Evaluation]):
    """An application subclasses it to name its images and its baseline."""

    unit = "the whole picture, by the mean probability of its patches"
    word: ClassVar[str] = "image"  # what an item is called in tables and texts

    def validation(self, probability: Floats, label: Ints) -> float:
        return classes.validation(np.asarray(probability, np.float64), np.asarray(label, np.int64))

    def evaluate(self, test: TestData, scores: PatchScores) -> Evaluation:
        probability = classes.mean_by_sample(scores.sample, scores.probability, len(test.samples))
        return _evaluation(test, probability, self.validation(scores.probability, scores.label))

    def result(self, evaluation: Evaluation, seed: int) -> dict[str, Any]:
        records = {
            scores: class_summary.record(evaluation.summary(seed, scores), evaluation.classes)
            for scores in evaluation.scored
        }
        return {
            **class_summary.counts(evaluation.images, evaluation.classes),
            "patch_auc": evaluation.patch_auc,
            "largest_tie": largest_tie(evaluation.images),
            NETWORK: records[NETWORK],
            BASELINE: records.get(BASELINE),
        }

    def headline(self, result: Mapping[str, Any], of_baseline: bool = False) -> Headline:
        area = result[BASELINE if of_baseline else NETWORK]["auc"]
        low, high = area["group_95"] or area["image_95"] or (None, None)
        return Headline(endpoint(len(result["classes"])), area["value"], low, high)

    def text(self, result: Mapping[str, Any]) -> list[str]:
        groups = f"{result['groups']} groups" + ("" if result["enough_groups"] else ": few for intervals by group")
        lines = [f"test: {result['images']} {self.word}s of {len(result['classes'])} classes in {groups}"]
        for scores in (NETWORK, BASELINE):
            if own := result[scores]:
                name = scores if scores == NETWORK else self.baseline or scores
                lines.append(f"  {endpoint(len(result['classes']))}, {name}: {interval_text(own['auc'])}")
                lines.append(
                    f"  accuracy, {name}: {own['accuracy']['value']:.3f};"
                    f" balanced: {interval_text(own['balanced_accuracy'])}"
                )
        return lines + _class_lines(result)

    def thresholds(self, validation: Evaluation, test: Evaluation, seed: int) -> list[dict[str, Any]]:
        return [
            row
            for scores, images in test.scored.items()
            for row in carried.class_rows(
                NETWORK if scores == NETWORK else self.baseline or scores,
                test.classes,
                validation.scored[scores],
                images,
                seed,
            )
        ]

    def scores(self, evaluation: Evaluation) -> Table:
        return Table(SCORES, score_header(self.word, evaluation), score_rows(evaluation))

    def tables(self, evaluation: Evaluation, seed: int) -> Iterator[Table]:
        yield self.scores(evaluation)
        names = evaluation.classes
        kinds: dict[str, tuple[Sequence[str], Rows]] = {
            "roc.csv": (ROC_HEADER, lambda images, own: roc_rows(images, names, seed)),
            "confusion.csv": (CONFUSION_HEADER, lambda images, own: confusion_rows(own, names)),
            "calibration.csv": (CALIBRATION_HEADER, lambda images, own: calibration_rows(own)),
        }
        for file, (header, rows) in kinds.items():
            yield Table(file, header, _of_each(evaluation, rows, seed))

    def figures(self, folder: Path, evaluation: Evaluation, name: str, title: str) -> list[str]:
        from pycaffe_ext.report.by_class import curves

        return curves.run_figures(folder, evaluation, name, self.baseline or BASELINE, title)

    def read(self, run: Path, test: TestData, file: str = SCORES) -> Evaluation:
        kinds = {self.word: str, "label": str, **dict.fromkeys(probability_columns(test.classes), float)}
        columns = read_columns(run / file, kinds)
        label = np.array(test.classes)[test.samples.label]
        same = columns[self.word].tolist() == _names(test) and columns["label"].tolist() == label.tolist()
        if not same:
            raise UserError(f"{run / file}: not the {self.word}s that were tested; remove the run and repeat it")
        return _evaluation(test, np.stack([columns[name] for name in probability_columns(test.classes)], axis=1))

    def merit(self, evaluation: Evaluation | None = None) -> Merit:
        """The primary endpoint."""
        name = endpoint(len(evaluation.classes)) if evaluation else TWO
        return Merit(f"{name} of {self.word}s", "AUC", 1.0, (0.0, 1.0), True, MARGINS.auc, power.AUC)

    def judged(self, evaluation: Evaluation, of_baseline: bool = False) -> Images | None:
        return evaluation.baseline if of_baseline else evaluation.images

    def judged_figure(
        self, judged: Mapping[int, Mapping[str, Any]], group: Mapping[int, Sequence[Hashable]], names: Sequence[str]
    ) -> Figure:
        return auc_figure(judged, group, names)

    def report(self, folder: Path, study: Study, missing: Sequence[str], options: Mapping[str, Any]) -> None:
        from pycaffe_ext.report.by_class import pages

        pages.write(folder, study, missing, options.get("progress", True), options.get("external"))


def endpoint(count: int) -> str:
    """The name of the primary endpoint for this number of classes."""
    return TWO if count == 2 else MORE


def _evaluation(test: TestData, probability: Floats, patch_auc: float | None = None) -> Evaluation:
    samples = test.samples
    label, group = samples.label.astype(np.int64), np.asarray(test.group)[samples.item]
    baseline = None
    if samples.score is not None:
        if len(test.classes) != 2:
            raise ValueError(f"a single score can't be the baseline of {len(test.classes)} classes")
        score = np.asarray(samples.score, np.float64)
        baseline = Images(np.stack([1 - score, score], axis=1), label, group)
    return Evaluation(
        Images(np.asarray(probability, np.float64), label, group),
        tuple(_names(test)),
        test.classes,
        baseline,
        patch_auc,
    )


def _names(test: TestData) -> list[str]:
    return [test.items[i] for i in test.samples.item]


def largest_tie(images: Images) -> int:
    """How many images share their probabilities with each other at most: no threshold can divide them."""
    return int(np.unique(images.probability, axis=0, return_counts=True)[1].max())


def interval_text(record: Mapping[str, Any]) -> str:
    """A figure with its intervals, from its record in result.json."""
    named = (("by image", record["image_95"]), ("by group", record["group_95"]))
    ends = [f"{name} [{ends[0]:.3f}, {ends[1]:.3f}]" for name, ends in named if ends]
    return f"{record['value']:.3f}" + (f", 95 % {', '.join(ends)}" if ends else "")


def _class_lines(result: Mapping[str, Any]) -> list[str]:
    """With two classes sensitivity at a specificity, with more the classes with the lowest AUCs."""
    own = result[NETWORK]
    if len(result["classes"]) == 2:
        ((name, points),) = own["sensitivity_of_class"].items()
        point = next(one for one in points if one["specificity_at_least"] == QUOTED)
        record = {"value": point["sensitivity"], "image_95": point["exact_95"], "group_95": point["group_95"]}
        return [f"  sensitivity for {name} at a specificity of {QUOTED:g}: {interval_text(record)}"]
    lowest = sorted(own["auc_of_class"].items(), key=lambda item: item[1]["value"])[:QUOTED_CLASSES]
    return ["  lowest AUCs: " + ", ".join(f"{name} {area['value']:.3f}" for name, area in lowest)]


def probability_columns(names: Sequence[str]) -> list[str]:
    """Columns of scores.csv, one a class; the prefix keeps them apart from the other columns."""
    return [f"p_{name}" for name in names]


def score_header(word: str, evaluation: Evaluation) -> list[str]:
    baseline = [BASELINE] if evaluation.baseline else []
    return [word, "group", "label", "predicted", *probability_columns(evaluation.classes), *baseline]


def score_rows(evaluation: Evaluation) -> Iterator[tuple[Any, ...]]:
    """Rows of scores.csv; baseline : its probability of class 1."""
    images, names = evaluation.images, evaluation.classes
    scores: list[tuple[str, ...]] = [()] * len(evaluation.names)
    if evaluation.baseline:
        scores = [(repr(float(score)),) for score in evaluation.baseline.probability[:, 1]]
    columns = evaluation.names, images.group.tolist(), images.label.tolist(), images.predicted.tolist()
    for name, group, label, predicted, probability, score in zip(*columns, images.probability, scores, strict=True):
        yield name, group, names[label], names[predicted], *(repr(float(p)) for p in probability), *score


def _of_each(evaluation: Evaluation, rows: Rows, seed: int) -> Iterator[tuple[Any, ...]]:
    """The rows of the network and of the baseline, who is named in the first column."""
    for scores, images in evaluation.scored.items():
        for row in rows(images, evaluation.summary(seed, scores)):
            yield scores, *row


def roc_rows(images: Images, names: Sequence[str], seed: int) -> Iterator[tuple[Any, ...]]:
    """Rows of roc.csv without the first column: the corners of each class's curve, from the highest threshold down."""
    for kind in images.present:
        label, score = images.label == kind, images.probability[:, kind]
        points = operating.roc_points(label, score, images.group, class_resampling.resamples(images), seed)
        own = points.estimates["case"]
        columns = [points.threshold, points.rate, *own]
        blank = [None] * points.rate.size
        for values in zip(*(blank if column is None else column for column in columns), strict=True):
            yield names[kind], *("" if value is None else repr(float(value)) for value in values)


def confusion_rows(summary: Summary, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Rows of confusion.csv without the first column: every pair of classes."""
    share = classes.by_row(summary.confusion)
    for row, label in enumerate(names):
        for column, predicted in enumerate(names):
            part = share[row, column]
            yield label, predicted, int(summary.confusion[row, column]), repr(float(part)) if np.isfinite(part) else ""


def calibration_rows(summary: Summary) -> Iterator[tuple[Any, ...]]:
    """Rows of calibration.csv without the first column."""
    for one in summary.bins:
        ends = [end for interval in (one.observed.image, one.observed.group) for end in (interval or ("", ""))]
        yield one.low, one.high, one.images, one.mean, one.observed.value, *ends
