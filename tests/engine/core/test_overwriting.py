"""Memory shared between blobs, gradients and what a backward pass still needs."""

from __future__ import annotations

import gc
import itertools
import weakref

import numpy as np
import pytest
import torch
from cases.sharing import conv
from engine_cases import Case, layer, ours
from oracle import overwriting

from pycaffe_ext import glog
from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.core.net import Net
from pycaffe_ext.engine.core.net_log import build_net
from pycaffe_ext.engine.core.overwritten_in_caffe import warnings
from pycaffe_ext.proto import caffe_pb2, parse

TRAIN, TEST = caffe_pb2.TRAIN, caffe_pb2.TEST
CHAIN = conv("a", "x") + "".join(layer(kind, "", "a", "a") for kind in ("BatchNorm", "Scale", "ReLU"))


def make(text: str, phase: int = TRAIN, **shapes: tuple[int, ...]) -> Net:
    return Net(parse(Case("net", shapes, text).prototxt(), caffe_pb2.NetParameter()), phase)


def fill(net: Net, **values: object) -> None:
    for name, value in values.items():
        net.blobs[name].data = torch.tensor(value, dtype=torch.float32).reshape(net.blobs[name].shape)


def backward(net: Net, **diffs: object) -> None:
    for name, value in diffs.items():
        net.blobs[name].diff = torch.tensor(value, dtype=torch.float32).reshape(net.blobs[name].shape)
    net.backward()


@pytest.mark.parametrize("behind", ["ReLU", "Dropout"])
def test_batch_statistics_and_then_a_layer_in_place(behind):
    net = make(layer("BatchNorm", "", "d", "b") + layer(behind, "", "b", "b"), d=(4, 1))
    torch.manual_seed(1)
    fill(net, d=[1, 2, 4, 9])
    net.forward()
    backward(net, b=[1, 0, 2, -1])
    genuine = [-0.0470, -0.0043, 0.0811, -0.0299]  # with the ReLU
    if behind == "ReLU":
        np.testing.assert_allclose(net.blobs["d"].diff.flatten(), genuine, atol=5e-5)
    else:
        normal = (np.array([1, 2, 4, 9]) - 4) / np.sqrt(9.5 + 1e-5)
        given = np.array([1, 0, 2, -1]) * net.layers[2]._mask.flatten().numpy()
        true = (given - given.mean() - normal * (given * normal).mean()) / np.sqrt(9.5 + 1e-5)
        np.testing.assert_allclose(net.blobs["d"].diff.flatten(), true, atol=1e-5)


def test_gradients_of_a_sum_are_apart():
    text = layer("ReLU", "", "e", "e") + layer("Bias", "bias_param { axis: 0 }", "e p", "y")
    net = make(text, e=(4,), p=(4,))
    fill(net, e=[1, -1, 1, -1], p=[0, 0, 0, 0])
    net.forward()
    backward(net, y=[1, 2, 3, 4])
    assert net.blobs["e"].diff.tolist() == [1, 0, 3, 0]
    assert net.blobs["p"].diff.tolist() == [1, 2, 3, 4] and net.blobs["y"].diff.tolist() == [1, 2, 3, 4]


def test_a_learned_term_as_large_as_the_bottom_has_a_gradient_of_its_own():
    net = make(layer("Bias", "bias_param { axis: 0 num_axes: -1 }"), x=(2, 2))
    fill(net, x=[1, 2, 3, 4])
    for _ in range(2):  # as with iter_size
        net.forward()
        backward(net, y=[1, 2, 3, 4])
    assert net.layers[1].blobs[0].diff.flatten().tolist() == [2, 4, 6, 8]
    assert net.blobs["x"].diff.flatten().tolist() == [1, 2, 3, 4]


def test_a_loss_weight_outlives_a_layer_in_place_below_a_view():
    text = layer("TanH", "", "x", "a") + layer("ReLU", "", "a", "a") + layer("Flatten", "loss_weight: 2", "a", "y")
    net = make(text, x=(2, 1, 2))
    fill(net, x=[-1, 1, -2, 2])
    first = net.forward()
    net.backward()
    fill(net, x=[-1, 1, -2, 2])
    assert net.forward() == first and net.blobs["y"].diff.tolist() == [[2, 2], [2, 2]]


APART = [row for row in overwriting.pairs("TRAIN") if row.case.force][::5]


