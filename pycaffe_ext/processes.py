"""Work by processes whose results come back in order, and which end with the one that started them."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import connection, parent_process, resource_tracker
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any

import cv2

from pycaffe_ext.errors import UserError
from pycaffe_ext.interrupts import deaf
from pycaffe_ext.progress import bar
from pycaffe_ext.threads import cores

_work: Callable[[Any], Any] | None = None  # of this process: sent once, not with every job


def map_processes(
    work: Callable[[Any], Any],
    jobs: Sequence[Any],
    title: str,
    workers: int | None = None,
    progress: bool = True,
    *,
    unit: str = "frame",
    chunk: int = 4,
) -> Iterator[Any]:
    """Results of `work` in the order of `jobs`, by spawned processes (default: one per core) or, if 1, in this one.

    chunk : jobs that a process is sent at a time. A bar appears after two seconds. Raises UserError if a process is
    killed, and what `work` raises. Left by an error or an interrupt, it kills the processes; so does the end of this
    process, whatever ends it.
    """
    workers = min(cores() if workers is None else workers, len(jobs))
    shown = partial(bar, title=title, total=len(jobs), unit=unit, progress=progress)
    if workers <= 1:
        yield from shown(map(work, jobs))
        return
    with _pool(workers, work) as pool:
        try:
            with deaf():  # an interrupt between the start of a worker and that of the pool's thread would not be caught
                sent = deque(pool.submit(_do, jobs[at : at + chunk]) for at in range(0, len(jobs), chunk))
            yield from shown(_results(sent))
        except BrokenProcessPool:
            raise UserError(f"{title}: a process was killed, perhaps for want of memory; use fewer") from None


def _results(sent: deque[Future[list[Any]]]) -> Iterator[Any]:
    """In order, each chunk forgotten once it is read.

    Unlike the pool's own map, it cancels nothing when it is left: Python's pool reports the death of its processes to
    each job, and one that is cancelled by then ends the pool's thread with a traceback.
    """
    while sent:
        yield from sent.popleft().result()


@contextmanager
def _pool(workers: int, work: Callable[[Any], Any]) -> Iterator[ProcessPoolExecutor]:
    """Processes that do `work`; spawned, because a fork after OpenCV has started its threads would hang."""
    context = _Context()
    pool = ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(work,))
    try:
        yield pool
    except BaseException:
        for process in context.started:
            if process.pid is not None:  # it was started
                process.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


class _Worker(SpawnProcess):
    """A process that no signal to the whole group reaches, and that ends as soon as its parent has ended."""

    def start(self) -> None:
        resource_tracker.ensure_running()  # its start would lift the mask
        with deaf():
            super().start()

    def run(self) -> None:
        threading.Thread(target=_end_with_parent, daemon=True).start()
        super().run()


class _Context(SpawnContext):
    """Starts _Workers and knows them."""

    def __init__(self) -> None:
        self.started: list[_Worker] = []

    def Process(self, *args: Any, **options: Any) -> _Worker:  # type: ignore[override]  # noqa: N802 - multiprocessing's
        self.started.append(_Worker(*args, **options))
        return self.started[-1]


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
    os._exit(1)


def _begin(work: Callable[[Any], Any]) -> None:
    global _work
    _work = work
    cv2.setNumThreads(1)


def _do(jobs: Sequence[Any]) -> list[Any]:
    assert _work is not None, "a worker begins with _begin"
    return [_work(job) for job in jobs]
