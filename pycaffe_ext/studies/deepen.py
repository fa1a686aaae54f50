"""Deepening: tune the last layer, then one stage more at a time, until the validation figure has stopped growing.

Every depth is a run of its own: the process and folder of `make APP-SCHEME`.  So the procedure goes on where it was
stopped, and a study that holds all depths tells what it would have come to.  Depths start from the donor (ft-STAGE), or
from the snapshot that the depth before has chosen (gradual-STAGE), whose links are then taken from it.  The rule stands
in `evaluation.deepening`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pycaffe_ext.errors import UserError, known
from pycaffe_ext.evaluation.deepening import STEPS, Scored, Step, chosen, ended, growth, procedure
from pycaffe_ext.evaluation.intervals import Difference
from pycaffe_ext.report.tables import layout
from pycaffe_ext.runs import rescoring
from pycaffe_ext.runs.costs import spent
from pycaffe_ext.runs.finished import RunFiles
from pycaffe_ext.schemes import depths, unfreezing
from pycaffe_ext.studies.status import duration
from pycaffe_ext.training.command import Caffe

HEADER = ("depth", "validation AUC", "growth over the last that grew", "one standard error", "grew", "time")
TABLE = ("scheme", "validation_auc", "growth", "growth_low", "growth_high", "grew", "seconds")
STARTS = {  # FROM= -> the schemes of a net, shallow to deep, and what they start from
    "donor": (depths, "from the donor"),
    "last": (unfreezing, "from the last snapshot"),
}
Say = Callable[[str], None]


@dataclass(frozen=True)
class Course:
    """The depths that were tried, shallow to deep, each with its run; `depths` there are.   start : a key of STARTS."""

    steps: tuple[Step, ...]
    runs: tuple[RunFiles, ...]
    depths: int
    start: str = "donor"

    @property
    def seconds(self) -> float:
        return sum(spent(run.record.cost) for run in self.runs)


def schemes_of(arch: str, start: str) -> tuple[str, ...]:
    """The depths of a net, shallow to deep, that start as FROM= says; UserError for another word."""
    every, _ = STARTS[known(start, STARTS, "FROM")]
    return every(arch)


def deepen(
    schemes: Sequence[str], run: Callable[[str], RunFiles], caffe: Caffe, say: Say, start: str = "donor"
) -> Course:
    """Carry out depth after depth, by `run`, until the rule ends it, or there is no deeper one.

    Raises UserError for what a run finds wrong, and where validation has too few groups for the rule.
    """
    steps: list[Step] = []
    runs: list[RunFiles] = []

    def tried() -> Iterator[tuple[str, float, Scored]]:
        for scheme in schemes:
            runs.append(run(scheme))
            yield scheme, runs[-1].result.best.validation_auc, rescoring.of_validation(runs[-1], caffe)

    for step, grown in procedure(tried(), lambda before, after: _gain(runs[-1], before, after)):
        steps.append(step)
        say(step_text(step, grown))
    return Course(tuple(steps), tuple(runs), len(schemes), start)


def _gain(made: RunFiles, before: Scored, after: Scored) -> Difference:
    """UserError where the validation groups are too few to tell whether it grew."""
    try:
        return growth(made.application.metric.validation, before, after, made.settings.request.seed)
    except UserError as error:
        groups = np.unique(after.group).size
        raise UserError(
            f"{made.folder}: whether validation grew cannot be told from its {groups} groups ({error}); add groups, or"
            f" compare all depths with make {made.settings.app}"
        ) from None


def step_text(step: Step, grown: str = "") -> str:
    """A line for the terminal.   grown : the last depth that grew before it."""
    if step.growth is None:
        return f"{step.name}: validation AUC {step.value:.4f}"
    error = step.growth.value - step.growth.low
    verdict = "grew" if step.grew else "did not grow"
    return f"{step.name}: validation AUC {step.value:.4f}, {step.growth.value:+.4f} ± {error:.4f} to {grown}: {verdict}"


def rows(course: Course) -> list[tuple[object, ...]]:
    """Rows of course.csv (TABLE)."""
    ends = [step.growth[:3] if step.growth else ("", "", "") for step in course.steps]
    return [
        (step.name, step.value, *end, int(step.grew), spent(run.record.cost))
        for step, end, run in zip(course.steps, ends, course.runs, strict=True)
    ]


def text(course: Course, others: Sequence[RunFiles]) -> str:
    """What the procedure came to.  others : finished runs of the depths that it did not try."""
    lines = []
    for step, run in zip(course.steps, course.runs, strict=True):
        gain = step.growth
        numbers = ("-", "-") if gain is None else (f"{gain.value:+.4f}", f"{gain.value - gain.low:.4f}")
        took = duration(spent(run.record.cost))
        lines.append((step.name, f"{step.value:.4f}", *numbers, "yes" if step.grew else "no", took))
    found = chosen(course.steps)
    tried = f"{len(course.steps)} of {course.depths} depths"
    why = f"{STEPS} steps did not grow" if ended(course.steps) else "there is no deeper one"
    said = [
        f"each depth {STARTS[course.start][1]} (FROM={course.start})",
        layout(HEADER, lines),
        f"depth: {found.name}, validation AUC {found.value:.4f}; ended as {why}, after {tried} in"
        f" {duration(course.seconds)}",
    ]
    if len(course.steps) + len(others) == course.depths and others:
        said.append(_against(found, course, others))
    return "\n".join(said)


def _against(found: Step, course: Course, others: Sequence[RunFiles]) -> str:
    """Against the grid of all depths, where all are finished."""
    every = [*course.runs, *others]
    best = max(every, key=lambda run: run.result.best.validation_auc)
    whole = sum(spent(run.record.cost) for run in every)
    lost = best.result.best.validation_auc - found.value
    return (
        f"all {course.depths} depths: {duration(whole)}, the best is {best.settings.scheme} with validation AUC"
        f" {best.result.best.validation_auc:.4f}, {lost:.4f} more"
    )
