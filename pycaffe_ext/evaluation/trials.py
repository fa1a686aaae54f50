"""Simulations of many worlds on all cores, with an estimate of how long they take."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any


@dataclass(frozen=True)
class Block:
    """A world that is drawn `repetitions` times.  work : number of the repetition -> what came of it; both picklable"""

    title: str
    work: Callable[[int], Any]
    repetitions: int


def run(
    blocks: Sequence[Block], title: str, workers: int | None = None, progress: bool = True
) -> Iterator[tuple[Block, list[Any]]]:
    """Each block with what came of its repetitions, in order of their numbers, as soon as it is done.

    The first repetitions of all blocks come first: from what they take the time is estimated.
    workers : processes, None = one per core        progress : a line on standard error after each block says how much
    time is left
    """
    from pycaffe_ext.processes import map_processes  # late: they load arrays, which --help need not
    from pycaffe_ext.threads import cores

    workers = cores() if workers is None else workers
    jobs = [(i, 0) for i in range(len(blocks))]
    jobs += [(i, n) for i, block in enumerate(blocks) for n in range(1, block.repetitions)]
    found: list[list[Any]] = [[] for _ in blocks]
    clock = _Clock([block.repetitions for block in blocks], workers)
    results = map_processes(partial(_timed, tuple(blocks)), jobs, title, workers, progress, unit="trial", chunk=2)
    for (i, _), (seconds, outcome) in zip(jobs, results, strict=True):
        found[i].append(outcome)
        clock.add(i, seconds)
        if progress and clock.all_known_at == clock.done:
            print(f"{title}: {len(blocks)} worlds, {clock}", file=sys.stderr, flush=True)
        if len(found[i]) == blocks[i].repetitions:
            if progress:
                print(f"{title}: {blocks[i].title} done, {clock}", file=sys.stderr, flush=True)
            yield blocks[i], found[i]


class _Clock:
    """How much time is left, by the mean time of each block's repetitions so far."""

    def __init__(self, repetitions: Sequence[int], workers: int) -> None:
        self.repetitions, self.workers = repetitions, workers
        self.seconds, self.count = [0.0] * len(repetitions), [0] * len(repetitions)
        self.all_known_at, self.start = len(repetitions), time.monotonic()

    @property
    def done(self) -> int:
        return sum(self.count)

    def add(self, block: int, seconds: float) -> None:
        self.seconds[block] += seconds
        self.count[block] += 1

    def __str__(self) -> str:
        parts = zip(self.seconds, self.count, self.repetitions, strict=True)
        left = sum(seconds / count * (of - count) for seconds, count, of in parts if count) / self.workers
        passed = time.monotonic() - self.start
        return f"{passed / 60:.1f} minutes so far, about {left / 60:.1f} left"


def _timed(blocks: tuple[Block, ...], job: tuple[int, int]) -> tuple[float, Any]:
    started = time.perf_counter()
    outcome = blocks[job[0]].work(job[1])
    return time.perf_counter() - started, outcome
