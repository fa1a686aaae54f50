"""A thread that keeps a few batches ahead of the solver."""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any


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
            self._items.put(item)  # whoever asks again gets the same answer
            raise item
        return item

    def close(self) -> None:
        """Stop the thread and wait for it."""
        self._close()


def _fill(make_items: Callable[[], Iterator[Any]], items: queue.Queue[Any], stop: threading.Event) -> None:
    try:
        for item in make_items():
            items.put(item)
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
