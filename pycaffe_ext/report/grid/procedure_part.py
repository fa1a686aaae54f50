"""Part of a grid's page: how often the paper's procedure finds the best of the depths, and what its choice loses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_ext.evaluation.deepening import STEPS, growth, procedure
from pycaffe_ext.evaluation.intervals import clopper_pearson
from pycaffe_ext.progress import bar
from pycaffe_ext.report.grid.material import Material, Panel, data_text
from pycaffe_ext.report.grid.procedure import LEAST_DEPTHS, Replays, replays
from pycaffe_ext.report.model import Block, Bullets, Section, Table

HEADER = (
    "about",
    "training data",
    "depths",
    "trainings",
    "best depth found [95 %]",
    "it came to",
    "validation AUC lost",
    "lost in the test",
    "part of the time",
)
ABOUT = (
    "The paper tunes the last layer first and includes one more at a time until it no longer helps. Here that is"
    f" replayed on the depths of the study, with each seed: it ends after {STEPS} steps in a row that do not raise the"
    " validation AUC by more than one standard error, and chooses the last that did. The best depth is the one with the"
    " highest validation AUC of all; what is lost is what the choice has less than it, in the mean over seeds with the"
    " least and the most, in the test by the figure of merit (below 0: the choice is better there). The part of the"
    " time is that of the depths that it tries in the time of all."
)


def section(material: Material) -> Section:
    """A line for each application, net and amount of data with enough depths."""
    rows, reasons = [], []
    for panel in bar(material.panels, "replaying the paper's procedure", unit="panel"):
        found = replays(panel)
        if not found:
            reasons.append(f"{panel.title}: {len(panel.depths)} depths; it takes {LEAST_DEPTHS}")
        for own in found:
            rows += [_row(panel, own)] if own.made else []
            where = f"{panel.title}, {data_text(own.fraction)}"
            reasons += [f"{where}, {reason}" for reason in own.without]
    blocks: list[Block] = [ABOUT] if rows else ["The paper's procedure could not be replayed on any application."]
    blocks += [Table(HEADER, rows, made_by=(procedure, growth))] if rows else []
    blocks += [Bullets(reasons)] if reasons else []
    return Section("The paper's procedure: one layer more at a time", blocks)


def _row(panel: Panel, own: Replays) -> tuple[object, ...]:
    hits, count = sum(one.found for one in own.made), len(own.made)
    ends = clopper_pearson(hits, count)
    choices = [one.choice for one in own.made]
    merit = panel.evidence.merit
    unit = "" if merit.unit == "AUC" else f" {merit.unit}"
    return (
        panel.title,
        data_text(own.fraction),
        len(own.depths),
        count,
        f"{hits} of {count} [{ends.low:.2f}, {ends.high:.2f}]",
        ", ".join(f"{name} ({choices.count(name)})" for name in own.depths if name in choices),
        _spread([one.lost for one in own.made]),
        _spread([one.test_lost for one in own.made]) + unit,
        _spread([one.part for one in own.made], 2),
    )


def _spread(values: Sequence[float], digits: int = 3) -> str:
    """The mean, and the least and the most where there are several."""
    mean, *ends = (
        f"{round(float(value), digits) + 0.0:.{digits}f}" for value in (np.mean(values), min(values), max(values))
    )
    return f"{mean} [{', '.join(ends)}]" if len(values) > 1 else mean
