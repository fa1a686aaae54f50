"""What a run costs, in seconds and memory: kept in run.json, as result.json is the same each time."""

from __future__ import annotations

import resource
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

from pycaffe_ext.files import digest
from pycaffe_ext.runs.records import read_run, write_run

STAGES = ("prepare", "train", "test")


def add(folder: Path, stage: str, seconds: float) -> None:
    """Add to what run.json says of a stage."""
    _write(folder, stage, seconds, {})


def _write(folder: Path, stage: str, seconds: float, more: Mapping[str, float], **others: Any) -> None:
    """more : further costs.   others : other entries of run.json"""
    record = read_run(folder)
    spent = record.cost.get(stage, 0.0) + seconds
    write_run(folder, replace(record, cost={**record.cost, stage: round(spent, 2), **more}, **others))


@contextmanager
def counted(folder: Path, stage: str) -> Iterator[None]:
    """Add the seconds of the block, also one that is left by an error or an interrupt."""
    began = monotonic()
    try:
        yield
    finally:
        add(folder, stage, monotonic() - began)


def end(folder: Path, seconds: float, scored: int, weights: Path) -> None:
    """Add what the test took, how many patches it scored, the memory of all stages, and the hash of the weights."""
    more = {"scored": scored, "memory": peak_memory()}
    _write(folder, "test", seconds, more, weights=digest(weights))


def peak_memory() -> int:
    """The most bytes that this process has held, and the largest of those that it has started."""
    return 1024 * sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def seconds(cost: dict[str, float]) -> float:
    """Of all stages."""
    return sum(cost.get(stage, 0.0) for stage in STAGES)
