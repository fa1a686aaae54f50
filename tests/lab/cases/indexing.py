"""Embed, BatchReindex, Filter and Parameter.

force_backward would ask them for a gradient to their indices, which Caffe refuses; a learned layer below asks instead.
"""

from __future__ import annotations

import itertools

from engine_cases import Case, layer

LOSS = layer("Reduction", "reduction_param { operation: SUMSQ } loss_weight: 1", "y", "loss")
LEARNED = layer("Bias", "bias_param { axis: 0 }", tops="s")


def embeds() -> list[Case]:
    cases = []
    for shape, (rows, width), bias in itertools.product(
        ((4,), (2, 3), (1,), (2, 1, 5)), ((6, 3), (2, 5)), ("true", "false")
    ):
        text = f"embed_param {{ num_output: {width} input_dim: {rows} bias_term: {bias} }}"
        cases.append(
            Case(
                f"Embed {shape} {rows} x {width} bias {bias}",
                {"x": shape},
                layer("Embed", text) + LOSS,
                labels={"x": rows},
                force=False,
            )
        )
    text = "embed_param { num_output: 3 input_dim: 5 }"
    for frozen in ("param { lr_mult: 0 }", "param {} param { lr_mult: 0 }"):
        cases.append(
            Case(
                f"Embed {frozen}", {"x": (7,)}, layer("Embed", f"{text} {frozen}") + LOSS, labels={"x": 5}, force=False
            )
        )
    shared = 'param { name: "table" }'
    twice = (
        layer("Embed", f"{text} {shared}", "x", "a", "one")
        + layer("Embed", f"{text} {shared}", "z", "b", "two")
        + layer("Eltwise", "eltwise_param { operation: PROD }", "a b")
    )
    cases.append(
        Case("Embed by one table twice", {"x": (6,), "z": (6,)}, twice + LOSS, labels={"x": 5, "z": 5}, force=False)
    )
    return cases


def reindex(shape: tuple[int, ...], indices: tuple[int, ...]) -> Case:
    return Case(
        f"BatchReindex {shape} by {indices}",
        {"x": shape, "i": (len(indices),)},
        LEARNED + layer("BatchReindex", bottoms="s i") + LOSS,
        values={"i": indices},
        force=False,
    )


def reindexes() -> list[Case]:
    indices = ((2, 0, 1), (0,), (1, 1, 1, 2, 0, 2))
    return [reindex(shape, order) for shape, order in itertools.product(((3, 4), (3, 2, 5), (3, 1, 2, 2)), indices)] + [
        reindex((1, 3), (0, 0)),
        reindex((5, 3), (4, 2)),
    ]


def filtered(shape: tuple[int, ...], chosen: tuple[float, ...], selector: tuple[int, ...]) -> Case:
    return Case(
        f"Filter {shape} by {chosen} {selector}",
        {"x": shape, "i": selector},
        LEARNED + layer("Filter", bottoms="s i") + LOSS,
        values={"i": chosen},
        force=False,
    )


def filters() -> list[Case]:
    chosen = ((1, 0, 1, 1), (0, 0, 0, 1), (1, 1, 1, 1), (0.5, -2, 0, 0))
    cases = [
        filtered(shape, which, (4, *[1] * extra))
        for (shape, extra), which in itertools.product((((4, 3), 0), ((4, 2, 3), 1), ((4, 3, 2, 2), 3)), chosen)
    ]
    cases.append(filtered((1, 3), (1,), (1,)))
    several = (
        LEARNED
        + layer("Filter", "", "s t x i", "a b c")
        + layer("EuclideanLoss", "", "a b", "loss")
        + layer("Silence", "", "c", "")
    )
    cases.append(
        Case(
            "Filter of several bottoms",
            {"x": (5, 3), "t": (5, 3), "i": (5,)},
            several,
            values={"i": (0, 1, 1, 0, 1)},
            force=False,
        )
    )
    return cases


def parameters() -> list[Case]:
    def parameter(dims: str, rest: str = "", name: str = "p") -> str:
        shape = "".join(f" dim: {n}" for n in dims.split())
        return layer("Parameter", f"parameter_param {{ shape {{{shape} }} }} {rest}", "", name, name)

    x = {"x": (2, 3, 4)}
    cases = [
        Case("Parameter added", x, parameter("2 3 4") + layer("Eltwise", bottoms="x p")),
        Case("Parameter as bias", x, parameter("3") + layer("Bias", bottoms="x p")),
        Case("Parameter as scale", x, parameter("3 4") + layer("Scale", bottoms="x p")),
        Case(
            "Parameter read twice",
            x,
            parameter("2 3 4")
            + layer("Eltwise", "", "x p", "a", "one")
            + layer("Eltwise", "eltwise_param { operation: PROD }", "a p", "y", "two"),
        ),
        Case(
            "Parameter frozen",
            x,
            parameter("3", "param { lr_mult: 0 }") + layer("Bias", bottoms="x p") + LOSS,
            force=False,
        ),
        Case("Parameter alone", {}, parameter("4") + layer("Sigmoid", "", "p")),
        Case("Parameter of one value", {}, parameter("1") + layer("Power", "power_param { power: 2 }", "p")),
    ]
    shared = 'param { name: "w" }'
    two = parameter("2 3 4", shared) + parameter("2 3 4", shared, "q") + layer("Eltwise", bottoms="x p q")
    cases.append(Case("Parameter shared by two", x, two))
    product = 'inner_product_param { num_output: 3 bias_term: false } param { name: "w" }'
    cases.append(
        Case(
            "Parameter shared with a layer above",
            {"x": (2, 4)},
            parameter("3 4", shared)
            + layer("Bias", "bias_param { axis: 0 }", "p p", "q")
            + layer("InnerProduct", product),
        )
    )
    return cases


CASES = [*embeds(), *reindexes(), *filters(), *parameters()]
