"""Layers that work value by value, and Softmax."""

from __future__ import annotations

import itertools

from engine_cases import Case, one


def neurons() -> list[Case]:
    cases = []
    for tops in ("y", "x"):
        cases += [one(kind, settings, tops=tops) for kind, settings in (
            ("ReLU", ""), ("ReLU", "relu_param { negative_slope: 0.2 }"), ("Sigmoid", ""), ("TanH", ""))]
        cases.append(one("Dropout", "", tops=tops, phase="TEST"))
        cases += [one("Softmax", f"softmax_param {{ axis: {axis} }}", tops=tops) for axis in (1, 2, -1, 0)]
    return cases


# In place, the genuine engine computes these gradients from values that it has overwritten; ours are the true ones.
BETTER_IN_PLACE = ("BNLL", "Power")


def elementwise() -> list[Case]:
    cases = []
    kinds = (
        ("BNLL", ""), ("ELU", ""), ("ELU", "elu_param { alpha: 0.4 }"), ("PReLU", ""),
        ("PReLU", "prelu_param { channel_shared: true }"), ("Power", ""), ("Power", "power_param { power: 0 }"),
        ("Power", "power_param { power: 2 scale: 0.5 shift: -1 }"), ("Power", "power_param { power: 3 }"),
        ("Exp", ""), ("Exp", "exp_param { base: 2 scale: 0.5 shift: 1 }"),
    )
    for (kind, text), tops in itertools.product(kinds, ("y", "x")):
        if tops == "y" or kind not in BETTER_IN_PLACE:
            cases.append(one(kind, text, tops=tops))
    cases += [one(kind, text, positive=True) for kind, text in (
        ("Log", ""), ("Log", "log_param { base: 10 scale: 2 shift: 0.5 }"), ("Power", "power_param { power: 0.5 }"),
        ("Power", "power_param { power: -0.75 scale: 2 shift: 1 }"))]
    cases.append(one("AbsVal"))
    cases.append(one("BNLL", shape=(2, 9), scale=60))
    cases.append(one("Threshold", "threshold_param { threshold: 0.3 }", force=False))
    return cases


def shapes_and_extremes() -> list[Case]:
    """Every neuron on other numbers of axes and a batch of 1, and on values so large that exp would overflow."""
    kinds = ("ReLU", "Sigmoid", "TanH", "ELU", "PReLU", "AbsVal", "BNLL")
    shapes = ((5, 3), (1, 2, 3), (1, 3, 2, 1, 4))
    cases = [one(kind, shape=shape) for kind, shape in itertools.product(kinds, shapes)
             if kind != "PReLU" or len(shape) < 5]
    return cases + [one(kind, shape=(3, 4), scale=100) for kind in ("Sigmoid", "TanH", "ELU", "Softmax")]


CASES = [*neurons(), *elementwise(), *shapes_and_extremes()]
