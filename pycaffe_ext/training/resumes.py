"""Trainings that were interrupted and gone on with: what run.json and result.json hold of it, and how it is put.

A resumed training reads its data from the first record again and draws other random numbers, so its outcome is not
what its seed gives undisturbed.  One that begins again from the first iteration is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NotRequired, TypedDict

EFFECT = "need not be what the seed gives undisturbed"


class Resume(TypedDict):
    """iteration : updates that count when training goes on;  solverstate : its file's name, None where training begins
    again from the start;  time : ISO 8601, with the zone;  caffe : version of the engine that goes on;  link : of a
    chain, the folder of the link, in which iterations are counted."""

    iteration: int
    solverstate: str | None
    time: str
    caffe: str
    link: NotRequired[str]


def resume(iteration: int, state: Path | None, caffe: str, link: str = "") -> Resume:
    """The record of a training that goes on now.   link : of a chain."""
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    made = Resume(iteration=iteration, solverstate=state.name if state else None, time=now, caffe=caffe)
    return Resume(**made, link=link) if link else made


def disturbing(resumes: Sequence[Resume]) -> list[int]:
    """The iterations at which a training was resumed since it last began from the start; of a chain, each link's."""
    return [one["iteration"] for one in _disturbing(resumes)]


def _disturbing(resumes: Sequence[Resume]) -> list[Resume]:
    counted: dict[str, list[Resume]] = {}
    for one in resumes:
        link = one.get("link", "")
        counted[link] = [*counted.get(link, []), one] if one["solverstate"] is not None else []
    return [one for own in counted.values() for one in own]


def text(resumes: Sequence[Resume]) -> str:
    """What a reader of a run's numbers must know, "" if it was never interrupted."""
    again, at = [one for one in resumes if one["solverstate"] is None], _disturbing(resumes)
    said = [
        f"begun again from iteration {place} {_times(count)}" for place, count in Counter(map(_place, again)).items()
    ]
    if at:
        places = " and ".join(map(_place, at))
        said.append(f"resumed {_times(len(at))} at iteration {places}: the numbers {EFFECT}")
    return "; ".join(said)


def _place(one: Resume) -> str:
    return f"{one['iteration']} of {one['link']}" if "link" in one else str(one["iteration"])


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
