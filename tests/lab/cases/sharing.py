"""What a net does around its layers: parameters shared by name, blobs read twice, in-place chains, loss weights."""

from __future__ import annotations

from engine_cases import Case, layer

X = {"x": (3, 4)}
LABELLED = {"x": (3, 4), "t": (3,)}
IMAGES = {"x": (2, 3, 7, 5)}


def fc(name: str, bottom: str, rest: str = "", outputs: int = 4, settings: str = "") -> str:
    body = f"{rest} inner_product_param {{ num_output: {outputs} {settings} }}"
    return layer("InnerProduct", body, bottom, name, name)


def conv(name: str, bottom: str, rest: str = "", outputs: int = 3) -> str:
    body = f"convolution_param {{ num_output: {outputs} kernel_size: 3 pad: 1 bias_term: false }}"
    return layer("Convolution", f"{rest} {body}", bottom, name, name)


def loss(bottom: str, top: str = "loss", rest: str = "") -> str:
    return layer("SoftmaxWithLoss", rest, f"{bottom} t", top, top)


def shared() -> list[Case]:
    weight, both = 'param { name: "w" }', 'param { name: "w" } param { name: "b" }'
    permissive = 'param { name: "w" share_mode: PERMISSIVE }'
    flat = "transpose: true"
    return [
        Case("weights shared by two", X, fc("a", "x", weight) + fc("b", "a", weight)),
        Case("weights and biases shared by three", X, fc("a", "x", both) + fc("b", "a", both) + fc("c", "b", both)),
        Case(
            "weights shared by two branches",
            X,
            fc("a", "x", both) + fc("b", "x", both) + layer("Eltwise", "eltwise_param { operation: PROD }", "a b"),
        ),
        Case(
            "bias of one is the bias of another",
            X,
            fc("a", "x", 'param {} param { name: "b" }') + fc("b", "a", 'param {} param { name: "b" }'),
        ),
        Case("kernels shared", IMAGES, conv("a", "x", weight) + layer("ReLU", "", "a", "a") + conv("b", "a", weight)),
        Case(
            "kernels shared by two branches",
            IMAGES,
            conv("a", "x", weight) + conv("b", "x", weight) + layer("Eltwise", "", "a b"),
        ),
        Case(
            "shared permissively",
            X,
            fc("a", "x", 'param { name: "w" }', 6) + fc("b", "a", permissive, 4, flat),
            params=0.3,
        ),
        Case(
            "shared, one of them frozen by its bottom",
            {"x": (3, 4), "t": (3,)},
            fc("a", "x", both) + fc("b", "a", both) + loss("b"),
            labels={"t": 4},
            force=False,
        ),
        Case(
            "PReLU shared",
            IMAGES,
            layer("PReLU", 'param { name: "p" }', "x", "a", "a") + layer("PReLU", 'param { name: "p" }', "a", "b", "b"),
        ),
        Case(
            "Scale shared",
            IMAGES,
            layer("Scale", 'param { name: "p" }', "x", "a", "a") + layer("Scale", 'param { name: "p" }', "a", "b", "b"),
        ),
        Case(
            "lr_mult 0 on a weight",
            LABELLED,
            fc("a", "x", "param { lr_mult: 0 } param { lr_mult: 1 }") + loss("a"),
            labels={"t": 4},
            force=False,
        ),
    ]


def splits() -> list[Case]:
    three = layer("TanH", "", "x", "a", "a") + layer("Sigmoid", "", "a", "b", "b") + layer("AbsVal", "", "a", "c", "c")
    return [
        Case("an input read twice", X, layer("TanH", "", "x", "a", "a") + layer("Eltwise", "", "x a")),
        Case(
            "a blob read twice by one layer",
            X,
            layer("TanH", "", "x", "a", "a") + layer("Eltwise", "eltwise_param { operation: PROD }", "a a"),
        ),
        Case("a blob read three times", X, three + layer("Concat", "", "a b c")),
        Case(
            "a split above an in-place layer",
            IMAGES,
            conv("a", "x")
            + layer("ReLU", "", "a", "a")
            + conv("b", "a")
            + conv("c", "a")
            + layer("Eltwise", "", "b c"),
        ),
        Case(
            "in place after a split",
            IMAGES,
            conv("a", "x")
            + layer("AbsVal", "", "a", "b", "b")
            + layer("Sigmoid", "", "b", "b", "again")
            + layer("Eltwise", "", "a b"),
        ),
        Case(
            "a chain in place",
            IMAGES,
            conv("a", "x")
            + layer("BatchNorm", "", "a", "a")
            + layer("Scale", "", "a", "a")
            + layer("ReLU", "", "a", "a")
            + layer("TanH", "", "a", "a"),
        ),
        Case(
            "an output and a bottom at once",
            X,
            fc("a", "x") + layer("Split", "", "a", "b c") + layer("TanH", "", "b", "y"),
        ),
        Case(
            "residual block",
            IMAGES,
            conv("a", "x")
            + layer("BatchNorm", "", "a", "a")
            + layer("Scale", "", "a", "a")
            + layer("Eltwise", "", "x a", "e")
            + layer("ReLU", "", "e", "e"),
        ),
    ]


def losses() -> list[Case]:
    two = fc("a", "x") + fc("b", "a")
    labels = {"labels": {"t": 4}, "force": False}
    cases = [
        Case(
            "two losses of one blob",
            LABELLED,
            fc("a", "x") + loss("a") + loss("a", "again", "loss_weight: 0.25"),
            **labels,
        ),
        Case("a head with loss_weight 0", LABELLED, two + loss("a", "aux", "loss_weight: 0") + loss("b"), **labels),
        Case(
            "a head with a negative loss_weight",
            LABELLED,
            two + loss("a", "aux", "loss_weight: -0.5") + loss("b"),
            **labels,
        ),
        Case("a blob that is a loss by its weight", X, fc("a", "x", "loss_weight: 0.5"), force=False),
        Case("Reduction to a loss", X, fc("a", "x") + layer("Reduction", "loss_weight: 0.1", "a", "y"), force=False),
        Case(
            "sum of two losses",
            LABELLED,
            two + loss("a", "l") + loss("b", "m") + layer("Eltwise", "eltwise_param { coeff: 1 coeff: 3 }", "l m"),
            **labels,
        ),
    ]
    cut = "propagate_down: false"
    cases += [
        Case("propagate_down false", LABELLED, fc("a", "x") + fc("b", "a", cut) + loss("b"), **labels),
        Case(
            "propagate_down on one of two",
            LABELLED,
            fc("a", "x")
            + fc("b", "x")
            + layer("Eltwise", "propagate_down: true propagate_down: false", "a b", "e")
            + loss("e"),
            **labels,
        ),
        Case("propagate_down true to data", LABELLED, fc("a", "x", "propagate_down: true") + loss("a"), **labels),
    ]
    frozen = "param { lr_mult: 0 } param { lr_mult: 0 }"
    cases += [
        Case("frozen below", LABELLED, fc("a", "x", frozen) + fc("b", "a") + loss("b"), **labels),
        Case("frozen in the middle", LABELLED, fc("a", "x") + fc("b", "a", frozen) + loss("b"), **labels),
        Case("frozen, with force_backward", LABELLED, fc("a", "x", frozen) + loss("a"), labels={"t": 4}),
        Case("a branch that no loss hears", LABELLED, fc("a", "x") + fc("b", "a") + loss("a"), **labels),
        Case("silenced", LABELLED, fc("a", "x") + fc("b", "a") + layer("Silence", "", "b", "") + loss("a"), **labels),
    ]
    return cases


CASES = [*shared(), *splits(), *losses()]
