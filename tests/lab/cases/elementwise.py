"""Layers that work value by value, and Softmax."""

from __future__ import annotations

import itertools

import numpy as np
from engine_cases import Case, one


def neurons() -> list[Case]:
    cases = []
    for tops in ("y", "x"):
        cases += [
            one(kind, settings, tops=tops)
            for kind, settings in (
                ("ReLU", ""),
                ("ReLU", "relu_param { negative_slope: 0.2 }"),
                ("Sigmoid", ""),
                ("TanH", ""),
            )
        ]
        cases.append(one("Dropout", "", tops=tops, phase="TEST"))
        cases += [one("Softmax", f"softmax_param {{ axis: {axis} }}", tops=tops) for axis in (1, 2, -1, 0)]
    return cases


# In place, the genuine engine computes these gradients from values that it has overwritten; ours are the true ones.
BETTER_IN_PLACE = ("BNLL", "Log", "Power")


def elementwise() -> list[Case]:
    cases = []
    kinds = (
        ("BNLL", ""),
        ("ELU", ""),
        ("ELU", "elu_param { alpha: 0.4 }"),
        ("PReLU", ""),
        ("PReLU", "prelu_param { channel_shared: true }"),
        ("Power", ""),
        ("Power", "power_param { power: 0 }"),
        ("Power", "power_param { power: 2 scale: 0.5 shift: -1 }"),
        ("Power", "power_param { power: 3 }"),
        ("Exp", ""),
        ("Exp", "exp_param { base: 2 scale: 0.5 shift: 1 }"),
    )
    for (kind, text), tops in itertools.product(kinds, ("y", "x")):
        if tops == "y" or kind not in BETTER_IN_PLACE:
            cases.append(one(kind, text, tops=tops))
    cases += [
        one(kind, text, positive=True)
        for kind, text in (
            ("Log", ""),
            ("Log", "log_param { base: 10 scale: 2 shift: 0.5 }"),
            ("Power", "power_param { power: 0.5 }"),
            ("Power", "power_param { power: -0.75 scale: 2 shift: 1 }"),
        )
    ]
    cases.append(one("AbsVal"))
    cases.append(one("BNLL", shape=(2, 9), scale=60))
    cases.append(one("Threshold", "threshold_param { threshold: 0.3 }", force=False))
    return cases


def shapes_and_extremes() -> list[Case]:
    """Every neuron on other numbers of axes and a batch of 1, and on values so large that exp would overflow."""
    kinds = ("ReLU", "Sigmoid", "TanH", "ELU", "PReLU", "AbsVal", "BNLL")
    shapes = ((5, 3), (1, 2, 3), (1, 3, 2, 1, 4))
    cases = [
        one(kind, shape=shape) for kind, shape in itertools.product(kinds, shapes) if kind != "PReLU" or len(shape) < 5
    ]
    return cases + [one(kind, shape=(3, 4), scale=100) for kind in ("Sigmoid", "TanH", "ELU", "Softmax")]


def settings() -> list[Case]:
    """Every setting of the layers that have some, apart and together, on values on both sides of its border."""
    cases = [
        one("Threshold", f"threshold_param {{ threshold: {t} }}", shape, force=False)
        for t, shape in itertools.product((0, -0.7, 1.5), ((1, 7), (2, 3, 5)))
    ]
    cases += [
        one("Dropout", f"dropout_param {{ dropout_ratio: {ratio} }}", tops=tops, phase=phase)
        for ratio, phase in ((0, "TRAIN"), (0.3, "TEST"))
        for tops in ("y", "x")
    ]
    cases += [
        one("Exp", f"exp_param {{ {text} }}")
        for text in ("base: 10 scale: -0.3", "base: 2", "shift: -2", "base: 0.5 scale: 2 shift: 0.1")
    ]
    cases += [one("Log", f"log_param {{ {text} }}", positive=True) for text in ("base: 2", "scale: 3 shift: 1")]
    cases += [
        one("Power", f"power_param {{ {text} }}", (1, 5, 3))
        for text in ("scale: 0", "power: 2 shift: 0.5", "power: 1 scale: -3 shift: 2", "power: -1 scale: 0.1 shift: 3")
    ]
    cases += [one("ELU", f"elu_param {{ alpha: {alpha} }}", tops=tops) for alpha in (0, 2) for tops in ("y", "x")]
    cases += [
        one("ReLU", f"relu_param {{ negative_slope: {slope} }}", tops=tops, values={"x": BORDER})
        for slope in (0, 0.1, -1)
        for tops in ("y", "x")
        if slope >= 0 or tops == "y"
    ]
    shapes = ((1, 6), (3, 1), (1, 4, 2, 3), (2, 3, 1, 2, 2))
    return cases + [
        one("Softmax", f"softmax_param {{ axis: {axis} }}", shape, scale=5) for shape in shapes for axis in (0, 1, -1)
    ]


# zeros of both signs, the smallest normal numbers and their neighbours
BORDER = np.resize(np.array([0.0, -0.0, 1.2e-38, -1.2e-38, 1e-3, -1e-3, 5, -5], np.float32), (2, 3, 7, 6))

CASES = [*neurons(), *elementwise(), *shapes_and_extremes(), *settings()]
