"""Reduction and MVN."""

from __future__ import annotations

import itertools

import numpy as np
from engine_cases import Case, layer, one


def reductions() -> list[Case]:
    operations, axes = ("SUM", "ASUM", "SUMSQ", "MEAN"), (0, 1, 2, -1)
    cases = [
        one("Reduction", f"reduction_param {{ operation: {operation} axis: {axis} {coeff} }}", shape)
        for operation, (axis, coeff, shape) in itertools.product(
            operations,
            [
                *((axis, "", (2, 3, 5, 3)) for axis in axes),
                (1, "coeff: -0.3", (1, 7)),
                (0, "coeff: 2.5", (4,)),
                (-2, "coeff: 0", (3, 1, 2)),
                (3, "", (1, 2, 2, 1, 3)),
            ],
        )
    ]
    zeros = np.random.default_rng(5).integers(-1, 2, (3, 8))
    cases.append(one("Reduction", "reduction_param { operation: ASUM axis: 1 } ", (3, 8), values={"x": zeros}))
    cases += [
        one("Reduction", f"reduction_param {{ operation: {operation} }} loss_weight: 0.7", (3, 4))
        for operation in operations
    ]
    return cases


def normalisations() -> list[Case]:
    cases = []
    shapes = ((2, 3, 7, 6), (1, 4, 5, 5), (3, 1, 9, 1), (1, 1, 1, 11))
    for variance, across, shape in itertools.product(("true", "false"), ("true", "false"), shapes):
        text = f"mvn_param {{ normalize_variance: {variance} across_channels: {across} }}"
        cases.append(one("MVN", text, shape))
    cases += [one("MVN", f"mvn_param {{ {text} }}") for text in ("eps: 0.1", "eps: 0.5 across_channels: true")]
    cases += [
        one("MVN", f"mvn_param {{ across_channels: true {text} }}", (4, 9))
        for text in ("", "normalize_variance: false")
    ]  # two axes: the top has four
    cases.append(one("MVN", "mvn_param { across_channels: true }", (2, 5, 6)))
    cases.append(one("MVN", "mvn_param { normalize_variance: false }", (2, 3, 4, 5), tops="x"))
    cases.append(one("MVN", "mvn_param { eps: 0.01 }", (2, 3, 5, 5), scale=50))
    relu = layer("ReLU", bottoms="y", tops="y")
    mean = layer("MVN", "mvn_param { normalize_variance: false }")
    cases.append(Case("MVN of the mean and then ReLU in place", {"x": (2, 3, 5, 4)}, mean + relu))
    return cases


CASES = [*reductions(), *normalisations()]
