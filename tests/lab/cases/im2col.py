"""Im2col: windows of one to three spatial axes."""

from __future__ import annotations

import itertools

from engine_cases import Case, one


def windows() -> list[Case]:
    grid = itertools.product((1, 2, 3), (1, 2), (0, 1), (1, 2))
    sides = (f"kernel_size: {size} stride: {stride} pad: {pad} dilation: {step}" for size, stride, pad, step in grid)
    cases = [one("Im2col", f"convolution_param {{ {text} }}") for text in sides]
    cases += [
        one("Im2col", f"convolution_param {{ {text} }}", shape)
        for text, shape in (
            ("kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 1 pad_h: 0 pad_w: 2", (1, 2, 5, 4)),
            ("kernel_size: 3 pad: 1", (2, 3, 9)),
            ("kernel_size: 2 kernel_size: 1 kernel_size: 3", (1, 2, 3, 4, 5)),
            ("kernel_size: 2 axis: 2", (2, 3, 4, 5, 6)),
            ("kernel_size: 2 axis: -3 force_nd_im2col: true", (2, 3, 4, 5)),
            ("kernel_size: 3 axis: 0 stride: 2", (2, 7, 8)),
            ("kernel_size: 5", (1, 1, 5, 5)),
        )
    ]
    return cases


CASES = windows()
