"""What a run costs, in seconds and memory: kept in run.json, as result.json is the same each time."""

from __future__ import annotations

import resource
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

from pycaffe_ext.files import digest
from pycaffe_ext.runs.records import read_run, write_run

STAGES = ("prepare", "train", "test")
TAKEN = "taken"  # the part of "train" that another run spent, whose links were copied


def add(folder: Path, seconds: float, *stages: str) -> None:
    """Add to what run.json says of stages."""
    _write(folder, seconds, stages, {})


def _write(folder: Path, seconds: float, stages: Iterable[str], more: Mapping[str, float], **others: Any) -> None:
    """more : further costs.   others : other entries of run.json"""
    record = read_run(folder)
    spent = {stage: round(record.cost.get(stage, 0.0) + seconds, 2) for stage in stages}
    write_run(folder, replace(record, cost={**record.cost, **spent, **more}, **others))


@contextmanager
def counted(folder: Path, *stages: str) -> Iterator[None]:
    """Add the seconds of the block to stages, also of one that is left by an error or an interrupt."""
    began = monotonic()
    try:
        yield
    finally:
        add(folder, monotonic() - began, *stages)


def link_stage(name: str) -> str:
    """The part of "train" that a chain's link took; name : of its folder."""
    return f"train {name}"


def of_link(cost: Mapping[str, float], name: str) -> float:
    """Seconds of a link; of a single training those of "train"."""
    return cost.get(link_stage(name), cost.get("train", 0.0))


def end(folder: Path, seconds: float, scored: int, weights: Path) -> None:
    """Add what the test took, how many patches it scored, the memory of all stages, and the hash of the weights."""
    more = {"scored": scored, "memory": peak_memory()}
    _write(folder, seconds, ["test"], more, weights=digest(weights))


def peak_memory() -> int:
    """The most bytes that this process has held, and the largest of those that it has started."""
    return 1024 * sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def seconds(cost: Mapping[str, float]) -> float:
    """Of all stages, as if nothing had been copied from another run."""
    return sum(cost.get(stage, 0.0) for stage in STAGES)


def spent(cost: Mapping[str, float]) -> float:
    """Of all stages, without what another run had spent already: over runs these add up."""
    return seconds(cost) - cost.get(TAKEN, 0.0)
