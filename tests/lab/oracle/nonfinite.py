"""NaN and infinities through every layer that compares: this engine passes a NaN on, the genuine one not always.

A comparison with NaN fails, so the genuine engine's maxima skip it and a wrong number goes on as a right one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from engine_cases import Case, layer, ours, run_genuine

from oracle import Group, Outcome

IMAGE, TABLE = (2, 3, 6, 6), (6, 5)
WINDOW = "kernel_size: 2 stride: 2"
NOT_FINITE = {"NaN": (np.nan,), "infinities": (np.inf, -np.inf)}
SKIP_NAN = {  # the genuine engine does
    "Pooling MAX": ("Pooling", f"pooling_param {{ {WINDOW} }}", IMAGE),
    "SPP": ("SPP", "spp_param { pyramid_height: 2 }", IMAGE),
    "Clip": ("Clip", "clip_param { min: -0.5 max: 0.8 }", IMAGE),
    "HingeLoss": ("HingeLoss", "", TABLE),
    "Eltwise MAX": ("Eltwise", "eltwise_param { operation: MAX }", TABLE),
}
ALONE = [
    *(
        (kind, "")
        for kind in (
            "AbsVal",
            "BNLL",
            "BatchNorm",
            "Bias",
            "ELU",
            "Exp",
            "Flatten",
            "LRN",
            "Log",
            "MVN",
            "PReLU",
            "Power",
            "ReLU",
            "Scale",
            "Sigmoid",
            "Softmax",
            "Swish",
            "TanH",
        )
    ),
    ("ReLU", "relu_param { negative_slope: 0.2 }"),
    ("Threshold", "threshold_param { threshold: 0.3 }"),
    ("Power", "power_param { power: 0 }"),
    ("Power", "power_param { scale: 0 shift: 2 }"),
    ("Dropout", "dropout_param { dropout_ratio: 0 }"),
    ("Pooling", f"pooling_param {{ {WINDOW} pool: AVE }}"),
    *(("Reduction", f"reduction_param {{ axis: 1 operation: {name} }}") for name in ("ASUM", "SUMSQ", "MEAN")),
    ("Convolution", "convolution_param { num_output: 2 kernel_size: 3 }"),
]
LABELLED = ("Accuracy", "SoftmaxWithLoss", "MultinomialLogisticLoss")
DIFFER = {("ReLU", "infinities")}  # max(x, 0) + 0 * min(x, 0) there


def values(shape: tuple[int, ...], kinds: Sequence[float], seed: int = 0) -> np.ndarray:
    """Normal numbers, one in twelve of them replaced by each of `kinds`."""
    rng = np.random.default_rng(seed)
    array = rng.standard_normal(np.prod(shape)).astype(np.float32)
    share = max(1, array.size // 12)
    places = rng.permutation(array.size)
    for i, kind in enumerate(kinds):
        array[places[i * share : (i + 1) * share]] = kind
    return array.reshape(shape)


def case(kind: str, settings: str, what: str, shape: tuple[int, ...] = IMAGE) -> Case:
    """The layer over x; losses get a label t, an Eltwise two more bottoms."""
    shapes, more = {"x": shape}, {"labels": {}, "force": kind not in ("Threshold", "Accuracy")}
    if kind in (*LABELLED, "HingeLoss"):
        shapes["t"], more["labels"] = shape[:1], {"t": shape[1]}
    elif kind == "Eltwise":
        shapes.update(z=shape, w=shape)
    given = {name: values(size, NOT_FINITE[what], i) for i, (name, size) in enumerate(shapes.items()) if name != "t"}
    return Case(
        f"{kind} {settings} of {what}".replace("  ", " "),
        shapes,
        layer(kind, settings, " ".join(shapes)),
        values=given,
        **more,
    )


def groups() -> list[Group]:
    rows = [case(*row, what) for what in NOT_FINITE for row in ALONE if (row[0], what) not in DIFFER or row[1]]
    rows += [case(kind, "", what, TABLE) for what in NOT_FINITE for kind in LABELLED]
    rows += [case(*SKIP_NAN[name][:2], "infinities", SKIP_NAN[name][2]) for name in SKIP_NAN]
    measure = "the same NaN and infinities, other values within 1e-4"
    return [Group("Not finite", "NaN and infinities, forward", rows, run, measure)]


def run(cases: Sequence[Case], folder: Path) -> Iterator[Outcome]:
    mine = [ours(each, folder / str(i)) for i, each in enumerate(cases)]
    run_genuine([folder / str(i) for i in range(len(cases))])
    for i, each in enumerate(cases):
        theirs = np.load(folder / str(i) / "out.npz")["data:y"]
        same = np.allclose(mine[i]["data:y"], theirs, rtol=1e-4, atol=1e-6, equal_nan=True)
        yield Outcome(each.name, 0.0, "" if same else "data:y differs")


def passes_on(folder: Path, name: str) -> None:
    """Raise AssertionError unless NaN reach the top here, do not all there, and nothing else differs."""
    kind, settings, shape = SKIP_NAN[name]
    mine = ours(case(kind, settings, "NaN", shape), folder / "it")["data:y"]
    run_genuine([folder / "it"])
    theirs = np.load(folder / "it" / "out.npz")["data:y"]
    lost = np.isnan(mine) & ~np.isnan(theirs)
    assert lost.any(), "the genuine engine passes NaN on too"
    np.testing.assert_allclose(mine[~lost], theirs[~lost], rtol=1e-5)
