"""Waiting on a machine that may be busy: for conditions instead of for a time, and again where a clock is read."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
LONG = 600.0  # seconds; what takes longer has hung, however busy the machine is


def wait_until(condition: Callable[[], object], seconds: float = LONG) -> None:
    """AssertionError if it does not become true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def in_some_try(check: Callable[[], T], tries: int = 5) -> T:
    """What `check` returns; once more where it fails, as what it times may have had to wait for the processor."""
    for _ in range(tries - 1):
        try:
            return check()
        except AssertionError:
            pass
    return check()
