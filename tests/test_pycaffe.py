"""The pycaffe-shaped module: arrays that stay in step, files, solvers; the same numbers as the genuine module."""

from __future__ import annotations

import numpy as np
import pytest

from pycaffe_ext import caffe
from pycaffe_ext.errors import UserError

NET = """
name: "small"
layer { name: "in" type: "Input" top: "data" top: "label"
  input_param { shape { dim: 4 dim: 3 dim: 9 dim: 9 } shape { dim: 4 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 5 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""
DEPLOY = NET.replace('top: "label"', "").replace(" shape { dim: 4 }", "").rsplit("layer", 1)[0]


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(NET)
    return path


@pytest.fixture
def net(model):
    caffe.set_random_seed(3)
    net = caffe.Net(str(model), caffe.TRAIN)
    net.blobs["data"].data[...] = np.random.default_rng(0).standard_normal((4, 3, 9, 9))
    net.blobs["label"].data[...] = [0, 1, 2, 1]
    return net


def test_structure(net):
    assert net.inputs == ["data", "label"] and net.outputs == ["loss"]
    assert list(net.blobs) == ["data", "label", "conv", "fc", "loss"]
    assert [tuple(blob.shape) for blob in net.params["fc"]] == [(3, 245), (3,)]
    assert net.bottom_names["loss"] == ["fc", "label"] and net.top_names["relu"] == ["conv"]
    assert net.layer_dict["conv"].type == "Convolution" and len(net.layers) == 5
    data = net.blobs["data"]
    assert (data.num, data.channels, data.height, data.width, data.count) == (4, 3, 9, 9, 972)
    assert "Convolution" in caffe.layer_type_list()


def test_held_arrays_show_the_latest_pass(net):
    net.forward()
    fc, weight = net.blobs["fc"].data, net.params["fc"][0].data
    before = fc.copy()
    weight[...] *= 2
    net.params["fc"][1].data[...] = 0
    net.forward()
    np.testing.assert_allclose(fc, 2 * before, rtol=1e-5)
    assert fc is not before and np.shares_memory(fc, net.blobs["fc"].data)


def test_gradient_is_the_slope_of_the_loss(net):
    net.forward()
    net.backward()
    grad = net.params["conv"][0].diff.copy()
    index = np.unravel_index(np.abs(grad).argmax(), grad.shape)
    losses = []
    for step in (0.01, -0.01):
        net.params["conv"][0].data[index] += step
        losses.append(float(net.forward()["loss"]))
        net.params["conv"][0].data[index] -= step
    assert (losses[0] - losses[1]) / 0.02 == pytest.approx(grad[index], rel=0.02)


def test_gradients_add_up_until_cleared(net):
    net.forward()
    net.backward()
    once = net.params["fc"][0].diff.copy()
    net.backward()
    np.testing.assert_allclose(net.params["fc"][0].diff, 2 * once, rtol=1e-5)
    net.clear_param_diffs()
    assert not net.params["fc"][0].diff.any()


def test_start_and_end(net):
    net.forward()
    conv = net.blobs["conv"].data.copy()
    net.blobs["data"].data[...] = 0
    out = net.forward(start="fc", end="fc")
    assert set(out) == {"fc"}
    np.testing.assert_array_equal(net.blobs["conv"].data, conv)
    with pytest.raises(UserError, match="unknown layer 'fd'"):
        net.forward(start="fd")


def test_save_and_load(net, model, tmp_path):
    net.save(str(tmp_path / "a.caffemodel"))
    net.save_hdf5(str(tmp_path / "a.caffemodel.h5"))
    for name in ("a.caffemodel", "a.caffemodel.h5"):
        other = caffe.Net(str(model), str(tmp_path / name), caffe.TEST)
        for layer, blobs in net.params.items():
            for mine, its in zip(blobs, other.params[layer], strict=True):
                np.testing.assert_array_equal(mine.data, its.data)


def test_forward_all_pads_the_last_batch(net, tmp_path):
    (tmp_path / "deploy.prototxt").write_text(DEPLOY)
    deploy = caffe.Net(str(tmp_path / "deploy.prototxt"), caffe.TEST)
    deploy.share_with(net)
    images = np.random.default_rng(1).standard_normal((7, 3, 9, 9)).astype(np.float32)
    out = deploy.forward_all(data=images)["fc"]
    assert out.shape == (7, 3)
    np.testing.assert_allclose(out[4:], deploy.forward(data=np.concatenate([images[4:], images[:1]]))["fc"][:3],
                               rtol=1e-4, atol=1e-6)


def test_shared_parameters_change_together(net, tmp_path):
    (tmp_path / "deploy.prototxt").write_text(DEPLOY)
    deploy = caffe.Net(str(tmp_path / "deploy.prototxt"), caffe.TEST)
    deploy.share_with(net)
    net.params["fc"][1].data[...] = 7
    assert (deploy.params["fc"][1].data == 7).all()


def test_reshape_of_the_input_goes_through(net):
    net.blobs["data"].reshape(2, 3, 9, 9)
    net.blobs["label"].reshape(2)
    net.reshape()
    assert net.blobs["fc"].shape == (2, 3)
    assert net.forward()["loss"].shape == ()


def test_wrong_input_is_told(net, model):
    with pytest.raises(UserError, match="inputs of the net"):
        net.forward(dat=np.zeros((4, 3, 9, 9)))
    with pytest.raises(UserError, match="reshape the blob first"):
        net.forward(data=np.zeros((2, 3, 9, 9)), label=np.zeros(4))
    with pytest.raises(UserError, match="phase"):
        caffe.Net(str(model), 5)


SOLVER = """net: "{net}" base_lr: 0.05 momentum: 0.9 lr_policy: "fixed" max_iter: 30 snapshot_prefix: "{folder}/s"
random_seed: 5 display: 0 solver_mode: CPU snapshot: 1000"""


def test_solver_steps_snapshots_and_restores(net, model, tmp_path):
    text = SOLVER.format(net=model, folder=tmp_path)
    (tmp_path / "solver.prototxt").write_text(text)
    solver = caffe.SGDSolver(str(tmp_path / "solver.prototxt"))
    solver.net.blobs["data"].data[...] = net.blobs["data"].data
    solver.net.blobs["label"].data[...] = net.blobs["label"].data
    held = solver.net.params["fc"][0].data
    before, first = held.copy(), float(solver.net.forward()["loss"])
    solver.step(15)
    assert solver.iter == 15 and not np.array_equal(before, held)
    assert float(solver.net.forward()["loss"]) < first / 2
    solver.snapshot()
    again = caffe.get_solver(str(tmp_path / "solver.prototxt"))
    again.restore(str(tmp_path / "s_iter_15.solverstate"))
    assert again.iter == 15
    np.testing.assert_array_equal(again.net.params["fc"][0].data, held)
