"""Which work is shared between threads, and how.

A batch is worked on item by item, several items at once: what an item needs stays in its core's cache.  Splitting each
small operation over the cores costs more than the operation when other programs run too: all threads wait for the
last, and that one for its turn on a core (a rectifier of 800 000 values: 0.1 ms alone, 30 ms split on a busy machine).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache

import torch

FEW = 1 << 22  # operations that one thread does in a fraction of a millisecond


@contextmanager
def one_thread(wanted: bool = True) -> Iterator[None]:
    """Within it torch works on the calling thread alone, if that is `wanted`."""
    threads = torch.get_num_threads()
    if not wanted or threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def for_each_item(work: Callable[[slice], None], items: int, device: torch.device) -> None:
    """Call `work` with slices of one item each, on as many threads as torch may use; on a GPU once, with all."""
    if device.type != "cpu" or items <= 1:
        work(slice(0, items))
        return
    workers = min(torch.get_num_threads(), items)
    if workers == 1:
        _run(work, range(items))
        return
    shares = [range(i, items, workers) for i in range(workers)]
    list(_pool(workers).map(lambda share: _run(work, share), shares))


def _run(work: Callable[[slice], None], share: range) -> None:
    for i in share:
        work(slice(i, i + 1))


@cache
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, initializer=lambda: torch.set_num_threads(1))
