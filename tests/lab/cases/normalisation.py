"""LRN, BatchNorm, Scale and Bias."""

from __future__ import annotations

import itertools

from engine_cases import Case, layer, one


def lrns() -> list[Case]:
    cases = []
    for size, channels in itertools.product((1, 3, 5, 7), (1, 2, 6, 9)):
        text = f"lrn_param {{ local_size: {size} alpha: 0.3 }}"
        cases.append(one("LRN", text, (2, channels, 4, 5)))
    cases += [
        one("LRN", f"lrn_param {{ {text} }}", (2, 6, 5, 4))
        for text in (
            "alpha: 1e-4",
            "alpha: 0.5 beta: 0.5 k: 2",
            "beta: 1.3 alpha: 0.2",
            "norm_region: WITHIN_CHANNEL local_size: 3 alpha: 0.4",
            "norm_region: WITHIN_CHANNEL local_size: 5 alpha: 1 beta: 0.6",
        )
    ]
    return cases


def scales() -> list[Case]:
    cases = []
    for tops, text in itertools.product(
        ("y", "x"), ("", "axis: 0", "axis: 1 num_axes: 2", "num_axes: -1", "axis: 0 num_axes: 0", "axis: -1")
    ):
        cases.append(one("Bias", f"bias_param {{ {text} }}", tops=tops))
        cases += [one("Scale", f"scale_param {{ {text} bias_term: {bias} }}", tops=tops) for bias in ("true", "false")]
    for kind, (axis, shape) in itertools.product(("Scale", "Bias"), ((0, (2, 3)), (1, (3, 4)), (0, (2, 3, 4, 2)))):
        text = layer(kind, f"{kind.lower()}_param {{ axis: {axis} }}", "x z")
        cases.append(Case(f"{kind} by a bottom {shape}", {"x": (2, 3, 4, 2), "z": shape}, text))
    settings = (
        "",
        "batch_norm_param { use_global_stats: true }",
        "batch_norm_param { use_global_stats: false eps: 0.1 }",
        "batch_norm_param { moving_average_fraction: 0.5 }",
    )
    for text, phase, tops in itertools.product(settings, ("TRAIN", "TEST"), ("y", "x")):
        cases.append(one("BatchNorm", text, (4, 3, 5, 4), tops, phase=phase))
    cases.append(one("BatchNorm", "", (6, 4)))
    return cases


def odd_lrns() -> list[Case]:
    """Both regions at odd sizes, windows wider than the blob, batches of 1."""
    shapes = ((1, 1, 3, 7), (1, 7, 6, 5), (3, 4, 1, 9))
    grid = itertools.product(("ACROSS_CHANNELS", "WITHIN_CHANNEL"), (3, 5, 9), shapes)
    return [
        one("LRN", f"lrn_param {{ norm_region: {region} local_size: {size} alpha: 0.7 beta: 0.6 }}", shape)
        for region, size, shape in grid
    ]


CASES = [*lrns(), *odd_lrns(), *scales()]
