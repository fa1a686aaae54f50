"""The paper's procedure, replayed on the depths that a grid has trained: does it find the best of them, at what cost?

It starts with the shallowest depth of the grid and takes one depth more at a time until validation has stopped growing
(`evaluation.deepening`); no test case has a part in that.  What it comes to is compared with the depth that all of the
grid's depths together would have been chosen by: the one with the highest validation AUC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.deepening import Step, chosen, growth, procedure
from pycaffe_ext.report.grid.material import Panel
from pycaffe_ext.runs import rescoring
from pycaffe_ext.runs.costs import spent
from pycaffe_ext.runs.finished import RunFiles

LEAST_DEPTHS = 3  # with two, there is one step, and nothing to stop before


@dataclass(frozen=True)
class Replay:
    """What the procedure comes to with one seed (or fold) at one fraction.

    steps : the depths that it tries.   best : of all depths by validation AUC, the shallowest of equals
    lost : validation AUC that its choice has less than the best.   test_lost : the same of the test's figure, in which
    more is better; it may be below 0.   part : of the time that all depths took, what those took that it tried
    """

    trial: int
    steps: tuple[Step, ...]
    best: str
    lost: float
    test_lost: float
    part: float

    @property
    def choice(self) -> str:
        return chosen(self.steps).name

    @property
    def found(self) -> bool:
        return self.choice == self.best


@dataclass(frozen=True)
class Replays:
    """Those of one panel at one fraction.  depths : shallow to deep.   without : trials left out, with the reason"""

    fraction: str
    depths: tuple[str, ...]
    made: tuple[Replay, ...]
    without: tuple[str, ...] = ()


def replays(panel: Panel) -> list[Replays]:
    """At each fraction; none where the grid has fewer than LEAST_DEPTHS depths."""
    if len(panel.depths) < LEAST_DEPTHS:
        return []
    return [_at(panel, fraction) for fraction in panel.evidence.fractions]


def _at(panel: Panel, fraction: str) -> Replays:
    made, without = [], []
    runs = [run for run in panel.at(fraction) if run.settings.scheme in panel.depths]
    for row, trial in enumerate(sorted({run.settings.trial for run in panel.runs})):
        own = [run for run in runs if run.settings.trial == trial]
        try:
            made.append(_replay(panel, fraction, row, own))
        except UserError as error:
            without.append(f"{panel.trial} {trial}: {error}")
    return Replays(fraction, tuple(panel.depths), tuple(made), tuple(without))


def _replay(panel: Panel, fraction: str, row: int, runs: Sequence[RunFiles]) -> Replay:
    """Of the runs of one trial, which has this row in the evidence's figure.

    Raises UserError where a depth has no finished run or no kept scores, or validation too few groups.
    """
    by_name = {run.settings.scheme: run for run in runs}
    if missing := [name for name in panel.depths if name not in by_name]:
        raise UserError(f"{', '.join(missing)} not finished")
    auc = {name: by_name[name].result.best.validation_auc for name in panel.depths}
    scored = {name: rescoring.kept_validation(by_name[name]) for name in panel.depths}
    tried = [(name, auc[name], one) for name, one in scored.items() if one is not None]
    if len(tried) < len(scored):
        raise UserError("the runs are of a version that did not keep their validation scores; repeat make study")
    value = panel.first.application.metric.validation
    grew_by = partial(growth, value, seed=runs[0].settings.request.seed)
    steps = tuple(step for step, _ in procedure(tried, grew_by))
    best, choice = max(panel.depths, key=auc.__getitem__), chosen(steps).name
    seconds = {name: spent(by_name[name].record.cost) for name in panel.depths}
    part = sum(seconds[step.name] for step in steps) / (sum(seconds.values()) or 1)
    columns = [panel.evidence.column(name, fraction) for name in (best, choice)]
    of_best, of_choice = panel.evidence.figure.values[row, columns].tolist()
    return Replay(runs[0].settings.trial, steps, best, auc[best] - auc[choice], of_best - of_choice, part)
