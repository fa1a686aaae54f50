"""Each layer against the genuine Caffe: forward, gradients to bottoms and to parameters, within 1e-5."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from engine_cases import Case, differences, ours, run_genuine

from pycaffe_ext.training import genuine

needs_genuine = pytest.mark.skipif(not genuine.installed(), reason="the genuine Caffe is not installed (make caffe)")


def layer(kind: str, settings: str = "", bottoms: str = "x", tops: str = "y") -> str:
    """One layer's prototxt; bottoms and tops are separated by blanks."""
    ends = "".join(f' bottom: "{b}"' for b in bottoms.split()) + "".join(f' top: "{t}"' for t in tops.split())
    return f'layer {{ name: "{kind.lower()}" type: "{kind}"{ends} {settings} }}'


def one(kind: str, settings: str = "", shape: tuple[int, ...] = (2, 3, 7, 6), tops: str = "y", **rest) -> Case:
    return Case(f"{kind} {settings} {shape} -> {tops} {rest.get('phase', '')}", {"x": shape},
                layer(kind, settings, tops=tops), **rest)


def convolutions() -> list[Case]:
    cases = []
    grid = itertools.product((1, 3), (1, 2), (0, 2), (1, 2), (1, 2))
    for kernel, stride, pad, dilation, group in grid:
        text = (f"convolution_param {{ num_output: 4 kernel_size: {kernel} stride: {stride} pad: {pad}"
                f" dilation: {dilation} group: {group} }}")
        cases.append(one("Convolution", text, (2, 4, 9, 8)))
        if stride == 1 or kernel == 3:
            cases.append(one("Deconvolution", text.replace("pad: 2", "pad: 1"), (2, 4, 5, 6)))
    extra = (
        "num_output: 3 kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 1 pad_h: 1 pad_w: 0",
        "num_output: 5 kernel_size: 3 kernel_size: 2 pad: 1 pad: 1 bias_term: false",
        "num_output: 2 kernel_size: 11 stride: 4",
    )
    cases += [one("Convolution", f"convolution_param {{ {text} }}", (1, 3, 15, 19)) for text in extra]
    cases += [one("Convolution", "convolution_param { num_output: 2 kernel_size: 3 pad: 1 }", shape)
              for shape in ((2, 3, 9), (1, 2, 5, 4, 6))]
    cases.append(one("Convolution", "convolution_param { num_output: 2 kernel_size: 3 axis: 2 }", (2, 3, 4, 5, 6)))
    text = layer("Convolution", "convolution_param { num_output: 2 kernel_size: 3 }", "x z", "y w")
    cases.append(Case("Convolution of two bottoms", {"x": (2, 3, 5, 5), "z": (2, 3, 5, 5)}, text))
    return cases


def inner_products() -> list[Case]:
    settings = ("num_output: 5", "num_output: 5 transpose: true", "num_output: 4 axis: 2", "num_output: 3 axis: -1",
                "num_output: 5 bias_term: false")
    shapes = ((2, 3, 4, 2), (1, 3, 4, 2))
    return [one("InnerProduct", f"inner_product_param {{ {text} }}", shape)
            for text, shape in itertools.product(settings, shapes)]


def poolings() -> list[Case]:
    cases = []
    grid = itertools.product(("MAX", "AVE"), ((3, 2, 0), (3, 2, 1), (2, 2, 0), (3, 3, 2), (2, 1, 1), (5, 3, 2), (4, 2, 3)),
                             ((2, 3, 7, 6), (1, 2, 13, 13), (1, 1, 8, 5)))
    for pool, (kernel, stride, pad), shape in grid:
        text = f"pooling_param {{ pool: {pool} kernel_size: {kernel} stride: {stride} pad: {pad} }}"
        cases.append(one("Pooling", text, shape))
    text = "pooling_param { pool: %s kernel_h: 3 kernel_w: 2 stride_h: 1 stride_w: 2 pad_h: 1 pad_w: 1 }"
    cases += [one("Pooling", text % pool) for pool in ("MAX", "AVE")]
    cases += [one("Pooling", f"pooling_param {{ pool: {pool} global_pooling: true }}") for pool in ("MAX", "AVE")]
    cases.append(one("Pooling", "pooling_param { pool: MAX kernel_size: 3 stride: 2 }", tops="y mask"))
    cases.append(one("Pooling", "pooling_param { pool: MAX kernel_size: 3 stride: 2 pad: 1 }", tops="y mask"))
    cases.append(one("Pooling", "pooling_param { pool: AVE kernel_size: 3 stride: 2 round_mode: FLOOR }"))
    ties = np.random.default_rng(0).integers(0, 2, (2, 3, 7, 6))
    cases.append(one("Pooling", "pooling_param { pool: MAX kernel_size: 3 stride: 1 pad: 1 } ", values={"x": ties}))
    return cases


def normalisations() -> list[Case]:
    cases = []
    for size, channels in itertools.product((1, 3, 5, 7), (1, 2, 6, 9)):
        text = f"lrn_param {{ local_size: {size} alpha: 0.3 }}"
        cases.append(one("LRN", text, (2, channels, 4, 5)))
    cases += [one("LRN", f"lrn_param {{ {text} }}", (2, 6, 5, 4))
              for text in ("alpha: 1e-4", "alpha: 0.5 beta: 0.5 k: 2", "beta: 1.3 alpha: 0.2",
                           "norm_region: WITHIN_CHANNEL local_size: 3 alpha: 0.4",
                           "norm_region: WITHIN_CHANNEL local_size: 5 alpha: 1 beta: 0.6")]
    return cases


