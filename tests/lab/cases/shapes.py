"""Layers that move, join and cut blobs, and sources."""

from __future__ import annotations

import itertools

import numpy as np
from engine_cases import Case, layer, one


def movers() -> list[Case]:
    three = {"x": (2, 3, 4, 2), "z": (2, 3, 4, 2), "w": (2, 3, 4, 2)}
    cases = [
        Case(f"Concat {axis}", three, layer("Concat", f"concat_param {{ axis: {axis} }}", "x z w"))
        for axis in (0, 1, 2, -1)
    ]
    uneven = {"x": (2, 3, 2, 2), "z": (2, 1, 2, 2)}
    cases.append(Case("Concat uneven", uneven, layer("Concat", "", "x z")))
    cases += [
        one("Slice", f"slice_param {{ {text} }}", (4, 6, 2, 2), tops)
        for text, tops in (
            ("axis: 1", "y z"),
            ("axis: 0", "y z"),
            ("slice_point: 1 slice_point: 4", "y z w"),
            ("slice_dim: 0", "y z"),
        )
    ]
    cases += [
        Case(f"Eltwise {text}", three, layer("Eltwise", f"eltwise_param {{ {text} }}", "x z w"))
        for text in (
            "",
            "operation: PROD",
            "operation: PROD stable_prod_grad: false",
            "operation: MAX",
            "coeff: 0.5 coeff: -1 coeff: 2",
        )
    ]
    cases += [
        one("Flatten", text, (2, 3, 4, 2))
        for text in ("", "flatten_param { axis: 2 }", "flatten_param { axis: 0 end_axis: 1 }")
    ]
    cases += [
        one("Reshape", f"reshape_param {{ {text} }}", (2, 8, 3, 4))
        for text in (
            "shape { dim: 0 dim: -1 }",
            "shape { dim: 4 dim: 4 dim: 12 }",
            "shape { dim: 2 dim: 4 } axis: 1 num_axes: 1",
            "shape { dim: 1 } axis: -1 num_axes: 0",
            "shape { dim: 6 dim: -1 } axis: 2",
        )
    ]
    split = layer("Split", tops="y z w")
    cases.append(Case("Split", {"x": (2, 3, 4)}, split))
    cases.append(Case("Silence", {"x": (2, 3), "z": (2, 3)}, layer("Silence", bottoms="z", tops="") + layer("Sigmoid")))
    return cases


def sources() -> list[Case]:
    dummy = layer(
        "DummyData",
        """dummy_data_param { shape { dim: 2 dim: 3 } shape { dim: 2 }
      data_filler { type: "constant" value: 0.7 } data_filler { type: "constant" value: 2 } }""",
        "",
        "x t",
    )
    cases = [Case("DummyData", {}, dummy + layer("SoftmaxWithLoss", "", "x t"))]
    cases += [
        one("ArgMax", f"argmax_param {{ {text} }}", (3, 4, 5), force=False)
        for text in ("", "top_k: 3", "top_k: 2 out_max_val: true", "axis: 1 top_k: 2", "axis: -1 out_max_val: true")
    ]
    return cases


def odd_movers() -> list[Case]:
    """Many bottoms of uneven sizes, cuts of one channel, blobs read twice by one layer, batches of 1."""
    sizes = (1, 4, 2, 3)
    cases = []
    for axis, shape in ((0, (1, 3, 2)), (1, (1, 3, 5, 2)), (-1, (2, 3))):
        shapes = {name: _with(shape, axis, size) for name, size in zip("abcd", sizes, strict=True)}
        cases.append(
            Case(
                f"Concat uneven {axis} {shape}", shapes, layer("Concat", f"concat_param {{ axis: {axis} }}", "a b c d")
            )
        )
        points = " ".join(f"slice_point: {n}" for n in (1, 5, 7))
        cases.append(one("Slice", f"slice_param {{ axis: {axis} {points} }}", _with(shape, axis, 10), "a b c d"))
    cases.append(
        Case(
            "Concat old dim", {"a": (2, 3, 1), "b": (2, 1, 1)}, layer("Concat", "concat_param { concat_dim: 1 }", "a b")
        )
    )
    cases += [one(kind, text, (1, 4, 3)) for kind, text in (("Concat", ""), ("Slice", ""), ("Flatten", ""))]
    two = {"a": (1, 2, 3), "b": (1, 2, 3)}
    ties = {name: np.random.default_rng(i).integers(-2, 3, (1, 2, 3)) for i, name in enumerate("ab")}
    for text, (name, values) in itertools.product(
        ("operation: MAX", "operation: PROD", "coeff: -2 coeff: 0.5"), (("batch of 1", {}), ("ties and zeros", ties))
    ):
        body = layer("Eltwise", f"eltwise_param {{ {text} }}", "a b")
        cases.append(Case(f"Eltwise {text} {name}", two, body, values=values))
    return cases


def _with(shape: tuple[int, ...], axis: int, size: int) -> tuple[int, ...]:
    out = list(shape)
    out[axis] = size
    return tuple(out)


def reshapings() -> list[Case]:
    """Dimensions copied, inferred and given, over part of the axes; flattened from and to every axis."""
    shape = (2, 6, 3, 4)
    texts = (
        "shape { dim: 0 dim: 0 dim: -1 }",
        "shape { dim: -1 }",
        "shape { dim: 1 dim: 0 dim: 2 dim: -1 }",
        "shape { dim: 3 dim: -1 } axis: 1 num_axes: 2",
        "shape { dim: 12 } axis: -3",
        "shape { } axis: 1 num_axes: 0",
        "shape { dim: 1 dim: 1 } axis: 0 num_axes: 0",
        "shape { dim: 3 dim: -1 dim: 1 } axis: 1 num_axes: 1",
        "shape { dim: 0 dim: -1 } axis: 2",
    )
    cases = [one("Reshape", f"reshape_param {{ {text} }}", shape) for text in texts]
    ends = ((0, 0), (0, 1), (0, -1), (1, 1), (1, 2), (2, 3), (-2, -1), (3, 3))
    cases += [one("Flatten", f"flatten_param {{ axis: {first} end_axis: {last} }}", shape) for first, last in ends]
    body = layer(
        "DummyData", "dummy_data_param { num: 2 channels: 3 height: 1 width: 2 data_filler { value: 0.5 } }", "", "x"
    ) + layer("Power", "power_param { power: 2 }")
    return [*cases, Case("DummyData with old dimensions", {}, body)]


CASES = [*movers(), *odd_movers(), *sources(), *reshapings()]
