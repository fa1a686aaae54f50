"""What a reader of a grid's page must know of its runs: warnings, other precisions, interruptions, weak groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pycaffe_ext.engine.options import FAITHFUL
from pycaffe_ext.report import design_part, study_parts
from pycaffe_ext.report.grid.material import Panel, capital, data_text
from pycaffe_ext.runs.finished import RunFiles
from pycaffe_ext.training.resumes import EFFECT


def cautions(panel: Panel) -> Iterator[str]:
    """A line each, over the runs of all amounts of data."""
    lines = [*_unfaithful(panel), *_warnings(panel), *_resumed(panel), *_groups(panel)]
    return (f"{panel.title}: {line}" for line in lines)


def _unfaithful(panel: Panel) -> Iterator[str]:
    precisions = sorted({run.settings.training.precision for run in panel.runs} - {FAITHFUL})
    for precision in precisions:
        runs = [run for run in panel.runs if run.settings.training.precision == precision]
        yield (
            f"NOT FAITHFUL TO CAFFE: convolutions were not computed in {FAITHFUL} but in {precision} by"
            f" {runs_text(panel, runs)}"
        )


def _warnings(panel: Panel) -> Iterator[str]:
    """What the runs warned of, each text once."""
    runs: dict[str, list[RunFiles]] = {}
    for run in panel.runs:
        for text in dict.fromkeys(run.result.warnings):
            runs.setdefault(text, []).append(run)
    return (f"Warning by {runs_text(panel, warned)}: {text}" for text, warned in runs.items())


def _resumed(panel: Panel) -> Iterator[str]:
    if runs := [run for run in panel.runs if run.resumed_at]:
        texts = [f"{_title(panel, run)}, at iteration {study_parts.resumed_text(run)}" for run in runs]
        yield f"Resumed after an interruption, so that their numbers {EFFECT}: {'; '.join(texts)}"


def _groups(panel: Panel) -> Iterator[str]:
    """Of groups that are single pictures, and of seeds whose test sets are nearly one."""
    if design_part.single_pictures(panel.every):
        yield capital(design_part.SINGLE.format(item=panel.first.application.words[0]))
    yield from design_part.notes(panel.every)


def runs_text(panel: Panel, runs: Sequence[RunFiles]) -> str:
    """Which of a panel's runs these are."""
    if len(runs) == len(panel.runs):
        return "the only run" if len(runs) == 1 else f"all {len(runs)} runs"
    return f"{len(runs)} of {len(panel.runs)} runs ({'; '.join(_title(panel, run) for run in runs)})"


def _title(panel: Panel, run: RunFiles) -> str:
    own = run.settings
    return f"{own.scheme} with {data_text(own.request.fraction)}, seed {own.trial}"
