"""The garbage collector out of the way of what is loaded once and stays."""

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
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()
