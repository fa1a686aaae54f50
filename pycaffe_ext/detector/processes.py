"""Work on frames by processes whose results come back in order."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Any

import cv2

from pycaffe_ext.errors import UserError
from pycaffe_ext.progress import bar

_work: Callable[[Any], Any] | None = None  # of this process: sent once, not with every job


def map_processes(
    work: Callable[[Any], Any], jobs: Sequence[Any], title: str, workers: int | None = None, progress: bool = True
) -> Iterator[Any]:
    """Results of `work` in the order of `jobs`, by spawned processes (default: one per core) or, if 1, in this one.

    A bar appears after two seconds. Raises UserError if a process is killed, and what `work` raises.
    """
    workers = min(os.cpu_count() or 1 if workers is None else workers, len(jobs))
    shown = partial(bar, title=title, total=len(jobs), unit="frame", progress=progress)
    if workers <= 1:
        yield from shown(map(work, jobs))
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, spawn, initializer=_begin, initargs=(work,)) as pool:
        try:
            yield from shown(pool.map(_do, jobs, chunksize=4))
        except BrokenProcessPool:
            raise UserError(f"{title}: a process was killed, perhaps for want of memory; use fewer") from None
        finally:
            pool.shutdown(cancel_futures=True)


def _begin(work: Callable[[Any], Any]) -> None:
    global _work
    _work = work
    cv2.setNumThreads(1)


def _do(job: Any) -> Any:
    return _work(job)
