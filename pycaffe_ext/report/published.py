"""The runs of a study that the paper has too, as its claims take them: no chains of trainings."""

from __future__ import annotations

from pycaffe_ext.evaluation.convergence import Course
from pycaffe_ext.report.claims import Method
from pycaffe_ext.runs.finished import RunFiles, Study


def methods(study: Study) -> list[Method]:
    """The nets, in the order of the study."""
    return list({study.name(run): _method(study.name(run), run) for run in _runs(study)}.values())


def courses(study: Study) -> dict[str, dict[int, Course]]:
    """name -> seed -> its validation.   Raises UserError for a run without snapshots."""
    found: dict[str, dict[int, Course]] = {}
    for run in _runs(study):
        found.setdefault(study.name(run), {})[run.settings.trial] = _course(run)
    return found


def _runs(study: Study) -> list[RunFiles]:
    return [run for run in study.runs if run.is_depth or not run.tuned]


def _method(name: str, run: RunFiles) -> Method:
    donor = str(run.result.donor) if run.tuned else ""
    return Method(name, run.settings.scheme, run.settings.training.arch, str(run.record.resolved["width"]), donor)


def _course(run: RunFiles) -> Course:
    points = tuple((row.epoch, row.auc) for row in run.snapshots)
    return Course(points, run.settings.training.epochs, run.result.stopped_by == "patience")
