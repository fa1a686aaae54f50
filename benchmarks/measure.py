"""Alternating samples: rival, ours, rival, ours, ...; the first of each warm up and are thrown away."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import ExitStack
from statistics import median

from benchmarks.rows import OURS, Experiment, Lab, Row
from pycaffe_ext.errors import UserError

Samples = dict[str, dict[str, list[float]]]  # row -> side ("ours" or the rival's name) -> values in order of time


def samples_needed(experiment: Experiment, lab: Lab) -> int:
    """How often `measure` calls `tick`."""
    return (experiment.warm_ups + lab.runs) * (1 if experiment.rival is None else 2)


def measure(experiment: Experiment, lab: Lab, tick: Callable[[], object] = lambda: None) -> Samples:
    """lab.runs values of each row on each side; UserError unless every value is a positive number."""
    sides = {OURS: experiment.ours}
    if experiment.rival is not None:
        sides = {experiment.rival_name: experiment.rival, **sides}
    taken: Samples = {row.name: {side: [] for side in sides} for row in experiment.rows}
    with ExitStack() as stack:
        samplers = {name: stack.enter_context(side(lab)) for name, side in sides.items()}
        for turn in range(experiment.warm_ups + lab.runs):
            for side, sample in samplers.items():
                values = sample()
                for row, value in zip(experiment.rows, values, strict=True):
                    if turn >= experiment.warm_ups:
                        taken[row.name][side].append(_positive(row, side, value))
                tick()
    return taken


def advantage(row: Row, rival: list[float], ours: list[float]) -> float:
    """How many times better the median of `ours` is than that of `rival`; above 1: ours is the better one."""
    ratio = median(rival) / median(ours)
    return ratio if row.better == "less" else 1 / ratio


def is_met(row: Row, rival: list[float], ours: list[float]) -> bool | None:
    """Whether the row's target, margin or limit is met; None if it has none."""
    if row.limit is not None:
        return median(ours) < row.limit if row.better == "less" else median(ours) >= row.limit
    if row.margin is not None:
        return median(ours) <= median(rival) + row.margin
    return None if row.target is None else advantage(row, rival, ours) >= row.target


def _positive(row: Row, side: str, value: float) -> float:
    if not (math.isfinite(value) and value > 0):
        raise UserError(f"{row.name}, {side}: measured {value} {row.unit}, which is not a positive number")
    return value
