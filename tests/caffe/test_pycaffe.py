"""The pycaffe-shaped module: arrays that stay in step, files, solvers; the same numbers as the genuine module."""

from __future__ import annotations

import os
import subprocess
import sys
import types

import cv2
import numpy as np
import pytest
import torch

from pycaffe_ext import caffe
from pycaffe_ext.caffe import alias, arrays
from pycaffe_ext.engine.core.blob import Blob as EngineBlob
from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import caffe_pb2

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
    np.testing.assert_allclose(
        out[4:], deploy.forward(data=np.concatenate([images[4:], images[:1]]))["fc"][:3], rtol=1e-4, atol=1e-6
    )


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


# ---- arrays


def test_arrays_elsewhere_are_brought_up_to_date_both_ways():
    """What a GPU needs, tried with another number format: there too an array cannot be the tensor's memory."""
    blob = EngineBlob((3,))
    blob.data = torch.zeros(3, dtype=torch.float64)
    held = arrays.array_of(blob, "data")
    held[...] = [1, 2, 3]
    arrays.array_of(blob, "data")[1] = 5  # written through an array that nobody holds
    assert blob.data.tolist() == [0, 0, 0]

    def work():
        assert blob.data.tolist() == [1, 5, 3]
        blob.data = blob.data * 2

    arrays.synchronised(work)
    np.testing.assert_array_equal(held, [2, 10, 6])


def test_holding_an_array_does_not_change_the_gradients_of_layers_in_place(tmp_path):
    (tmp_path / "net.prototxt").write_text("""force_backward: true
        layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
        layer { name: "prelu" type: "PReLU" bottom: "x" top: "x" }
        layer { name: "bnll" type: "BNLL" bottom: "x" top: "x" }""")
    gradients = []
    for held in (False, True):
        net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TRAIN)
        array = net.blobs["x"].data if held else None
        for sign in (1, -1):
            net.forward(x=np.arange(-3, 3).reshape(2, 3) * sign)
            net.backward(x=np.ones((2, 3)))
        assert array is None or np.array_equal(array, net.blobs["x"].data)
        gradients.append((net.params["prelu"][0].diff.copy(), net.blobs["x"].diff.copy()))
    np.testing.assert_array_equal(gradients[0][0], gradients[1][0])
    np.testing.assert_array_equal(gradients[0][1], gradients[1][1])


def test_arrays_that_nobody_holds_are_forgotten(net):
    before = len(arrays._mirrors)
    for blob in net.blobs.values():
        assert blob.data.shape == blob.diff.shape
    view = net.blobs["fc"].data[1]
    assert len(arrays._mirrors) == before + 1
    net.forward()
    np.testing.assert_array_equal(view, net.blobs["fc"].data[1])


def test_arrays_outlive_their_net(net):
    blob, expected = net.blobs["data"].data, net.blobs["data"].data.copy()
    weight = net.params["fc"][0]
    del net
    np.testing.assert_array_equal(blob, expected)
    assert weight.data.shape == (3, 245)


# ---- sharing


def test_nets_that_share_values_keep_gradients_of_their_own(net, model):
    other = caffe.Net(str(model), caffe.TRAIN)
    other.share_with(net)
    other.blobs["data"].data[...] = 1
    for one in (net, other):
        one.forward()
        one.backward()
    assert not np.allclose(net.params["fc"][0].diff, other.params["fc"][0].diff)
    net.params["fc"][0].data[...] = 2
    assert (other.params["fc"][0].data == 2).all()


TWINS = """force_backward: true
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" param { name: "w" } param { name: "b1" }
  inner_product_param { num_output: 3 weight_filler { type: "gaussian" } } }
layer { name: "b" type: "InnerProduct" bottom: "a" top: "b" param { name: "w" } param { name: "b2" }
  inner_product_param { num_output: 3 weight_filler { type: "gaussian" } bias_filler { type: "constant" value: 4 } } }
"""


def test_a_parameter_of_two_layers_stays_one_when_it_is_shared(tmp_path):
    (tmp_path / "twins.prototxt").write_text(TWINS)
    first, second = (caffe.Net(str(tmp_path / "twins.prototxt"), caffe.TRAIN) for _ in range(2))
    second.share_with(first)
    for net in (first, second):
        net.forward(data=np.ones((2, 3), np.float32))
        net.backward(b=np.ones((2, 3), np.float32))
    assert np.abs(first.params["a"][0].diff).max() > 0
    np.testing.assert_array_equal(second.params["a"][0].diff, second.params["b"][0].diff)
    np.testing.assert_array_equal(second.params["a"][0].diff, first.params["a"][0].diff)


