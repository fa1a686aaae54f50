"""The garbage collector out of the way of what is made at once and stays: large packages, large nets."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def undisturbed() -> Iterator[None]:
    """Import large packages in it: nothing is collected meanwhile, nor is what there is at the end ever looked through.

    PyTorch and its like make half a million objects that live as long as the process.  Going through them again and
    again takes a quarter of the time of their import, and a tenth of a second now and then afterwards.
    """
    with paused():
        yield
        gc.freeze()


@contextmanager
def paused() -> Iterator[None]:
    """Nothing is collected in it, where many objects are made that stay: the collector would look at them again and
    again, more often the more there are."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
