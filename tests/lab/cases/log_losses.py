"""MultinomialLogisticLoss, InfogainLoss and ContrastiveLoss."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
from engine_cases import Case, layer


def multinomial_losses() -> list[Case]:
    cases = [
        Case(
            f"MultinomialLogisticLoss {text} {shape} {labels}",
            {"x": shape, "t": labels},
            layer("MultinomialLogisticLoss", text, "x t"),
            labels={"t": shape[1]},
            positive=True,
        )
        for text, (shape, labels) in itertools.product(
            ("", "loss_weight: 0.4"), (((4, 5), (4,)), ((1, 3), (1, 1)), ((3, 2, 3, 2), (3, 1, 1, 1)))
        )
    ]
    zeros = np.random.default_rng(3).integers(0, 2, (4, 3))
    cases.append(
        Case(
            "MultinomialLogisticLoss of impossible classes",
            {"x": (4, 3), "t": (4,)},
            layer("MultinomialLogisticLoss", "", "x t"),
            labels={"t": 3},
            values={"x": zeros},
        )
    )
    softmax = layer("Softmax", tops="p") + layer("MultinomialLogisticLoss", "", "p t")
    cases.append(Case("MultinomialLogisticLoss above Softmax", {"x": (6, 4), "t": (6,)}, softmax, labels={"t": 4}))
    return cases


def infogain(
    settings: str,
    shape: tuple[int, ...],
    labels: tuple[int, ...],
    axis: int = 1,
    tops: str = "y",
    matrix: np.ndarray | None = None,
    scale: float = 1,
) -> Case:
    """The third bottom is H; a learned layer asks for the gradient, as force_backward would ask for one of H."""
    classes = shape[axis]
    body = layer("Bias", f"bias_param {{ axis: {axis} }}", tops="s") + layer(
        "InfogainLoss", f"infogain_loss_param {{ axis: {axis} }} {settings}", "s t h", tops
    )
    return Case(
        f"InfogainLoss {settings} {shape} axis {axis} {tops} {scale}",
        {"x": shape, "t": labels, "h": (1, 1, classes, classes)},
        body,
        labels={"t": classes},
        scale=scale,
        values={} if matrix is None else {"h": matrix},
        force=False,
    )


def infogain_losses() -> list[Case]:
    settings = (
        "",
        "loss_param { normalization: FULL }",
        "loss_param { normalization: BATCH_SIZE }",
        "loss_param { normalization: NONE }",
        "loss_param { ignore_label: 1 }",
        "loss_weight: 0.3",
        "loss_param { ignore_label: 0 normalization: FULL }",
    )
    places = (((4, 3), (4,), 1), ((2, 3, 3, 2), (2, 1, 3, 2), 1), ((1, 4), (1, 1), -1), ((2, 3, 4), (2, 3), 2))
    cases = [infogain(text, *place) for text, place in itertools.product(settings, places)]
    cases.append(infogain("loss_weight: 1 loss_weight: 0", (3, 4), (3,), tops="y prob"))
    cases.append(infogain("", (5, 3), (5,), matrix=np.eye(3)))
    cases += [
        replace(
            infogain(f"loss_param {{ ignore_label: {beyond} }}", (6, 3), (6,)),
            name=f"ignored {beyond}",
            values={"t": np.array([0, beyond, 2, 1, beyond, 0])},
        )
        for beyond in (255, -1)
    ]
    nothing = infogain("loss_param { ignore_label: 1 }", (3, 3), (3,))
    cases.append(replace(nothing, name="InfogainLoss where all is ignored", values={"t": np.ones(3)}))
    cases.append(infogain("", (4, 3), (4,), scale=200))
    return cases


def contrastive_losses() -> list[Case]:
    shapes = (((6, 4), (6,)), ((1, 3), (1, 1)), ((5, 2, 1, 1), (5, 1, 1, 1)))
    cases = [
        Case(
            f"ContrastiveLoss margin {margin} legacy {legacy} {shape}",
            {"x": shape, "z": shape, "t": labels},
            layer(
                "ContrastiveLoss", f"contrastive_loss_param {{ margin: {margin} legacy_version: {legacy} }}", "x z t"
            ),
            labels={"t": 2},
        )
        for margin, legacy, (shape, labels) in itertools.product((0.5, 1, 3, 10), ("false", "true"), shapes)
    ]
    sides = layer("Bias", tops="a", name="one") + layer("Bias", bottoms="z", tops="b", name="two")
    cases += [
        Case(
            f"ContrastiveLoss to {kept}",
            {"x": (5, 3), "z": (5, 3), "t": (5,)},
            sides + layer("ContrastiveLoss", "".join(f"propagate_down: {side} " for side in kept.split()), "a b t"),
            labels={"t": 2},
            force=False,
        )
        for kept in ("true false false", "false true false")
    ]
    equal = {"x": np.ones((3, 2)), "z": np.ones((3, 2)), "t": np.array([0, 1, 0])}
    cases.append(
        Case(
            "ContrastiveLoss of equal values",
            {"x": (3, 2), "z": (3, 2), "t": (3,)},
            layer("ContrastiveLoss", "loss_weight: 2", "x z t"),
            values=equal,
        )
    )
    return cases


CASES = [*multinomial_losses(), *infogain_losses(), *contrastive_losses()]