def test_hdf5_keeps_an_own_blob_behind_a_shared_one_in_its_place(tmp_path):
    (tmp_path / "twins.prototxt").write_text(TWINS)
    net, copy = (caffe.Net(str(tmp_path / "twins.prototxt"), caffe.TRAIN) for _ in range(2))
    net.save_hdf5(str(tmp_path / "twins"))
    copy.params["b"][1].data[...] = 0
    copy.load_hdf5(str(tmp_path / "twins"))
    for layer in "ab":
        for mine, its in zip(net.params[layer], copy.params[layer], strict=True):
            np.testing.assert_array_equal(mine.data, its.data)
    assert (copy.params["b"][1].data == 4).all()


# ---- constructors and mistakes


def test_old_form_says_what_to_write(net, model, tmp_path, capfd):
    net.save(str(tmp_path / "w.caffemodel"))
    old = caffe.Net(str(model), str(tmp_path / "w.caffemodel"), caffe.TEST)
    assert "DEPRECATION WARNING" in capfd.readouterr().err
    new = caffe.Net(str(model), caffe.TEST, weights=str(tmp_path / "w.caffemodel"))
    named = caffe.Net(network_file=str(model), phase=caffe.TEST, level=0, stages=["a"], weights=None)
    np.testing.assert_array_equal(old.params["fc"][0].data, new.params["fc"][0].data)
    assert named._layer_names == new._layer_names


def test_mistakes_are_one_line_and_what_scripts_catch(net, model, tmp_path):
    absent = str(tmp_path / "absent")
    cases = [
        (RuntimeError, "absent", lambda: caffe.Net(absent, caffe.TEST)),
        (RuntimeError, "absent", lambda: caffe.Net(str(model), caffe.TEST, weights=absent)),
        (RuntimeError, "absent", lambda: net.copy_from(absent)),
        (RuntimeError, "absent", lambda: caffe.get_solver(absent)),
        (RuntimeError, "first layer is a MemoryData", lambda: net.set_input_arrays(np.zeros((1, 1)), np.zeros(1))),
        (RuntimeError, "use get_solver", lambda: caffe.Solver("x")),
        (ValueError, "unknown layer 'cnv'; did you mean 'conv'", lambda: net.forward(end="cnv")),
        (KeyError, "unknown blob 'fd'", lambda: net.forward(blobs=["fd"])),
        (ValueError, "different numbers", lambda: net.forward_all(data=np.zeros((2, 1)), label=np.zeros(3))),
        (ValueError, "neither input nor output", lambda: net.forward_backward_all(what=np.zeros(3))),
        (UserError, "NCCL is not built in", lambda: caffe.NCCL(None, "uid")),
        (UserError, "needs NCCL", lambda: caffe.set_multiprocess(True)),
        (UserError, "no CUDA device 99", lambda: caffe.set_device(99)),
        (ValueError, "shape", lambda: caffe.io.array_to_datum(np.zeros((2, 2)))),
        (ValueError, "holds 2 values", lambda: caffe.io.blobproto_to_array(caffe_pb2.BlobProto(data=[1, 2]))),
        (RuntimeError, "no such image", lambda: caffe.io.load_image(absent)),
        (ValueError, "interp_order", lambda: caffe.io.resize_image(np.eye(4)[:, :, None], (2, 2), 5)),
        (ValueError, "do not fit", lambda: caffe.io.oversample([np.zeros((4, 4, 3))], (5, 2))),
        (UserError, "unknown input", lambda: caffe.io.Transformer({"data": (1, 3, 2, 2)}).set_raw_scale("dat", 1)),
        (ValueError, "channels", lambda: caffe.io.Transformer({"data": (1, 3, 2, 2)}).set_mean("data", np.zeros(4))),
        (AttributeError, "no field 'kernal_size'", lambda: caffe.layers.Pooling(kernal_size=2).to_proto()),
    ]
    for kind, text, call in cases:
        with pytest.raises(kind, match=text) as caught:
            call()
        assert len(str(caught.value).splitlines()) == 1
        assert isinstance(caught.value, UserError) or kind is AttributeError


