"""Parts of a report on classification with curves: ROC, confusion, calibration; and the figures of one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pycaffe_ext import plotting
from pycaffe_ext.evaluation import calibration, class_intervals, classes
from pycaffe_ext.evaluation.class_summary import Summary
from pycaffe_ext.evaluation.classes import Images
from pycaffe_ext.evaluation.metrics.by_class import NETWORK, Evaluation
from pycaffe_ext.report.by_class import figures
from pycaffe_ext.report.by_class.figures import Curve, estimate_text
from pycaffe_ext.report.by_class.material import BY_GROUP, Material
from pycaffe_ext.report.model import Figure, Section, Table

if TYPE_CHECKING:
    pass

MADE_BY = (classes.roc_curve, class_intervals.areas, class_intervals.sensitivities)
BARRED = 4  # curves with error bars; those of more would hide each other


def run_figures(folder: Path, evaluation: Evaluation, name: str, baseline: str, title: str) -> list[str]:
    """Draw roc.png, confusion.png and reliability.png of one run.  name, baseline : of the curves."""
    summaries = {
        called: evaluation.summary(0, scores) for called, scores in _called(evaluation, name, baseline).items()
    }
    own, looks = summaries[name], {**plotting.styles([name]), baseline: plotting.BASELINE}
    if len(evaluation.classes) == 2:
        images = {called: evaluation.scored[scores] for called, scores in _called(evaluation, name, baseline).items()}
        two_class_figure(folder / "roc.png", images, summaries, evaluation.classes, looks, title)
    else:
        figures.classes_figure(folder / "roc.png", evaluation.images, evaluation.classes, own.areas, own.auc, title)
    figures.confusion_figure(folder / "confusion.png", own.confusion, evaluation.classes, title)
    bins = {called: summary.bins for called, summary in summaries.items()}
    figures.reliability_figure(folder / "reliability.png", bins, claimed(evaluation.classes), looks, title)
    return ["roc.png", "confusion.png", "reliability.png"]


def _called(evaluation: Evaluation, name: str, baseline: str) -> dict[str, str]:
    """Name of a curve -> scores that it is of."""
    return {name if scores == NETWORK else baseline: scores for scores in evaluation.scored}


def claimed(names: Sequence[str]) -> str:
    """What the probability in a reliability diagram is of."""
    return f"class {figures.short(names[1])}" if len(names) == 2 else "the predicted class"


def two_class_figure(
    path: Path,
    images: Mapping[str, Images],
    summaries: Mapping[str, Summary],
    names: Sequence[str],
    looks: Mapping[str, plotting.Style],
    title: str,
) -> None:
    """ROC curves of class 1 by several nets, with error bars at the specificities where there are few curves."""
    few = len(images) <= BARRED
    curves = {
        name: Curve(
            *classes.roc_curve(own, 1),
            f"{name}: {estimate_text(summaries[name].auc)}",
            summaries[name].sensitivities[1] if few else (),
        )
        for name, own in images.items()
    }
    note = f"positive: {figures.short(names[1])}; area under the curve, 95 % interval"
    figures.roc_figure(path, curves, looks, title, note)


def curves(folder: Path, material: Material) -> Section:
    study, seed = material.study, material.study.main_seed
    own = material.summaries[seed]
    groups = f"{material.deepest.result.test['images']} test {material.word}s, seed {seed}; {BY_GROUP}"
    if len(material.classes) == 2:
        few = {name: material.main[name] for name in representative(material)}
        two_class_figure(folder / "roc.png", few, own, material.classes, material.looks, material.title)
        two_class_figure(folder / "roc_all.png", material.main, own, material.classes, material.looks, material.title)
        captions = {
            "roc.png": f"ROC curves of representative nets. {groups}.",
            "roc_all.png": f"ROC curves of all nets. {groups}.",
        }
        return Section("ROC curves", [Figure(file, caption, MADE_BY) for file, caption in captions.items()])
    curves = {
        name: Curve(
            figures.GRID,
            classes.sensitivities_along(images, figures.GRID).mean(axis=0),
            f"{name}: {estimate_text(own[name].auc)}",
        )
        for name, images in material.main.items()
    }
    note = "mean one-against-rest AUC, 95 % interval"
    figures.roc_figure(folder / "roc.png", curves, material.looks, material.title, note)
    name = study.name(material.deepest)
    summary = own[name]
    figures.classes_figure(
        folder / "roc_by_class.png",
        material.main[name],
        material.classes,
        summary.areas,
        summary.auc,
        f"{name}, {material.title}",
    )
    mean = "The mean over classes of the sensitivity at each share of false positives"
    return Section(
        "ROC curves",
        [
            Figure("roc.png", f"ROC curves of all nets. {mean}. {groups}.", MADE_BY),
            Figure("roc_by_class.png", f"ROC curves of {name} by class, each against all others. {groups}.", MADE_BY),
        ],
    )


def representative(material: Material) -> list[str]:
    """The shallowest and the deepest tuned net, a net from scratch, and the baseline."""
    study = material.study
    tuned = [name for name in study.depths if name in study.main]
    scratch = [name for name in study.scratch if name in study.main]
    chosen = dict.fromkeys([*tuned[:1], *tuned[-1:], *scratch[:1]])
    return [*chosen, *([material.baseline] if material.baseline in material.main else [])] or list(material.main)[:1]


def confusion(folder: Path, material: Material) -> Section:
    name = material.study.name(material.deepest)
    own = material.summaries[material.study.main_seed][name]
    figures.confusion_figure(folder / "confusion.png", own.confusion, material.classes, f"{name}, {material.title}")
    caption = (
        f"Confusion matrix of {name}, seed {material.study.main_seed}. Rows: the true class; the most probable class is"
        " the predicted one. Colour: share of the row. confusion.csv in each run's folder has all counts."
    )
    return Section("Confusion", [Figure("confusion.png", caption, (classes.confusion,))])


def reliability(folder: Path, material: Material) -> Section:
    name, own = material.study.name(material.deepest), material.summaries[material.study.main_seed]
    shown = [name, *([material.baseline] if material.baseline in own else [])]
    bins = {called: own[called].bins for called in shown}
    title = f"{name}, {material.title}"
    figures.reliability_figure(folder / "reliability.png", bins, claimed(material.classes), material.looks, title)
    rows = [
        (called, estimate_text(summary.brier), f"{calibration.expected_error(list(summary.bins)):.3f}")
        for called, summary in own.items()
    ]
    scale = "0 to 1" if len(material.classes) == 2 else "0 to 2, summed over classes"
    caption = (
        f"Reliability diagram of {name}, seed {material.study.main_seed}. Observed shares against the probability of"
        f" {claimed(material.classes)}, in ten bins; bars: {BY_GROUP}. On the diagonal, probabilities are right."
    )
    text = (
        f"Brier score ({scale}; 0 is best) and expected calibration error. Nets are trained on balanced patches, so"
        " their probabilities belong to balanced classes, whatever the test's are."
    )
    made_by = (calibration.brier, calibration.expected_error)
    table = Table(("", "Brier score", "calibration error"), rows, made_by=made_by)
    return Section("Calibration", [Figure("reliability.png", caption, (calibration.reliability,)), text, table])