def neurons() -> list[Case]:
    cases = []
    for tops in ("y", "x"):
        cases += [one(kind, settings, tops=tops) for kind, settings in (
            ("ReLU", ""), ("ReLU", "relu_param { negative_slope: 0.2 }"), ("Sigmoid", ""), ("TanH", ""))]
        cases.append(one("Dropout", "", tops=tops, phase="TEST"))
        cases += [one("Softmax", f"softmax_param {{ axis: {axis} }}", tops=tops) for axis in (1, 2, -1, 0)]
    return cases


def losses() -> list[Case]:
    cases = []
    options = ("", "loss_param { normalization: FULL }", "loss_param { normalization: BATCH_SIZE }",
               "loss_param { normalization: NONE }", "loss_param { ignore_label: 2 }", "loss_weight: 0.3",
               "loss_param { normalize: false }", "loss_param { ignore_label: 0 normalization: FULL }")
    for text, shape in itertools.product(options, ((4, 5), (2, 5, 3, 2), (1, 5))):
        labels = (shape[0], *shape[2:])
        cases.append(Case(f"SoftmaxWithLoss {text} {shape}", {"x": shape, "t": labels},
                          layer("SoftmaxWithLoss", text, "x t"), labels={"t": 5}, scale=3))
    cases.append(Case("SoftmaxWithLoss axis 2", {"x": (2, 3, 4), "t": (2, 3)},
                      layer("SoftmaxWithLoss", "softmax_param { axis: 2 }", "x t"), labels={"t": 4}))
    cases.append(Case("SoftmaxWithLoss far apart", {"x": (4, 3), "t": (4,)}, layer("SoftmaxWithLoss", "", "x t"),
                      labels={"t": 3}, scale=200))
    return cases


def accuracies() -> list[Case]:
    cases = []
    ties = np.random.default_rng(1).integers(0, 3, (6, 5))
    for text, tops in itertools.product(("", "top_k: 2", "ignore_label: 1", "top_k: 3 ignore_label: 0"), ("y", "y z")):
        body = layer("Accuracy", f"accuracy_param {{ {text} }}", "x t", tops)
        for name, values in (("plain", {}), ("ties", {"x": ties})):
            cases.append(Case(f"Accuracy {text} {tops} {name}", {"x": (6, 5), "t": (6,)}, body, labels={"t": 5},
                              values=values, phase="TEST", force=False))
    body = layer("Accuracy", "accuracy_param { axis: 1 }", "x t")
    cases.append(Case("Accuracy in space", {"x": (2, 4, 3, 3), "t": (2, 3, 3)}, body, labels={"t": 4}, force=False))
    return cases


def movers() -> list[Case]:
    three = {"x": (2, 3, 4, 2), "z": (2, 3, 4, 2), "w": (2, 3, 4, 2)}
    cases = [Case(f"Concat {axis}", three, layer("Concat", f"concat_param {{ axis: {axis} }}", "x z w"))
             for axis in (0, 1, 2, -1)]
    uneven = {"x": (2, 3, 2, 2), "z": (2, 1, 2, 2)}
    cases.append(Case("Concat uneven", uneven, layer("Concat", "", "x z")))
    cases += [one("Slice", f"slice_param {{ {text} }}", (4, 6, 2, 2), tops) for text, tops in (
        ("axis: 1", "y z"), ("axis: 0", "y z"), ("slice_point: 1 slice_point: 4", "y z w"), ("slice_dim: 0", "y z"))]
    cases += [Case(f"Eltwise {text}", three, layer("Eltwise", f"eltwise_param {{ {text} }}", "x z w"))
              for text in ("", "operation: PROD", "operation: PROD stable_prod_grad: false", "operation: MAX",
                           "coeff: 0.5 coeff: -1 coeff: 2")]
    cases += [one("Flatten", text, (2, 3, 4, 2)) for text in
              ("", "flatten_param { axis: 2 }", "flatten_param { axis: 0 end_axis: 1 }")]
    cases += [one("Reshape", f"reshape_param {{ {text} }}", (2, 8, 3, 4)) for text in (
        "shape { dim: 0 dim: -1 }", "shape { dim: 4 dim: 4 dim: 12 }", "shape { dim: 2 dim: 4 } axis: 1 num_axes: 1",
        "shape { dim: 1 } axis: -1 num_axes: 0", "shape { dim: 6 dim: -1 } axis: 2")]
    split = layer("Split", tops="y z w")
    cases.append(Case("Split", {"x": (2, 3, 4)}, split))
    cases.append(Case("Silence", {"x": (2, 3), "z": (2, 3)}, layer("Silence", bottoms="z", tops="")
                      + layer("Sigmoid")))
    return cases


CASES = [case for make in (convolutions, inner_products, poolings, normalisations, neurons, losses, accuracies, movers)
         for case in make()]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Index of a case -> what differs from the genuine engine."""
    root = tmp_path_factory.mktemp("cases")
    mine = [ours(case, root / str(i)) for i, case in enumerate(CASES)]
    run_genuine([root / str(i) for i in range(len(CASES))])
    return [differences(out, root / str(i) / "out.npz", CASES[i].tolerance) for i, out in enumerate(mine)]


@needs_genuine
@pytest.mark.genuine
@pytest.mark.parametrize("index", range(len(CASES)), ids=[case.name for case in CASES])
def test_layer_is_the_genuine_one(results, index):
    assert not results[index]