# ---- the rest of the module


def test_log_and_level(capfd):
    try:
        caffe.init_log(0, True)
        caffe.log("a word")
        assert capfd.readouterr().err.endswith("_caffe.cpp:68] a word\n")
        caffe.init_log(1)
        caffe.log("nothing")
        assert capfd.readouterr().err == ""
    finally:
        caffe.init_log(0)


def test_timer_and_counts():
    timer = caffe.Timer()
    timer.start()
    timer.stop()
    assert 0 <= timer.ms < 1000
    caffe.set_solver_count(2)
    caffe.set_solver_rank(1)
    assert (caffe.solver_count(), caffe.solver_rank(), caffe.has_nccl()) == (2, 1, False)
    caffe.set_solver_count(1)
    caffe.set_solver_rank(0)


def test_load_image_forms(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    bgr = rgb[:, :, ::-1]
    files = {
        "rgb.png": bgr,
        "grey.png": rgb[:, :, 0],
        "alpha.png": np.dstack([bgr, bgr[:, :, 0]]),
        "deep.png": bgr.astype(np.uint16) * 257,
    }
    for name, pixels in files.items():
        cv2.imwrite(str(tmp_path / name), pixels)
        image = caffe.io.load_image(tmp_path / name)
        expected = np.repeat(rgb[:, :, :1], 3, 2) if name == "grey.png" else rgb
        assert image.dtype == np.float32
        np.testing.assert_allclose(image, expected / 255, atol=1e-6)
    grey = caffe.io.load_image(tmp_path / "rgb.png", color=False)
    np.testing.assert_allclose(grey[:, :, 0], rgb @ [0.2125, 0.7154, 0.0721] / 255, atol=1e-6)


def test_load_image_of_a_name_that_is_no_utf_8(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), rgb[:, :, ::-1])
    name = os.fsdecode(os.fsencode(tmp_path) + b"/pol\xff\xe9.png")
    os.rename(tmp_path / "a.png", name)
    np.testing.assert_allclose(caffe.io.load_image(name), rgb / 255, atol=1e-6)


def test_preprocess_leaves_the_image_alone():
    image = np.ones((2, 2, 3), np.float32)
    transformer = caffe.io.Transformer({"data": (1, 3, 2, 2)})
    transformer.set_transpose("data", (2, 0, 1))
    transformer.set_raw_scale("data", 255)
    transformer.preprocess("data", image)
    assert (image == 1).all()


def test_encoded_datum():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    datum = caffe_pb2.Datum(encoded=True, data=cv2.imencode(".png", pixels)[1].tobytes())
    np.testing.assert_array_equal(caffe.io.datum_to_array(datum), pixels.transpose(2, 0, 1))


# ---- `import caffe` as another name


def test_unchanged_script_runs(tmp_path):
    (tmp_path / "helper.py").write_text("import caffe.proto.caffe_pb2 as pb\nTEXT = pb.NetParameter(name='x').name\n")
    (tmp_path / "script.py").write_text(
        "import sys\nimport caffe\nfrom caffe import layers as L, params as P\n"
        "from caffe.io import Transformer\nimport caffe.draw\nimport helper\n"
        "print(caffe.__version__, helper.TEXT, sys.argv, __name__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pycaffe_ext.caffe", str(tmp_path / "script.py"), "--flag"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"1.0.0 x ['{tmp_path}/script.py', '--flag'] __main__\n"
    wrong = subprocess.run([sys.executable, "-m", "pycaffe_ext.caffe", "absent.py"], capture_output=True, text=True)
    assert (wrong.returncode, wrong.stderr) == (1, "error: absent.py: no such script; check the path\n")


def test_alias_does_not_push_out_another_caffe(monkeypatch):
    monkeypatch.setitem(sys.modules, "caffe", types.ModuleType("caffe"))
    with pytest.raises(UserError, match="another caffe is loaded"):
        alias.install()


def test_what_runs_no_net_does_without_torch():
    code = (
        "import sys; from pycaffe_ext.caffe import draw, io, net_spec, coord_map, NetSpec, layers, params;"
        "assert 'torch' not in sys.modules and 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
