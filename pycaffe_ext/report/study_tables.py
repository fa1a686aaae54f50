"""Tables of a study: counts at each stage of the data, and results over seeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pycaffe_ext.applications.packed import RECORD
from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import roc
from pycaffe_ext.evaluation.contrasts import Figure
from pycaffe_ext.evaluation.metrics.detection import Detection
from pycaffe_ext.evaluation.seeds import SeedInterval, scheme_interval, seed_interval
from pycaffe_ext.evaluation.study_figures import StudyFigures, study_figures
from pycaffe_ext.evaluation.words import ENDPOINT_RATE, POLYPS, Words
from pycaffe_ext.report import study_parts
from pycaffe_ext.report.depth import Seeds, shown
from pycaffe_ext.report.figures import DETECTOR
from pycaffe_ext.report.model import Table
from pycaffe_ext.runs.finished import RunFiles, Study

Rows = list[tuple[Any, ...]]

SPLITS = ("train", "val", "test")
STAGES = {  # column of counts.csv -> its name in the report, both as Words.columns makes them
    "groups": "groups (videos, patients)",
    "frames": "frames",
    "frames_with_polyps": "… with polyps",
    "frames_without_polyps": "… without polyps",
    "polyps": "polyps",
    "polyps_with_candidate": "… with a candidate",
    "candidates": "candidates",
    "positive_candidates": "… that hit a polyp",
    "false_candidates": "… false positives",
    "positive_views": "patches before balancing, positive",
    "negative_views": "patches before balancing, negative",
    "positive_patches": "patches packed, positive",
    "negative_patches": "patches packed, negative",
}
RUN_HEADER = (
    "name",
    "seed",
    "arch",
    "scheme",
    "fraction",
    "folder",
    "donor",
    "precision",
    "width",
    "batch",
    "epochs_at_most",
    "patience",
    "snapshots",
    "stopped_by",
    "best_epoch",
    "best_iteration",
    "validation_auc",
    "patch_auc",
    "candidate_auc",
    "resumed_at",
)
INTERVAL = ("seeds", "mean", "low", "high")
AUC_HEADER = ("level", "name", *INTERVAL)
RESULT_HEADER = ("name", "figure", *INTERVAL)


def words_of(run: RunFiles) -> Words:
    """What the run's application, which detects, calls its items and lesions."""
    metric = run.application.metric
    assert isinstance(metric, Detection)
    return metric.words


def counts(run: RunFiles) -> dict[str, dict[str, int]]:
    """split -> stage (keys of STAGES) -> how many, from the record of a run's packed data.

    Raises UserError if that was written by an earlier version.
    """
    try:
        words = words_of(run)
        return {
            split: dict(zip(words.columns(STAGES), _stages(run.packed.facts[split], words), strict=True))
            for split in SPLITS
        }
    except (KeyError, TypeError):
        raise UserError(
            f"{run.packed.folder / RECORD} is of an earlier version; remove that folder and its runs and run again"
        ) from None


def _stages(fact: Mapping[str, Any], words: Words) -> tuple[int, ...]:
    items, targets = f"{words.item}s", f"{words.target}s"
    before, packed = fact["patches_before_balancing"], fact["patches"]
    return (
        fact["groups"],
        fact[items],
        fact[f"{items}_with_{targets}"],
        fact[f"{items}_without_{targets}"],
        fact[targets],
        round((fact["covered"] or 0) * fact[targets]),
        fact["candidates"],
        fact["positive_candidates"],
        fact["negative_candidates"],
        before["positive"],
        before["negative"],
        packed["positive"],
        packed["negative"],
    )


def count_rows(found: Mapping[int, Mapping[str, Mapping[str, int]]]) -> Rows:
    """Rows of counts.csv (seed, split, *STAGES); found : seed -> what `counts` gives."""
    return [(seed, split, *stages.values()) for seed, splits in found.items() for split, stages in splits.items()]


