"""What the page of a grid is made from: its finished runs, application by application, and what they come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite, sqrt
from typing import NamedTuple

import numpy as np

from pycaffe_ext.data.fractions import ALL
from pycaffe_ext.evaluation.findings.model import Evidence, Findings
from pycaffe_ext.evaluation.folds import in_folds
from pycaffe_ext.evaluation.intervals import Interval, all_alike, t_quantile
from pycaffe_ext.evaluation.seeds import Limits, scheme_interval, set_out
from pycaffe_ext.runs.finished import RunFiles, Study
from pycaffe_ext.runs.summary import EMBEDDED
from pycaffe_ext.schemes import SCRATCH, STAGES, is_depth


class Unfinished(NamedTuple):
    """A run of the grid without a result.  state : "waiting", "failed: what it said last" """

    title: str
    state: str


class Value(NamedTuple):
    """A figure of one scheme at one fraction, as readers know it.  low, high : its 95 % interval, None where there is
    none.   basis : what mean and interval are by, in words"""

    mean: float
    low: float | None
    high: float | None
    basis: str

    @property
    def text(self) -> str:
        ends = "" if self.low is None or self.high is None else f" [{self.low:.3f}, {self.high:.3f}]"
        return f"{self.mean:.3f}{ends}"


@dataclass(frozen=True)
class Panel:
    """One application with one data set and one net.  runs : the finished ones, of all fractions and seeds."""

    evidence: Evidence
    runs: tuple[RunFiles, ...]

    @property
    def first(self) -> RunFiles:
        return self.runs[0]

    @property
    def data_name(self) -> str:
        """The data set in a few words, which say so where it is synthetic."""
        return self.first.application.data_name(self.first.settings.request)

    @property
    def title(self) -> str:
        return f"{self.evidence.title} ({self.data_name})"

    @property
    def synthetic(self) -> bool:
        """Whether a program has drawn the data."""
        return not self.first.settings.request.data

    @property
    def embedded(self) -> bool:
        """Whether a net starts from the donor that did not see ImageNet."""
        return any(EMBEDDED in run.result.donor for run in self.runs)

    @property
    def basis(self) -> str:
        """What the figures of all runs together are by, in words."""
        return self.basis_of(self.evidence.seeds)

    def basis_of(self, trials: int) -> str:
        """The same of some of them; trials : seeds, or folds of seeds"""
        return f"{trials} {self.trial}{'s' * (trials != 1)}, {self.evidence.figure.groups} test groups"

    @property
    def in_folds(self) -> bool:
        return in_folds(self.evidence.figure.trials)

    @property
    def trial(self) -> str:
        """What a scheme was trained several times by: "seed" or "fold"."""
        return "fold" if self.in_folds else "seed"

    @property
    def depths(self) -> list[str]:
        """Names of the fine-tunings of one depth each, shallow to deep."""
        return [own.name for own in self.evidence.schemes if is_depth(own.name)]

    @property
    def others(self) -> list[str]:
        """Names of the schemes that are no depth: from scratch, and any other."""
        return [own.name for own in self.evidence.schemes if own.name not in self.depths]

    @property
    def largest(self) -> str:
        """The largest fraction with a finished run."""
        return next(fraction for fraction in self.evidence.fractions if self.at(fraction))

    @cached_property
    def study(self) -> Study:
        """The runs at the largest fraction, as the parts of other reports take them."""
        return Study(tuple(self.at(self.largest)), self.evidence.net)

    @cached_property
    def every(self) -> Study:
        """The runs of all amounts of data, for what does not depend on it: seeds, splits, test sets."""
        return Study(self.runs, self.evidence.net)

    def at(self, fraction: str, scheme: str | None = None) -> list[RunFiles]:
        """The runs of a fraction, or of one scheme at it, from shallow to deep and seed by seed."""
        order = [own.name for own in self.evidence.schemes]
        found = [
            run
            for run in self.runs
            if run.settings.request.fraction == fraction and (scheme is None or run.settings.scheme == scheme)
        ]
        return sorted(found, key=lambda run: (order.index(run.settings.scheme), run.settings.trial))

    @property
    def direction(self) -> str:
        """What a reader must know of the figure's direction, "" where more is better."""
        return "" if self.evidence.merit.higher_is_better else " (lower is better)"

    def value(self, scheme: str, fraction: str) -> Value | None:
        """The figure of a scheme over its seeds; None where no run of it is finished."""
        return self._over_seeds(self.evidence.column(scheme, fraction))

    def finished_text(self, scheme: str, fraction: str) -> str:
        """How often a scheme has been trained at a fraction: "1 seed", "no finished run"."""
        count = self.evidence.finished(scheme, fraction)
        return f"{count} {self.trial}{'s' * (count != 1)}" if count else "no finished run"

    def not_compared(self, schemes: Sequence[str], fraction: str) -> str:
        """Schemes that were left out of a comparison, each with the reason; "" for none, and where all were, which has
        a reason of its own."""
        if not schemes or len(schemes) == len(self.evidence.schemes):
            return ""
        return f"not compared: {', '.join(f'{name} ({self.finished_text(name, fraction)})' for name in schemes)}"

    @property
    def margin_text(self) -> str:
        """The margin of non-inferiority, and where it comes from."""
        merit = self.evidence.merit
        default = self.first.application.metric.merit(self.first.evaluation).margin
        source = "the default for this figure" if merit.margin == default else "given as MARGIN in the study file"
        return f"{merit.margin:g} {merit.unit}, {source}"

    @property
    def alone(self) -> str:
        """What the hand-crafted baseline is called beside nets, "" where there is none."""
        return f"{self.evidence.baseline} alone" if self.evidence.baseline else ""

    @cached_property
    def baseline(self) -> Value | None:
        """Of the hand-crafted baseline over the seeds, the same at all fractions; None where there is none."""
        if not self.evidence.baseline:
            return None
        column, figure = self.evidence.figure.values.shape[1] - 1, self.evidence.figure
        if np.ptp(figure.values[:, column]) > 0 or self.in_folds:
            return self._over_seeds(column)
        return self._once(column, 0, f"one test set, {figure.groups} test groups")

    def _over_seeds(self, column: int) -> Value | None:
        figure, limits = self.evidence.figure, self.evidence.merit.limits
        rows = np.flatnonzero(np.isfinite(figure.values[:, column]))
        if not rows.size:
            return None
        mean, basis = float(figure.values[rows, column].mean()), self.basis_of(rows.size)
        covariance = figure.covariance[:, column, :, column][np.ix_(rows, rows)]
        if rows.size == 1:
            return self._once(column, int(rows[0]), basis)
        trials = [figure.trials[row] for row in rows.tolist()] if figure.trials else ()
        if not (np.isfinite(covariance).all() or in_folds(trials)):
            return self._value(mean, None, basis)
        over = scheme_interval(figure, column, 0.0, limits)
        ends = None if over.low is None or over.high is None else Interval(over.low, over.high)
        return self._value(over.mean, ends, basis)

    def _once(self, column: int, row: int, basis: str) -> Value:
        """What was tested once, with its interval for other test groups alone."""
        figure = self.evidence.figure
        mean, variance = float(figure.values[row, column]), float(figure.covariance[row, column, row, column])
        return self._value(mean, _of_cases(mean, variance, figure.effective_groups, self.evidence.merit.limits), basis)

    def _value(self, mean: float, ends: Interval | None, basis: str) -> Value:
        shown = self.evidence.merit.shown
        low, high = sorted(map(shown, ends)) if ends else (None, None)
        return Value(shown(mean), low, high, basis)


