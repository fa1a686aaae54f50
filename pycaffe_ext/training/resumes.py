"""Trainings that were interrupted and gone on with: what run.json and result.json hold of it, and how it is put.

A resumed training reads its data from the first record again and draws other random numbers, so its outcome is not
what its seed gives undisturbed.  One that begins again from the first iteration is.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TypedDict

EFFECT = "need not be what the seed gives undisturbed"


class Resume(TypedDict):
    """iteration : updates that count when training goes on;  solverstate : its file's name, None where training begins
    again from the start;  time : ISO 8601, with the zone;  caffe : version of the engine that goes on."""

    iteration: int
    solverstate: str | None
    time: str
    caffe: str


def resume(iteration: int, state: Path | None, caffe: str) -> Resume:
    """The record of a training that goes on now."""
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    return Resume(iteration=iteration, solverstate=state.name if state else None, time=now, caffe=caffe)


def disturbing(resumes: Sequence[Resume]) -> list[int]:
    """The iterations at which a training was resumed since it last began from the start."""
    began = [i for i, one in enumerate(resumes) if one["solverstate"] is None]
    return [one["iteration"] for one in resumes[began[-1] + 1 if began else 0 :]]


def text(resumes: Sequence[Resume]) -> str:
    """What a reader of a run's numbers must know, "" if it was never interrupted."""
    again, at = sum(one["solverstate"] is None for one in resumes), disturbing(resumes)
    said = [f"begun again from iteration 0 {_times(again)}"] if again else []
    if at:
        said.append(f"resumed {_times(len(at))} at iteration {' and '.join(map(str, at))}: the numbers {EFFECT}")
    return "; ".join(said)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
