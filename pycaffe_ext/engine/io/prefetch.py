"""A thread that keeps a few batches ahead of the solver, and memory for them that is used again and again."""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np


class Prefetcher:
    """Runs an endless iterator in a thread, at most `ahead` items in advance; `take` returns them in order.

    An error of the iterator is raised by `take`, once the items before it are taken.  The thread starts at the first
    `take` and ends with `close`, with the last reference to this object, or with the program.
    """

    def __init__(self, make_items: Callable[[], Iterator[Any]], ahead: int) -> None:
        self._items: queue.Queue[Any] = queue.Queue(maxsize=max(1, ahead))
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=_fill, args=(make_items, self._items, self._stop), name="prefetch", daemon=True
        )
        self._close = weakref.finalize(self, _shut, self._thread, self._items, self._stop)

    def take(self) -> Any:
        if not self._thread.is_alive() and self._thread.ident is None:
            self._thread.start()
        item = self._items.get()
        if isinstance(item, BaseException):
            self._items.put(item)  # a later call gets the same answer
            raise item
        return item

    def close(self) -> None:
        """Stop the thread and wait for it."""
        self._close()


class Arrays:
    """Lends NumPy arrays; one comes back by itself when nothing shows its memory any more, no tensor and no view.

    `allocate` makes a new array of a shape and dtype.
    """

    def __init__(self, allocate: Callable[[tuple[int, ...], np.dtype], np.ndarray] = np.empty) -> None:
        self._allocate = allocate
        self._free: list[np.ndarray] = []

    def lend(self, shape: tuple[int, ...], dtype: np.dtype | type) -> np.ndarray:
        """An array with any content."""
        while self._free:
            array = self._free.pop()
            if array.shape == shape and array.dtype == dtype:
                break
        else:
            array = self._allocate(shape, np.dtype(dtype))
        loan = _Loan(array)
        weakref.finalize(loan, self._free.append, array).atexit = False
        return np.asarray(loan)


class _Loan:
    """Stands between an array and all that shows its memory: views of the array itself would hide who holds it."""

    def __init__(self, array: np.ndarray) -> None:
        self.__array_interface__ = array.__array_interface__


def _fill(make_items: Callable[[], Iterator[Any]], items: queue.Queue[Any], stop: threading.Event) -> None:
    try:
        for item in make_items():
            items.put(item)
            del item  # the caller decides how long its memory is in use
            if stop.is_set():
                return
    except BaseException as error:  # handed to the thread that waits for the item
        items.put(error)


def _shut(thread: threading.Thread, items: queue.Queue[Any], stop: threading.Event) -> None:
    stop.set()
    while thread.is_alive():
        try:
            items.get(timeout=0.01)
        except queue.Empty:
            thread.join(timeout=0.01)