def counts_table(found: Mapping[str, Mapping[str, int]], words: Words = POLYPS) -> Table:
    """The counts of a seed for a reader, a line for each stage."""
    stages = zip(words.columns(STAGES), words.columns(STAGES.values()), strict=True)
    rows = [(text, *(f"{found[split][stage]:,}".replace(",", " ") for split in SPLITS)) for stage, text in stages]
    return Table(("", "training", "validation", "test"), rows, "counts.csv", (counts,))


def candidate_auc(run: RunFiles, who: str = "network") -> float:
    """Area under the ROC curve of the test candidates, as the "network" or the "detector" scores them."""
    return roc.auc(run.evaluation.label, run.evaluation.of(who).score)


def run_rows(study: Study) -> Rows:
    """Rows of runs.csv (RUN_HEADER)."""
    return [
        (
            study.name(run),
            run.settings.trial,
            run.settings.training.arch,
            run.settings.scheme,
            run.settings.request.fraction,
            run.folder.name,
            run.result.donor,
            run.settings.training.precision,
            run.record.resolved["width"],
            run.record.resolved["batch"],
            run.settings.training.epochs,
            run.settings.training.patience,
            run.result.snapshots,
            run.result.stopped_by,
            run.result.best.epoch,
            run.result.best.iteration,
            run.result.best.validation_auc,
            run.result.test["patch_auc"],
            candidate_auc(run),
            study_parts.resumed_text(run),
        )
        for run in study.runs
    ]


def results(
    study: Study, figures: StudyFigures, overlap: float, words: Words = POLYPS
) -> dict[str, dict[str, SeedInterval]]:
    """name -> figure -> mean over seeds: sensitivities by lesion, the primary endpoint first, and AUCs.

    figures : of the study's nets and the detector        overlap : of the seeds' test sets
    The intervals of "patch AUC" know the test groups by their overlap alone: the scores of patches are not kept.
    """
    rates = sorted(figures.rates, key=lambda rate: (rate != ENDPOINT_RATE, rate))
    columns: dict[str, Figure] = {
        f"sensitivity at {rate:g} FP a {words.item}": figures.sensitivity[rate] for rate in rates
    }
    columns["candidate AUC"] = figures.auc
    found = {
        name: {text: scheme_interval(figure, place, overlap) for text, figure in columns.items()}
        for place, name in enumerate(figures.schemes)
    }
    for name, values in study.over_seeds(lambda run: run.result.test["patch_auc"]).items():
        found[name]["patch AUC"] = seed_interval(list(values.values()), overlap, trials=list(values))
    return {name: found[name] for name in [*study.names, DETECTOR]}


def result_rows(found: Mapping[str, Mapping[str, SeedInterval]]) -> Rows:
    """Rows of results.csv (RESULT_HEADER)."""
    return [(name, figure, *_interval(over)) for name, own in found.items() for figure, over in own.items()]


def auc_rows(found: Mapping[str, Mapping[str, Seeds]]) -> Rows:
    """Rows of auc_by_depth.csv (AUC_HEADER); found : level -> name -> AUCs over seeds."""
    return [(level, name, *_interval(own.over)) for level, names in found.items() for name, own in names.items()]


def _interval(over: SeedInterval) -> tuple[Any, ...]:
    return over.seeds, over.mean, *("" if end is None else end for end in (over.low, over.high))


def largest_tie(run: RunFiles) -> tuple[float, float]:
    """Share of the test candidates that have the most frequent score, and that score."""
    values, count = np.unique(run.evaluation.cases.score, return_counts=True)
    return float(count.max() / count.sum()), float(values[count.argmax()])


def results_table(found: Mapping[str, Mapping[str, SeedInterval]]) -> Table:
    """The results over seeds for a reader, a line for each net."""
    columns = list(next(iter(found.values())))
    rows = [
        (name, next(iter(own.values())).seeds, *(shown(own[column]) if column in own else "-" for column in columns))
        for name, own in found.items()
    ]
    return Table(("", "seeds", *columns), rows, "results.csv", (study_figures, scheme_interval, seed_interval))
