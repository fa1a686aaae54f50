"""Clip and Swish."""

from __future__ import annotations

import itertools

import numpy as np
from engine_cases import Case, layer, one


def clips() -> list[Case]:
    ranges = ("min: -0.5 max: 0.8", "min: 0 max: 6", "min: -3 max: -2", "min: 0.25 max: 0.25")
    cases = [
        one("Clip", f"clip_param {{ {text} }}", shape)
        for text, shape in itertools.product(ranges, ((2, 3, 7, 6), (1, 5)))
    ]
    edges = np.array([[-0.5, 0.75, 0, 0.74], [-0.51, 2, -3, 0.76]])
    cases.append(one("Clip", "clip_param { min: -0.5 max: 0.75 }", (2, 4), values={"x": edges}))
    return cases


def swishes() -> list[Case]:
    cases = [
        one("Swish", text, shape, tops)
        for text, shape, tops in itertools.product(
            ("", "swish_param { beta: 1.5 }", "swish_param { beta: -0.4 }", "swish_param { beta: 0 }"),
            ((2, 3, 5, 4), (1, 7)),
            ("y", "x"),
        )
    ]
    cases.append(one("Swish", "", (2, 9), scale=80))
    cases.append(Case("Swish and then ReLU in place", {"x": (3, 8)}, layer("Swish") + layer("ReLU", "", "y", "y")))
    return cases


CASES = [*clips(), *swishes()]
