"""How many windows a pooling has along each axis: Caffe's one rule, for the engine and for all that do without it."""

from __future__ import annotations

import math
from collections.abc import Sequence


def pooled_size(
    size: Sequence[int], kernel: Sequence[int], stride: Sequence[int], pad: Sequence[int], *, floor: bool = False
) -> tuple[int, ...]:
    """Number of windows along each axis: rounded up, or down with `floor` (round_mode: FLOOR).

    As soon as any axis is padded, a last window that would begin beyond image and padding is dropped on EVERY axis,
    on those without padding too.  Without padding such a window stays, as in Caffe, and has no value of the image.
    Source: PoolingLayer::Reshape of Caffe 1.0.
    """
    rounded = math.floor if floor else math.ceil
    counts = [rounded((n + 2 * p - k) / s) + 1 for n, k, s, p in zip(size, kernel, stride, pad, strict=True)]
    if not any(pad):
        return tuple(counts)
    beyond = [(c - 1) * s >= n + p for c, n, s, p in zip(counts, size, stride, pad, strict=True)]
    return tuple(count - drop for count, drop in zip(counts, beyond, strict=True))
