"""Pooling of both kinds."""

from __future__ import annotations

import itertools

import numpy as np
from engine_cases import Case, one


def poolings() -> list[Case]:
    cases = []
    windows = ((3, 2, 0), (3, 2, 1), (2, 2, 0), (3, 3, 2), (2, 1, 1), (5, 3, 2), (4, 2, 3))
    shapes = ((2, 3, 7, 6), (1, 2, 13, 13), (1, 1, 8, 5))
    for pool, (kernel, stride, pad), shape in itertools.product(("MAX", "AVE"), windows, shapes):
        text = f"pooling_param {{ pool: {pool} kernel_size: {kernel} stride: {stride} pad: {pad} }}"
        cases.append(one("Pooling", text, shape))
    text = "pooling_param { pool: %s kernel_h: 3 kernel_w: 2 stride_h: 1 stride_w: 2 pad_h: 1 pad_w: 1 }"
    cases += [one("Pooling", text % pool) for pool in ("MAX", "AVE")]
    cases += [one("Pooling", f"pooling_param {{ pool: {pool} global_pooling: true }}") for pool in ("MAX", "AVE")]
    cases.append(one("Pooling", "pooling_param { pool: MAX kernel_size: 3 stride: 2 }", tops="y mask"))
    cases.append(one("Pooling", "pooling_param { pool: MAX kernel_size: 3 stride: 2 pad: 1 }", tops="y mask"))
    cases.append(one("Pooling", "pooling_param { pool: AVE kernel_size: 3 stride: 2 round_mode: FLOOR }"))
    ties = np.random.default_rng(0).integers(0, 2, (2, 3, 7, 6))
    cases.append(one("Pooling", "pooling_param { pool: MAX kernel_size: 3 stride: 1 pad: 1 } ", values={"x": ties}))
    return cases


def edges() -> list[Case]:
    """Sizes at which the last window begins inside, at, or beyond the edge; batches of 1; windows as large as it."""
    windows = (
        "kernel_size: 3 stride: 2",
        "kernel_size: 2 stride: 3 pad: 1",
        "kernel_size: 3 stride: 4 pad: 2",
        "kernel_h: 5 kernel_w: 3 stride_h: 3 stride_w: 5 pad_h: 2 pad_w: 1",
        "kernel_size: 2 stride: 2 pad: 1",
    )
    shapes = ((1, 1, 5, 5), (1, 3, 6, 7), (2, 2, 8, 9), (1, 2, 11, 4))
    return [
        one("Pooling", f"pooling_param {{ pool: {pool} {text} }}", shape)
        for pool, text, shape in itertools.product(("MAX", "AVE"), windows, shapes)
    ]


def padded_on_one_axis() -> list[Case]:
    """Padding of the rows alone, where the last column of windows would begin beyond the image: it is dropped too."""
    windows = (
        ("kernel_h: 3 kernel_w: 1 stride_h: 2 stride_w: 2", (1, 1, 7, 4)),
        ("kernel_h: 3 kernel_w: 1 stride_h: 2 stride_w: 4", (1, 1, 7, 4)),
        ("kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 5", (1, 2, 7, 10)),
    )
    return [
        one("Pooling", f"pooling_param {{ pool: {pool} {text} pad_h: 1 pad_w: 0 }}", shape)
        for pool, (text, shape) in itertools.product(("MAX", "AVE"), windows)
    ]


CASES = [*poolings(), *edges(), *padded_on_one_axis()]
