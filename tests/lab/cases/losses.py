"""Losses and Accuracy."""

from __future__ import annotations

import itertools

import numpy as np
from engine_cases import Case, layer


def softmax_losses() -> list[Case]:
    cases = []
    options = (
        "",
        "loss_param { normalization: FULL }",
        "loss_param { normalization: BATCH_SIZE }",
        "loss_param { normalization: NONE }",
        "loss_param { ignore_label: 2 }",
        "loss_weight: 0.3",
        "loss_param { normalize: false }",
        "loss_param { ignore_label: 0 normalization: FULL }",
    )
    for text, shape in itertools.product(options, ((4, 5), (2, 5, 3, 2), (1, 5))):
        labels = (shape[0], *shape[2:])
        cases.append(
            Case(
                f"SoftmaxWithLoss {text} {shape}",
                {"x": shape, "t": labels},
                layer("SoftmaxWithLoss", text, "x t"),
                labels={"t": 5},
                scale=3,
            )
        )
    cases.append(
        Case(
            "SoftmaxWithLoss axis 2",
            {"x": (2, 3, 4), "t": (2, 3)},
            layer("SoftmaxWithLoss", "softmax_param { axis: 2 }", "x t"),
            labels={"t": 4},
        )
    )
    cases.append(
        Case(
            "SoftmaxWithLoss far apart",
            {"x": (4, 3), "t": (4,)},
            layer("SoftmaxWithLoss", "", "x t"),
            labels={"t": 3},
            scale=200,
        )
    )
    return cases


def other_losses() -> list[Case]:
    pair = {"x": (4, 5), "t": (4, 5)}
    cases = [
        Case("EuclideanLoss", pair, layer("EuclideanLoss", "", "x t")),
        Case("EuclideanLoss weighted", pair, layer("EuclideanLoss", "loss_weight: 0.2", "x t")),
    ]
    cases += [
        Case(
            f"SigmoidCrossEntropyLoss {text}",
            pair,
            layer("SigmoidCrossEntropyLoss", text, "x t"),
            labels={"t": 2},
            scale=4,
        )
        for text in (
            "",
            "loss_param { normalization: FULL }",
            "loss_param { normalization: VALID }",
            "loss_param { ignore_label: 1 normalization: VALID }",
            "loss_param { normalize: true }",
        )
    ]
    cases += [
        Case(
            f"HingeLoss {norm}",
            {"x": (4, 5), "t": (4,)},
            layer("HingeLoss", f"hinge_loss_param {{ norm: {norm} }}", "x t"),
            labels={"t": 5},
        )
        for norm in ("L1", "L2")
    ]
    return cases


def accuracies() -> list[Case]:
    cases = []
    ties = np.random.default_rng(1).integers(0, 3, (6, 5))
    for text, tops in itertools.product(("", "top_k: 2", "ignore_label: 1", "top_k: 3 ignore_label: 0"), ("y", "y z")):
        body = layer("Accuracy", f"accuracy_param {{ {text} }}", "x t", tops)
        for name, values in (("plain", {}), ("ties", {"x": ties})):
            cases.append(
                Case(
                    f"Accuracy {text} {tops} {name}",
                    {"x": (6, 5), "t": (6,)},
                    body,
                    labels={"t": 5},
                    values=values,
                    phase="TEST",
                    force=False,
                )
            )
    body = layer("Accuracy", "accuracy_param { axis: 1 }", "x t")
    cases.append(Case("Accuracy in space", {"x": (2, 4, 3, 3), "t": (2, 3, 3)}, body, labels={"t": 4}, force=False))
    return cases


def shaped_losses() -> list[Case]:
    """Other numbers of axes, a batch of 1, weighted; Euclidean losses whose second bottom learns too."""
    cases = []
    for shape, weight in itertools.product(((1, 4), (3, 2, 2, 2), (5, 1)), ("", "loss_weight: -0.4")):
        pair = {"x": shape, "t": shape}
        cases.append(Case(f"EuclideanLoss {weight} {shape}", pair, layer("EuclideanLoss", weight, "x t")))
        cases.append(
            Case(
                f"SigmoidCrossEntropyLoss {weight} {shape}",
                pair,
                layer("SigmoidCrossEntropyLoss", weight, "x t"),
                labels={"t": 2},
                scale=4,
            )
        )
        if len(shape) == 2:
            cases += [
                Case(
                    f"HingeLoss {norm} {weight} {shape}",
                    {"x": shape, "t": shape[:1]},
                    layer("HingeLoss", f"{weight} hinge_loss_param {{ norm: {norm} }}", "x t"),
                    labels={"t": shape[1]},
                )
                for norm in ("L1", "L2")
            ]
    both = layer("TanH", "", "x", "a", "a") + layer("Sigmoid", "", "z", "b", "b") + layer("EuclideanLoss", "", "a b")
    cases.append(Case("EuclideanLoss of two that learn", {"x": (3, 4), "z": (3, 4)}, both))
    ignored = layer("SoftmaxWithLoss", "loss_param { ignore_label: 1 }", "x t")
    cases.append(
        Case("SoftmaxWithLoss where all are ignored", {"x": (2, 3), "t": (2,)}, ignored, values={"t": np.ones(2)})
    )
    return cases


CASES = [*softmax_losses(), *other_losses(), *accuracies(), *shaped_losses()]
