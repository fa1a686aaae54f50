"""Layers against formulas and finite differences, and what the conformance cases can't express."""

from __future__ import annotations

import genuine_python
import numpy as np
import pytest
import torch
from engine_cases import Case, differences, layer, ours, run_genuine

from pycaffe_ext.engine.core.net import Net
from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import array_to_blob, caffe_pb2, parse, write_message

TRAIN = caffe_pb2.TRAIN


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def normalised(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    return (x - x.mean(axes, keepdims=True)) / (x.std(axes, keepdims=True) + 1e-9)


def across(x: np.ndarray) -> np.ndarray:
    return normalised(x, tuple(range(1, x.ndim)))


def pushed_apart(x: np.ndarray) -> np.ndarray:
    return (np.maximum(0, 4 - np.abs(x[:, 0] - x[:, 1])) ** 2).mean() / 2


ZEROS = layer("DummyData", 'dummy_data_param { shape { dim: 4 } data_filler { type: "constant" } }', "", "t")


FORMULAS = {
    "Clip": (layer("Clip", "clip_param { min: -0.5 max: 0.8 }"), (3, 4, 5), lambda x: np.clip(x, -0.5, 0.8)),
    "Swish": (layer("Swish"), (3, 4, 5), lambda x: x * sigmoid(x)),
    "Swish beta": (layer("Swish", "swish_param { beta: 1.7 }"), (9,), lambda x: x * sigmoid(1.7 * x)),
    "MVN": (layer("MVN"), (2, 3, 4, 5), lambda x: normalised(x, (2, 3))),
    "MVN across": (layer("MVN", "mvn_param { across_channels: true }"), (2, 3, 4), lambda x: across(x)[..., None]),
    "SUMSQ": (
        layer("Reduction", "reduction_param { operation: SUMSQ axis: 1 coeff: 0.5 }"),
        (3, 4),
        lambda x: 0.5 * (x**2).sum(1),
    ),
    "ASUM": (layer("Reduction", "reduction_param { operation: ASUM axis: -1 }"), (2, 3, 4), lambda x: np.abs(x).sum(2)),
    "MEAN": (layer("Reduction", "reduction_param { operation: MEAN }"), (2, 3), lambda x: x.mean()),
    "Tile": (layer("Tile", "tile_param { axis: 1 tiles: 3 }"), (2, 3, 2), lambda x: np.tile(x, (1, 3, 1))),
    "Contrastive": (
        layer("Slice", "slice_param { axis: 1 }", "x", "a b")
        + ZEROS
        + layer("ContrastiveLoss", "contrastive_loss_param { margin: 4 }", "a b t"),
        (4, 2),
        pushed_apart,
    ),
}


def net_of(text: str, shape: tuple[int, ...]) -> Net:
    inputs = layer("Input", f"input_param {{ shape {{{''.join(f' dim: {n}' for n in shape)} }} }}", "", "x")
    return Net(parse("force_backward: true\n" + inputs + text, caffe_pb2.NetParameter()), TRAIN)


@pytest.mark.parametrize("text, shape, formula", FORMULAS.values(), ids=FORMULAS)
def test_value_and_slope_are_the_formulas(text, shape, formula):
    """The slope by central differences in float64, along every input value."""
    x = np.random.default_rng(4).standard_normal(shape).astype(np.float32)
    net = net_of(text, shape)
    net.blobs["x"].data = torch.from_numpy(x.copy())
    net.forward()
    top = net.blobs["y"]
    np.testing.assert_allclose(top.data.numpy(), formula(x.astype(np.float64)), rtol=1e-5, atol=1e-6)
    if not net.loss_weights["y"]:
        top.diff = torch.from_numpy(np.random.default_rng(5).standard_normal(top.shape).astype(np.float32))
    above, slopes = top.diff.numpy().astype(np.float64), np.zeros(shape)
    net.backward()
    for place in np.ndindex(shape):
        step = np.zeros(shape)
        step[place] = 1e-6
        slopes[place] = ((formula(x + step) - formula(x - step)) * above).sum() / 2e-6
    np.testing.assert_allclose(net.blobs["x"].diff.numpy(), slopes, rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize("kind, text", [("MVN", ""), ("MVN", "mvn_param { across_channels: true }"), ("Swish", "")])
def test_in_place_gives_what_out_of_place_gives(kind, text, tmp_path):
    x, above = (np.random.default_rng(i).standard_normal((2, 3, 4, 5)).astype(np.float32) for i in range(2))
    found = []
    for top in ("y", "x"):
        net = net_of(layer(kind, text, tops=top), x.shape)
        net.blobs["x"].data = torch.from_numpy(x.copy())
        net.forward()
        out = net.blobs[top].data.numpy().copy()
        net.blobs[top].diff = torch.from_numpy(above.copy())
        net.backward()
        found.append((out, net.blobs["x"].diff.numpy()))
    for there, here in zip(*found, strict=True):
        np.testing.assert_allclose(there, here, rtol=1e-6, atol=1e-7)


def test_clip_passes_nan_on():
    net = net_of(layer("Clip", "clip_param { min: 0 max: 1 }"), (2,))
    net.blobs["x"].data = torch.tensor([float("nan"), 3.0])
    net.forward()
    assert net.blobs["y"].data.isnan().tolist() == [True, False]


def test_indices_lose_their_fractions_and_stay_inside():
    text = layer("Input", "input_param { shape { dim: 2 } }", "", "i", "order") + layer("Sigmoid", tops="s")
    net = net_of(text + layer("BatchReindex", "", "s i"), (3, 2))
    net.blobs["x"].data.normal_()
    net.blobs["i"].data = torch.tensor([2.9, 0.5])
    net.forward()
    assert torch.equal(net.blobs["y"].data, net.blobs["s"].data[[2, 0]])
    for wrong in (-0.5, 3.0, float("nan")):
        net.blobs["i"].data[0] = wrong
        with pytest.raises(UserError, match="'batchreindex'.*indices must lie in 0..2"):
            net.forward()


def test_a_filter_that_chooses_nothing_has_no_items():
    text = layer("Input", "input_param { shape { dim: 3 } }", "", "i", "selector") + layer("Sigmoid", tops="s")
    net = net_of(text + layer("Filter", "", "s i"), (3, 2))
    assert net.blobs["y"].shape == (3, 2)  # while the net is built
    net.forward()
    assert net.blobs["y"].shape == (0, 2)
    net.layers[-1].backward([net.blobs["y"]], [True, False], [net.blobs["s"], net.blobs["i"]])
    assert not net.blobs["s"].diff.any()  # where the genuine engine divides by zero
    net.blobs["i"].data = torch.tensor([0.0, 2.0, 0.0])
    net.forward()
    assert torch.equal(net.blobs["y"].data, net.blobs["s"].data[1:2])


def test_pyramid_gives_the_same_length_for_every_size():
    net = net_of(layer("SPP", "spp_param { pyramid_height: 3 }"), (2, 3, 16, 12))
    for shape in ((2, 3, 16, 12), (1, 3, 9, 20), (4, 3, 33, 33)):
        net.blobs["x"].data = torch.rand(shape)
        net.forward()
        assert net.blobs["y"].shape == (shape[0], 3 * 21)
        assert net.blobs["y"].data[:, :3].equal(net.blobs["x"].data.amax((2, 3)))


# ---- files and several passes, in both engines

MATRICES = {"identity": np.eye(3), "costs": np.array([[1, 0.2, -0.5], [0, 2, 0.1], [0.3, 0, 1.5]])}


@pytest.mark.genuine
@pytest.mark.parametrize("dims", [(3, 3), (1, 1, 3, 3)])
@pytest.mark.parametrize("matrix", MATRICES)
def test_infogain_matrix_from_a_file(tmp_path, matrix, dims):
    file = tmp_path / "h.binaryproto"
    write_message(file, array_to_blob(MATRICES[matrix].reshape(dims)))
    text = layer("InfogainLoss", f'infogain_loss_param {{ source: "{file}" }} loss_param {{ ignore_label: 2 }}', "x t")
    case = Case("InfogainLoss by a file", {"x": (5, 3, 2), "t": (5, 2)}, text, labels={"t": 3})
    mine = ours(case, tmp_path / "case")
    run_genuine([tmp_path / "case"])
    assert not differences(mine, tmp_path / "case" / "out.npz")


def test_infogain_with_the_identity_is_the_softmax_loss(tmp_path):
    write_message(tmp_path / "h", array_to_blob(np.eye(4)))
    losses = (
        layer("InfogainLoss", f'infogain_loss_param {{ source: "{tmp_path / "h"}" }}', "x t"),
        layer("SoftmaxWithLoss", "", "x t"),
    )
    shapes = {"x": (3, 4, 5), "t": (3, 5)}
    a, b = (ours(Case("the same", shapes, loss, labels={"t": 4}), tmp_path) for loss in losses)
    for key in ("data:y", "diff:x"):
        np.testing.assert_allclose(a[key], b[key], rtol=1e-5, atol=1e-7)


PASSES = """
import sys, caffe, numpy
given = numpy.load(sys.argv[2])
net = caffe.Net(sys.argv[1], caffe.TRAIN)
for name, blobs in net.params.items():
    for i, blob in enumerate(blobs):
        blob.data[...] = given["%s:%d" % (name, i)]
net.blobs["x"].data[...] = given["x"]
for i in range(3):
    net.forward()
    net.backward()
numpy.savez(sys.argv[3], **{"%s:%d" % (n, i): b.diff for n, bs in net.params.items() for i, b in enumerate(bs)})
"""


@pytest.mark.genuine
@pytest.mark.parametrize("shared", ["", 'param { name: "w" }'])
def test_gradients_of_parameters_over_several_passes(tmp_path, shared):
    """A Parameter's gradient is replaced by each pass, an InnerProduct's is added up; shared, their order decides."""
    product = f"inner_product_param {{ num_output: 3 bias_term: false }} {shared}"
    text = (
        layer("Parameter", f"parameter_param {{ shape {{ dim: 3 dim: 4 }} }} {shared}", "", "p")
        + layer("InnerProduct", product, "x", "a", "low")
        + layer("Scale", "scale_param { axis: 0 }", "x p", "s")
        + layer("Reduction", "reduction_param { operation: SUMSQ } loss_weight: 1", "s", "first", "first")
        + layer("InnerProduct", product, "x", "b", "high")
        + layer("Eltwise", "eltwise_param { operation: PROD }", "a b", "c")
        + layer("Reduction", "loss_weight: 1", "c", "second", "second")
    )
    net, rng = net_of(text, (3, 4)), np.random.default_rng(6)
    layers = {each.name: each for each in net.layers if each.blobs}
    given = {f"{name}:0": rng.standard_normal((3, 4)).astype(np.float32) for name in layers}
    if shared:
        given = dict.fromkeys(given, next(iter(given.values())))
    given["x"] = rng.standard_normal((3, 4)).astype(np.float32)
    np.savez(tmp_path / "in.npz", **given)
    for name, each in layers.items():
        each.blobs[0].data.copy_(torch.from_numpy(given[f"{name}:0"]))
    net.blobs["x"].data = torch.from_numpy(given["x"].copy())
    for _ in range(3):
        net.forward()
        net.backward()
    head = layer("Input", "input_param { shape { dim: 3 dim: 4 } }", "", "x")
    (tmp_path / "net.prototxt").write_text("force_backward: true\n" + head + text)
    genuine_python.run("-c", PASSES, *(tmp_path / n for n in ("net.prototxt", "in.npz", "out.npz")))
    theirs = np.load(tmp_path / "out.npz")
    assert sorted(theirs.files) == ["high:0", "low:0", "parameter:0"]
    for name, each in layers.items():
        np.testing.assert_allclose(each.blobs[0].diff.numpy(), theirs[f"{name}:0"], rtol=1e-4, atol=1e-5)