@pytest.mark.parametrize("row", APART, ids=[row.name for row in APART])
def test_in_place_is_as_out_of_place(row, tmp_path):
    """Whatever the second layer is; the genuine engine is asked in the conformance suite."""
    kind = row.case.layers.splitlines()[-1]
    apart = Case(
        row.name,
        row.case.shapes,
        row.case.layers.replace(kind, kind.replace('top: "y"', 'top: "yy"')),
        "TRAIN",
        positive=row.case.positive,
        values=row.case.values,
        params=row.case.params,
    )
    here, there = ours(row.case, tmp_path / "here"), ours(apart, tmp_path / "there")
    np.testing.assert_allclose(here["data:y"], there["data:yy"], rtol=1e-5, atol=1e-6)
    for key in [key for key in here if key.startswith(("grad:", "diff:x", "diff:p", "diff:q"))]:
        np.testing.assert_allclose(here[key], there[key], rtol=1e-4, atol=1e-5, err_msg=key)


@pytest.mark.parametrize("maker", ["Sigmoid", "TanH", "LRN", "BatchNorm", "ReLU", "Softmax", "MVN", "Swish"])
def test_dropout_behind_it_and_other_orders_of_passes(maker):
    """Random values, a backward pass twice, passes in two parts: the same as out of place."""
    found = []
    for top in ("y", "z"):
        net = make(conv("a", "x") + layer(maker, "", "a") + layer("Dropout", "", "y", top), x=(2, 3, 4, 4))
        torch.manual_seed(2)
        net.layers[1].blobs[0].data = torch.randn(net.layers[1].blobs[0].shape)
        given = torch.randn(net.blobs["x"].shape), torch.randn(net.blobs["y"].shape)
        net.blobs["x"].data = given[0]
        net.forward(end=1)
        net.forward(start=2)
        for _ in range(2):
            net.clear_param_diffs()
            net.blobs[top].diff = given[1].clone()
            net.backward(end=2)
            net.backward(start=1)
        found.append((net.blobs["x"].diff, net.layers[1].blobs[0].diff))
    for here, there in zip(*found, strict=True):
        torch.testing.assert_close(here, there)


def test_what_was_kept_is_of_the_last_pass():
    net = make(layer("Sigmoid", "", "x", "y") + layer("Power", "power_param { scale: 3 }", "y", "y"), x=(1, 2))
    fill(net, x=[0, 1])
    net.forward()
    fill(net, x=[2, 3])
    net.forward(end=1)  # the Power, which overwrites, does not run
    backward(net, y=[1, 1])
    slope = torch.sigmoid(torch.tensor([[2.0, 3.0]]))
    torch.testing.assert_close(net.blobs["x"].diff, 3 * slope * (1 - slope))


# ---- what it costs


@pytest.mark.parametrize(
    "text, overwrites",
    [
        (conv("a", "x") + layer("ReLU", "", "a", "a"), True),
        (CHAIN, True),
        (conv("a", "x") + layer("BatchNorm", "", "a", "a") + layer("ReLU", "", "a", "a"), False),
        (layer("LRN", "", "x", "a") + layer("ReLU", "", "a", "a"), False),
        (layer("Pooling", "pooling_param { kernel_size: 2 }", "x", "a") + layer("Dropout", "", "a", "a"), True),
    ],
)
def test_memory_is_written_again_where_nobody_needs_it(text, overwrites):
    assert make(text, x=(2, 3, 4, 4)).layers[-1].may_overwrite is overwrites


def test_a_net_without_a_backward_pass_keeps_nothing():
    text = layer("LRN", "", "x", "a") + layer("ReLU", "", "a", "a")
    net = Net(parse(Case("net", {"x": (2, 3, 4, 4)}, text, force=False).prototxt(), caffe_pb2.NetParameter()), TEST)
    assert net.layers[-1].may_overwrite
    net.forward()
    assert not net._overwriting._kept


# ---- shared values


@pytest.mark.parametrize("view, settings", overwriting.VIEWS.items())
def test_a_view_and_what_it_shows_are_one_memory(view, settings):
    text = layer("TanH", "", "x", "a") + layer(view, settings, "a", "v") + layer("Sigmoid", "", "v", "v")
    net = make(text, x=(2, 3, 4, 4))
    fill(net, x=torch.randn(96).tolist())
    net.forward()
    np.testing.assert_array_equal(net.blobs["a"].data.flatten(), net.blobs["v"].data.flatten())
    torch.testing.assert_close(net.blobs["v"].data.flatten(), torch.sigmoid(net.blobs["x"].data.tanh()).flatten())


