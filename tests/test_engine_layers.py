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
    windows = ((3, 2, 0), (3, 2, 1), (2, 2, 0), (3, 3, 2), (2, 1, 1), (5, 3, 2), (4, 2, 3))
    shapes = ((2, 3, 7, 6), (1, 2, 13, 13), (1, 1, 8, 5))
    for pool, (kernel, stride, pad), shape in itertools.product(("MAX", "AVE"), windows, shapes):
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


def scales() -> list[Case]:
    cases = []
    for tops, text in itertools.product(("y", "x"), ("", "axis: 0", "axis: 1 num_axes: 2", "num_axes: -1",
                                                     "axis: 0 num_axes: 0", "axis: -1")):
        cases.append(one("Bias", f"bias_param {{ {text} }}", tops=tops))
        cases += [one("Scale", f"scale_param {{ {text} bias_term: {bias} }}", tops=tops) for bias in ("true", "false")]
    for kind, (axis, shape) in itertools.product(("Scale", "Bias"), ((0, (2, 3)), (1, (3, 4)), (0, (2, 3, 4, 2)))):
        text = layer(kind, f"{kind.lower()}_param {{ axis: {axis} }}", "x z")
        cases.append(Case(f"{kind} by a bottom {shape}", {"x": (2, 3, 4, 2), "z": shape}, text))
    settings = ("", "batch_norm_param { use_global_stats: true }",
                "batch_norm_param { use_global_stats: false eps: 0.1 }",
                "batch_norm_param { moving_average_fraction: 0.5 }")
    for text, phase, tops in itertools.product(settings, ("TRAIN", "TEST"), ("y", "x")):
        cases.append(one("BatchNorm", text, (4, 3, 5, 4), tops, phase=phase))
    cases.append(one("BatchNorm", "", (6, 4)))
    return cases


def other_losses() -> list[Case]:
    pair = {"x": (4, 5), "t": (4, 5)}
    cases = [Case("EuclideanLoss", pair, layer("EuclideanLoss", "", "x t")),
             Case("EuclideanLoss weighted", pair, layer("EuclideanLoss", "loss_weight: 0.2", "x t"))]
    cases += [Case(f"SigmoidCrossEntropyLoss {text}", pair, layer("SigmoidCrossEntropyLoss", text, "x t"),
                   labels={"t": 2}, scale=4)
              for text in ("", "loss_param { normalization: FULL }", "loss_param { normalization: VALID }",
                           "loss_param { ignore_label: 1 normalization: VALID }", "loss_param { normalize: true }")]
    cases += [Case(f"HingeLoss {norm}", {"x": (4, 5), "t": (4,)},
                   layer("HingeLoss", f"hinge_loss_param {{ norm: {norm} }}", "x t"), labels={"t": 5})
              for norm in ("L1", "L2")]
    return cases


def sources() -> list[Case]:
    dummy = layer("DummyData", """dummy_data_param { shape { dim: 2 dim: 3 } shape { dim: 2 }
      data_filler { type: "constant" value: 0.7 } data_filler { type: "constant" value: 2 } }""", "", "x t")
    cases = [Case("DummyData", {}, dummy + layer("SoftmaxWithLoss", "", "x t"))]
    cases += [one("ArgMax", f"argmax_param {{ {text} }}", (3, 4, 5), force=False) for text in
              ("", "top_k: 3", "top_k: 2 out_max_val: true", "axis: 1 top_k: 2", "axis: -1 out_max_val: true")]
    return cases


MAKERS = (convolutions, inner_products, poolings, normalisations, neurons, losses, accuracies, movers, elementwise,
          scales, other_losses, sources)
CASES = [case for make in MAKERS for case in make()]


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


@pytest.mark.parametrize("kind, text", [("BNLL", ""), ("Power", "power_param { power: 3 scale: 0.5 shift: 2 }")])
def test_gradient_in_place_is_the_one_out_of_place(kind, text, tmp_path):
    there, here = (ours(one(kind, text, tops=tops), tmp_path / tops) for tops in ("y", "x"))
    given = [np.load(tmp_path / tops / "in.npz")[f"diff:{tops}"] for tops in ("y", "x")]
    slopes = there["diff:x"] / given[0], here["diff:x"] / given[1]
    np.testing.assert_allclose(*slopes, rtol=1e-3)
