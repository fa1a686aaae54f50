"""How the process handles memory that was freed: kept for the next tensor instead of given back to the system.

A net allocates and frees the same large tensors in every iteration.  By default the C library maps each of them again,
and the system then zeroes every page: a quarter of a training iteration of AlexNet on a CPU.
"""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # glibc's malloc.h
TOP_PAD = 64 << 20  # bytes by which the heap grows beyond what was asked for


def keep_freed_memory() -> None:
    """Have malloc reuse what was freed; glibc only, elsewhere nothing happens."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, -1), (M_TOP_PAD, TOP_PAD)):
            mallopt(option, value)