def test_blobs_of_one_memory_part_when_one_is_given_up_or_resized():
    first, second = Blob((2, 3)), Blob((6,))
    second.share_data(first)
    first.data = torch.arange(6.0).reshape(2, 3)
    assert second.data.tolist() == [0, 1, 2, 3, 4, 5]
    second.data[1] = 9
    assert first.data[0, 1] == 9
    second.release()
    assert first.data[0, 1] == 9 and not second.holds_data and not second.data.any()
    second.share_data(first)
    second.reshape((4,))
    assert second.data.shape == (4,) and first.data.shape == (2, 3)


# ---- warnings


def warned(maker: overwriting.Maker, follower: str, settings: str) -> bool:
    case = overwriting.pair(maker, follower, settings, "TRAIN").case
    return bool(list(warnings(Net(parse(case.prototxt(), caffe_pb2.NetParameter()), TRAIN))))


def test_just_what_the_genuine_engine_spoils_is_warned_of():
    wrong = []
    for maker, follower in itertools.product(overwriting.MAKERS, overwriting.FOLLOWERS):
        positive = maker.kind == "Power" and follower[0] in overwriting.KEEP_POSITIVE  # the engine cannot know
        same = maker.kind == "MVN" and follower[0] == "BatchNorm"
        if not (positive or same) and warned(maker, *follower) != overwriting.spoilt(maker, *follower, "TRAIN"):
            wrong.append((maker.name, *follower))
    assert not wrong


def test_the_warning_names_both_layers(capsys):
    text = layer("Sigmoid", "", "x", "y", "squash") + layer("Scale", "", "y", "y", "stretch")
    param = parse(Case("net", {"x": (2, 3)}, text).prototxt(), caffe_pb2.NetParameter())
    before = glog.set_min_level(1)
    try:
        build_net(param, TRAIN)
    finally:
        glog.set_min_level(before)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("W") and "'stretch'" in lines[0] and "'squash'" in lines[0]


@pytest.mark.parametrize(
    "text",
    [
        CHAIN,
        conv("a", "x") + layer("ReLU", "", "a", "a") + layer("Dropout", "", "a", "a"),
        layer("BatchNorm", "", "x", "a") + layer("ReLU", "", "a", "a"),
    ],
)
def test_no_warning_where_the_engines_agree(text):
    assert not list(warnings(make(text, x=(2, 3, 4, 4))))


def test_a_net_in_test_phase_is_not_warned_of():
    text = layer("Sigmoid", "", "x", "y") + layer("Scale", "", "y", "y")
    net = Net(parse(Case("net", {"x": (2, 3)}, text, force=False).prototxt(), caffe_pb2.NetParameter()), TEST)
    assert not list(warnings(net))


# ---- NaN


@pytest.mark.parametrize(
    "bottoms, expected",
    [
        (([1, np.nan, 1], [2, 2, np.nan], [0, 3, 0]), [2, np.nan, np.nan]),
        (([5, 5, 1], [5, 1, 5], [5, 5, 5]), [5, 5, 5]),
    ],
)
def test_the_largest_of_several_with_nan_and_ties(bottoms, expected):
    net = make(layer("Eltwise", "eltwise_param { operation: MAX }", "x z w"), x=(3,), z=(3,), w=(3,))
    fill(net, x=bottoms[0], z=bottoms[1], w=bottoms[2])
    net.forward()
    np.testing.assert_array_equal(net.blobs["y"].data, expected)
    backward(net, y=[1, 1, 1])
    total = sum(net.blobs[name].diff for name in "xzw")
    assert total.tolist() == [1, 1, 1]
    if 5 in bottoms[0]:  # of equals the second bottom, then the earlier one
        assert net.blobs["z"].diff.tolist() == [1, 0, 1] and net.blobs["x"].diff.tolist() == [0, 1, 0]


def test_infinities_where_a_product_with_zero_would_be_nan():
    net = make(layer("PReLU", "", "x", "y") + layer("Power", "power_param { scale: 0 shift: 2 }", "x", "z"), x=(1, 2))
    fill(net, x=[np.inf, -np.inf])
    net.forward()
    assert net.blobs["y"].data.tolist() == [[np.inf, -np.inf]] and net.blobs["z"].data.tolist() == [[2, 2]]


def test_a_net_goes_with_its_last_reference():
    """Else its memory, and threads that read for it, stay until the garbage collector looks."""
    net = make(CHAIN, x=(2, 3, 4, 4))
    net.forward()
    net.backward()
    gone = weakref.ref(net)
    gc.disable()
    try:
        del net
        assert gone() is None
    finally:
        gc.enable()
