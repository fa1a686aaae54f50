"""Work on threads whose results come back in order, with a bounded number of them in memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

import cv2

J = TypeVar("J")
R = TypeVar("R")
LIMIT = "PYCAFFE_EXT_THREADS"  # environment variable, so that processes started by this one inherit the bound


def cores() -> int:
    """Threads or processes that work side by side: as THREADS= says, else one per core."""
    return int(os.environ.get(LIMIT) or os.cpu_count() or 1)


@contextmanager
def at_most(threads: int | None) -> Iterator[None]:
    """Bound `cores`, OpenCV's threads and those of the libraries of processes started in the block; None: no bound."""
    if threads is None:
        yield
        return
    names = (LIMIT, "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before, of_opencv = {name: os.environ.get(name) for name in names}, cv2.getNumThreads()
    os.environ.update(dict.fromkeys(names, str(threads)))
    cv2.setNumThreads(threads)
    try:
        yield
    finally:
        cv2.setNumThreads(of_opencv)
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def in_order(work: Callable[[J], R], jobs: Iterable[J], workers: int) -> Iterator[R]:
    """Results of `work` on threads in the order of `jobs`, with at most workers + 1 jobs ahead of the reader."""
    jobs = iter(jobs)
    with ThreadPoolExecutor(workers) as pool:
        ahead = deque(pool.submit(work, job) for job in islice(jobs, workers + 1))
        try:
            while ahead:
                yield ahead.popleft().result()
                ahead.extend(pool.submit(work, job) for job in islice(jobs, 1))
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def one_thread_each() -> Iterator[None]:
    """OpenCV on one thread per call: the jobs are what runs in parallel."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
