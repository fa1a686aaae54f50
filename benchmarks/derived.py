"""Rows that are computed from other rows' results: nothing new is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from statistics import median

from benchmarks import nets, prefix
from benchmarks.results import Result
from benchmarks.rows import GENUINE, OURS, Row

Medians = Mapping[str, Mapping[str, float]]  # row -> side -> median
STEP_BATCH = 32


@dataclass(frozen=True)
class Derived:
    """A row whose value on each side follows from the medians of the rows `of`, all from one commit and machine."""

    row: Row
    of: tuple[str, ...]
    compute: Callable[[Medians], dict[str, float]]


def derive(derived: Derived, results: Mapping[str, Result]) -> Result | None:
    """Its result, dated as the oldest of its sources; None if one is missing, or they do not belong together."""
    if any(name not in results for name in derived.of):
        return None
    sources = [results[name] for name in derived.of]
    if len({(source.commit, source.machine, source.threads) for source in sources}) > 1:
        return None
    medians = {source.row: {side: median(taken) for side, taken in source.samples.items()} for source in sources}
    values = {side: [value] for side, value in derived.compute(medians).items()}
    oldest = min(sources, key=lambda source: source.date)
    runs, others = min(source.runs for source in sources), max(source.others for source in sources)
    return replace(oldest, row=derived.row.name, samples=values, runs=runs, others=others)


def _together(medians: Medians) -> dict[str, float]:
    return {side: prefix.EPOCH * sum(row[side] for row in medians.values()) for side in (GENUINE, OURS)}


def _share_of_a_step(medians: Medians) -> dict[str, float]:
    """Per cent of a training iteration's time that reading its images takes."""
    step = medians[f"train-{STEP_BATCH}"]
    return {side: 100 * STEP_BATCH / medians["reading"][side] / step[side] for side in (GENUINE, OURS)}


DERIVED = (
    Derived(
        Row("prefix-together", f"the nine configurations, an epoch ({nets.RECORDS} records) of each", "s", target=2.5),
        tuple(f"prefix-{scheme}" for scheme in prefix.CONFIGURATIONS),
        _together,
    ),
    Derived(
        Row("reading-share", f"reading a batch of {STEP_BATCH}, share of its training iteration", "%", limit=100),
        ("reading", f"train-{STEP_BATCH}"),
        _share_of_a_step,
    ),
)
