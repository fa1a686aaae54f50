"""Parts of a grid's page: its figures, every scheme's results, and the list of runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pycaffe_ext.evaluation.seeds import seed_interval
from pycaffe_ext.report import study_parts
from pycaffe_ext.report.grid import answer, curves
from pycaffe_ext.report.grid.material import Material, Panel, data_text
from pycaffe_ext.report.model import Block, Bullets, Figure, Folded, Section, Table
from pycaffe_ext.runs.finished import RunFiles
from pycaffe_ext.runs.records import read_external, read_result

ALONE = (
    "What stands “alone” is the hand-crafted baseline on the same test items; it learns from all training groups,"
    " whatever the nets get, and has no validation AUC."
)
FIGURES: dict[str, tuple[Callable[[Path, Panel, int], Figure | None], str]] = {
    "Performance by depth of tuning": (curves.by_depth, "no finished run"),
    "Performance by amount of training data": (curves.by_fraction, "a single amount of data (FRACTION: in the file)"),
    "Validation AUC in training": (curves.convergence, "no deepest tuning and no training from scratch"),
}


def figures(folder: Path, material: Material) -> list[Section]:
    """Draw the figures of every application and net; a section each kind."""
    found = []
    for title, (draw, reason) in FIGURES.items():
        blocks: list[Block] = []
        for number, panel in enumerate(material.panels, 1):
            blocks.append(draw(folder, panel, number) or f"{panel.title}: no figure, {reason}.")
        found.append(Section(title, blocks))
    return found


def learning(folder: Path, material: Material) -> Section:
    """Figures of the schemes that count, and of every scheme what twice the data would bring."""
    blocks: list[Block] = [answer.TWICE]
    number = 0
    without: dict[tuple[str, str], list[str]] = {}
    for panel in material.panels:
        counted = _counted(material, panel)
        for curve in (own for own in material.findings.curves if own.about == panel.evidence.title):
            if not curve.doubling:
                without.setdefault((panel.title, curve.reason), []).append(curve.scheme)
            elif curve.scheme in counted:
                number += 1
                blocks.append(curves.learning(folder, panel, curve, number, answer.MADE_BY))
    blocks += [_doublings(material)] if number else []
    texts = [f"{title}, no curve of {', '.join(names)}: {reason}" for (title, reason), names in without.items()]
    texts += _left_out(material)
    return Section("What more data would bring", [*blocks, *([Bullets(texts)] if texts else [])])


def _left_out(material: Material) -> list[str]:
    """The amounts of data without a finished run, which a curve is therefore not fitted to."""
    return [
        f"{curve.about}, the curve of {curve.scheme} is without {', '.join(map(data_text, curve.missing))}:"
        " no finished run"
        for curve in material.findings.curves
        if curve.doubling and curve.missing
    ]


def _counted(material: Material, panel: Panel) -> set[str]:
    """The schemes whose curves are drawn: the recommended one, the deepest tuning, and from scratch."""
    evidence, advice = panel.evidence, answer.advice_of(material, panel)
    found = [own.name for own in (evidence.deepest, evidence.scratch) if own]
    return {*found, *([advice.scheme] if advice and advice.scheme else [])}


def _doublings(material: Material) -> Table:
    header = ("about", "scheme", "training data", "with these", "with twice as much", "gain [95 %]", "curve")
    rows = [
        (
            curve.about,
            curve.scheme,
            data_text(curve.base),
            f"{twice.now:.3f}",
            f"{twice.then:.3f}",
            answer.gain_text(twice),
            curve.form,
        )
        for curve in material.findings.curves
        if (twice := curve.doubling)
    ]
    return Table(header, rows, made_by=answer.MADE_BY)


def results(material: Material) -> Section:
    """Of every scheme and fraction: validation AUC, the figure of merit and the primary endpoint of single runs."""
    text = (
        f"{curves.INTERVALS}. The validation AUC is that of the chosen snapshot, the highest of its run; a mean over"
        " seeds, with the least and the most of them."
    )
    if any(panel.alone for panel in material.panels):
        text = f"{text} {ALONE}"
    return Section("Results of every scheme", [text, *(Section(p.title, [_results(p)]) for p in material.panels)])


def _results(panel: Panel) -> Table:
    evidence = panel.evidence
    header = ("scheme", "training data", f"{panel.trial}s", "validation AUC", "chosen epoch", evidence.merit.name, "by")
    rows = []
    for fraction in evidence.fractions:
        for scheme in evidence.schemes:
            runs, value = panel.at(fraction, scheme.name), panel.value(scheme.name, fraction)
            if runs and value:
                auc = _least_to_most([run.result.best.validation_auc for run in runs])
                epoch = np.mean([run.result.best.epoch for run in runs])
                of = data_text(fraction)
                rows.append((scheme.name, of, len(runs), auc, f"{epoch:.1f}", value.text, value.basis))
    if alone := panel.baseline:
        rows.append((panel.alone, "-", evidence.seeds, "-", "-", alone.text, alone.basis))
    return Table(header, rows, made_by=(seed_interval,))


def _least_to_most(values: Sequence[float]) -> str:
    """The mean, and what it is the mean of."""
    ends = f" [{min(values):.3f}, {max(values):.3f}]" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{ends}"


def runs(material: Material) -> Section:
    """Every finished run with its own primary endpoint, and the runs that are missing."""
    header = (
        "run",
        "training data",
        "seed",
        "iteration",
        "validation AUC",
        "test",
        "endpoint",
        "minutes",
        "resumed at",
    )
    blocks: list[Block] = []
    if material.unfinished:
        texts = [f"{own.title}: {own.state}" for own in material.unfinished]
        blocks += [f"{len(texts)} of {material.cells} runs are not finished:", Bullets(texts)]
    for panel in material.panels:
        finished = [run for fraction in panel.evidence.fractions for run in panel.at(fraction)]
        table = Table(header, list(map(_run_row, finished)), made_by=(read_result,))
        blocks.append(Folded(f"{len(finished)} runs of {panel.title}", [table, *_external(finished)]))
    return Section("Runs", blocks)


def _external(finished: Sequence[RunFiles]) -> list[Block]:
    """What the runs came to on other data sets (TEST_DATA=), where they were tested on any."""
    rows = []
    for run in finished:
        for record in run.externals:
            headline = run.application.metric.headline(record.test)
            where = data_text(run.settings.request.fraction)
            rows.append((run.settings.scheme, where, run.settings.trial, record.source, str(headline), headline.name))
    header = ("run", "training data", "seed", "tested on", "test", "endpoint")
    return ["Tested on other data:", Table(header, rows, made_by=(read_external,))] if rows else []


def _run_row(run: RunFiles) -> tuple[object, ...]:
    headline, cost = run.application.metric.headline(run.result.test), run.record.cost
    spent = sum(cost.get(stage, 0.0) for stage in ("train", "test")) / 60
    return (
        run.settings.scheme,
        data_text(run.settings.request.fraction),
        run.settings.trial,
        run.result.best.iteration,
        f"{run.result.best.validation_auc:.4f}",
        str(headline),
        headline.name,
        f"{spent:.1f}" if cost else "",
        study_parts.resumed_text(run),
    )