def _of_cases(mean: float, variance: float, groups: float, limits: Limits) -> Interval | None:
    """Of a single training: for other test groups alone."""
    if not (isfinite(variance) and variance > 0 and groups > 1):
        return None
    return set_out(mean, t_quantile(groups) * sqrt(variance), limits, all_alike(groups))


@dataclass(frozen=True)
class Material:
    """name, file : of the study, and the text of its file.   cells : how many runs it has.   unfinished : those of
    them without a result."""

    name: str
    file: str
    panels: tuple[Panel, ...]
    findings: Findings
    cells: int
    unfinished: tuple[Unfinished, ...] = ()

    @property
    def runs(self) -> list[RunFiles]:
        """Each once: panels of two donors share the trainings from scratch."""
        return list({run.folder: run for panel in self.panels for run in panel.runs}.values())

    def panel(self, title: str) -> Panel:
        """That of the evidence with this title."""
        return next(panel for panel in self.panels if panel.evidence.title == title)


def data_text(fraction: str) -> str:
    """A fraction in words: "all data", "1/4 of the data"."""
    return "all data" if fraction == ALL else f"{fraction} of the data"


def scheme_text(scheme: str, net: str) -> str:
    """A scheme in words: "tuning the last layer only (ft-fc8)"."""
    stages: Sequence[str] = STAGES[net]
    if scheme in SCRATCH:
        return f"training from scratch ({scheme})"
    if not is_depth(scheme):
        return f"the scheme {scheme}"
    stage = scheme.removeprefix("ft-")
    if stage == stages[-1]:
        return f"tuning the last layer only ({scheme})"
    if stage == stages[0]:
        return f"tuning all layers ({scheme})"
    return f"tuning the layers from {stage} on ({scheme})"


def capital(text: str) -> str:
    """A text as the beginning of a sentence."""
    return text[:1].upper() + text[1:]
