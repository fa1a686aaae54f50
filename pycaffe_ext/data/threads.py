"""Work on threads whose results come back in order, with a bounded number of them in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

import cv2

J = TypeVar("J")
R = TypeVar("R")


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
