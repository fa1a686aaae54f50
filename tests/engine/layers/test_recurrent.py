"""LSTM and RNN over several passes, files and refusals; single passes are cases of the conformance suite."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import genuine_python
import h5py
import numpy as np
import pytest
import torch
from engine_cases import Case, layer, relative_error
from solver_lab import (
    assert_same_messages,
    assert_same_state,
    assert_same_weights,
    run_genuine,
    run_ours,
)

from pycaffe_ext.engine.core.net import Net
from pycaffe_ext.engine.core.random import set_seed
from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import caffe_pb2, parse, read_blobs, write_weights

PASSES = """
import os, sys
os.environ["GLOG_minloglevel"] = "2"
import caffe, numpy as np
given, out = np.load("in.npz"), {}
net = caffe.Net("net.prototxt", "ours.caffemodel", caffe.TRAIN)
for i in range(int(given["count"])):
    for name in ("x", "cont"):
        array = given[f"{name}{i}"]
        net.blobs[name].reshape(*array.shape)
        net.blobs[name].data[...] = array
    net.forward()
    net.blobs["y"].diff[...] = 1
    net.backward()
    out[f"y{i}"] = net.blobs["y"].data.copy()
    for j, blob in enumerate(net.params["r"]):
        out[f"grad{j} {i}"] = blob.diff.copy()
net.save("theirs.caffemodel")
np.savez("out.npz", **out)
"""


def description(kind: str, steps: int = 4, streams: int = 3, tops: str = "y", text: str = "num_output: 3") -> str:
    fillers = 'weight_filler { type: "uniform" min: -0.7 max: 0.7 } bias_filler { type: "constant" value: 0.1 }'
    body = layer(kind, f"recurrent_param {{ {text} {fillers} }}", "x cont", tops, name="r")
    return Case("r", {"x": (steps, streams, 2), "cont": (steps, streams)}, body).prototxt()


def passes(folder: Path, streams: list[int], seed: int = 0) -> dict[str, np.ndarray]:
    """Inputs x0, cont0, x1, ... with these numbers of streams; most sequences go on from pass to pass."""
    rng, out = np.random.default_rng(seed), {"count": np.array(len(streams))}
    for i, n in enumerate(streams):
        out[f"x{i}"] = rng.standard_normal((4, n, 2)).astype(np.float32)
        out[f"cont{i}"] = (rng.random((4, n)) < 0.8).astype(np.float32)
    np.savez(folder / "in.npz", **out)
    return out


def run(net: Net, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What PASSES writes, by our engine."""
    out = {}
    for i in range(int(given["count"])):
        for name in ("x", "cont"):
            net.blobs[name].reshape(given[f"{name}{i}"].shape)
            net.blobs[name].data = torch.from_numpy(given[f"{name}{i}"].copy())
        net.forward()
        net.blobs["y"].diff.fill_(1)
        net.backward()
        out[f"y{i}"] = net.blobs["y"].data.numpy().copy()
        for j, blob in enumerate(net.layers[-1].blobs):
            out[f"grad{j} {i}"] = blob.diff.numpy().copy()
    return out


def make(text: str, phase: int = caffe_pb2.TRAIN) -> Net:
    return Net(parse(text, caffe_pb2.NetParameter()), phase)


@pytest.mark.genuine
@pytest.mark.parametrize("kind", ["LSTM", "RNN"])
def test_states_go_on_from_pass_to_pass_and_files_are_exchanged(kind, tmp_path):
    net = make(description(kind))
    (tmp_path / "net.prototxt").write_text(description(kind))
    write_weights(tmp_path / "ours.caffemodel", net.to_proto())
    given = passes(tmp_path, [3, 3, 2, 3, 4, 2])  # streams leave and come back
    mine = run(net, given)
    genuine_python.run("-c", PASSES, cwd=tmp_path)
    theirs = np.load(tmp_path / "out.npz")
    assert set(mine) == set(theirs.files)
    worst = {key: relative_error(mine[key], theirs[key]) for key in mine}
    assert max(worst.values()) < 1e-5, worst
    mine_read, theirs_read = (read_blobs(tmp_path / f"{who}.caffemodel")["r"] for who in ("ours", "theirs"))
    assert len(mine_read) == {"LSTM": 3, "RNN": 5}[kind]
    for a, b in zip(mine_read, theirs_read, strict=True):
        np.testing.assert_array_equal(a, b)
    again = make(description(kind))
    again.copy_trained_layers_from(tmp_path / "theirs.caffemodel")
    np.testing.assert_array_equal(run(again, given)["y0"], mine["y0"])


@pytest.mark.parametrize("kind", ["LSTM", "RNN"])
def test_two_halves_of_a_sequence_are_the_whole(kind):
    """What the state is for: passes over parts, with the states carried on, give what one pass gives."""
    set_seed(0)
    whole, half = make(description(kind, 8)), make(description(kind, 4))
    half.copy_trained_layers_from(whole.to_proto())
    x = torch.randn(8, 3, 2)
    cont = torch.ones(8, 3)
    cont[0] = 0

    def outputs(net: Net, part: slice) -> torch.Tensor:
        net.blobs["x"].data, net.blobs["cont"].data = x[part].clone(), cont[part].clone()
        net.forward()
        return net.blobs["y"].data.clone()

    parts = [outputs(half, slice(0, 4)), outputs(half, slice(4, 8))]
    torch.testing.assert_close(torch.cat(parts), outputs(whole, slice(0, 8)))


def test_gradients_agree_with_differences():
    """An oracle besides the genuine engine: central differences in the weights that act through time."""
    set_seed(0)
    net = make(description("LSTM", 5, 2))
    net.blobs["x"].data.copy_(torch.randn(5, 2, 2))
    net.blobs["cont"].data[1:] = 1  # the first step begins anew, so passes don't depend on each other
    net.forward()
    net.blobs["y"].diff.fill_(1)
    net.backward()
    blob, step = net.layers[-1].blobs[2], 1e-2
    slopes = []
    for place in ((0, 0), (4, 1), (7, 2), (11, 0)):
        ends = []
        for sign in (1, -1):
            blob.data[place] += sign * step
            net.forward()
            ends.append(float(net.blobs["y"].data.sum()))
            blob.data[place] -= sign * step
        slopes.append(((ends[0] - ends[1]) / (2 * step), float(blob.diff[place])))
    measured, ours = np.array(slopes).T
    np.testing.assert_allclose(measured, ours, rtol=0.02, atol=2e-3)


REFUSED = {
    "no num_output": (description("LSTM", text=""), "num_output"),
    "x without features": (
        description("RNN").replace("shape { dim: 4 dim: 3 dim: 2 }", "shape { dim: 4 dim: 3 }"),
        "first bottom",
    ),
    "cont of other steps": (description("LSTM").replace("shape { dim: 4 dim: 3 }", "shape { dim: 5 dim: 3 }"), "cont"),
    "too few tops": (description("LSTM", text="num_output: 3 expose_hidden: true"), "bottom"),
    "too many tops": (description("LSTM", tops="y z"), "top"),
}


@pytest.mark.parametrize("text, message", REFUSED.values(), ids=REFUSED)
def test_what_caffe_refuses_is_refused_in_one_line(text, message):
    with pytest.raises(UserError, match=f"layer 'r'.*{message}"):
        make(text)


@pytest.mark.genuine
def test_the_genuine_caffe_refuses_the_same(tmp_path):
    for name in ("x without features", "cont of other steps", "too few tops"):
        text = REFUSED[name][0]
        (tmp_path / "net.prototxt").write_text(text)
        died = genuine_python.run("-c", 'import caffe; caffe.Net("net.prototxt", 0)', cwd=tmp_path, check=False)
        assert "Check fail" in died.stderr


def test_another_number_of_steps_is_refused():
    net = make(description("RNN"))
    net.blobs["x"].reshape((5, 3, 2))
    net.blobs["cont"].reshape((5, 3))
    with pytest.raises(UserError, match="4 steps"):
        net.forward()


TRAINED = """name: "sequences"
layer {{ name: "data" type: "HDF5Data" top: "x" top: "cont" top: "s" top: "t"
  hdf5_data_param {{ source: "list.txt" batch_size: 5 }} }}
layer {{ name: "one" type: "Slice" bottom: "s" top: "s0" top: "rest" slice_param {{ axis: 0 slice_point: 1 }} }}
layer {{ name: "row" type: "Reshape" bottom: "s0" top: "static" reshape_param {{ shape {{ dim: 3 dim: 2 }} }} }}
layer {{ name: "quiet" type: "Silence" bottom: "rest" }}
layer {{ name: "r" type: "{kind}" bottom: "x" bottom: "cont" bottom: "static" top: "h"
  param {{ lr_mult: 2 }} param {{ lr_mult: 1 decay_mult: 0 }}
  recurrent_param {{ num_output: 4 weight_filler {{ type: "uniform" min: -0.3 max: 0.3 }} }} }}
layer {{ name: "ip" type: "InnerProduct" bottom: "h" top: "y"
  inner_product_param {{ axis: 2 num_output: 2 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" }}
"""
LEARNING = """net: "net.prototxt" base_lr: 0.05 momentum: 0.9 weight_decay: 0.001 lr_policy: "fixed" clip_gradients: 0.3
max_iter: 20 display: 5 test_iter: 2 test_interval: 10 snapshot_prefix: "snap" solver_mode: CPU debug_info: true
"""


@pytest.mark.genuine
@pytest.mark.parametrize("unrolled", ["", "debug_info: true"])
@pytest.mark.parametrize("rate", [2, 0])  # the gradient of a frozen blob counts when a recurrent layer's are clipped
@pytest.mark.parametrize("kind", ["LSTM", "RNN"])
def test_learning_from_sequences_is_the_genuine_one(kind, rate, unrolled, tmp_path):
    """HDF5 rows, states carried on, a test net beside with states of its own, clipping, debug_info: the whole log."""
    ours = tmp_path / "ours"
    ours.mkdir()
    rng = np.random.default_rng(0)
    with h5py.File(ours / "a.h5", "w") as file:
        for name, shape in (("x", (12, 3, 2)), ("s", (12, 3, 2)), ("t", (12, 3, 2))):
            file[name] = rng.standard_normal(shape).astype(np.float32)
        file["cont"] = (rng.random((12, 3)) < 0.8).astype(np.float32)
    (ours / "list.txt").write_text("a.h5\n")
    net = TRAINED.format(kind=kind).replace("num_output: 4", f"num_output: 4 {unrolled}")
    net = net.replace("lr_mult: 2", f"lr_mult: {rate}")
    (ours / "net.prototxt").write_text(net)
    (ours / "solver.prototxt").write_text(LEARNING)
    with contextlib.chdir(ours):
        write_weights("init.caffemodel", make(net).to_proto())
    theirs = shutil.copytree(ours, tmp_path / "theirs")
    arguments = ("train", "--solver=solver.prototxt", "--weights=init.caffemodel")
    log = run_ours(ours, *arguments)
    assert ("[Forward] Layer r_x_transform, param blob W_x" in log) == bool(unrolled)
    assert_same_messages(log, run_genuine(theirs, *arguments), rtol=1e-3)
    assert_same_weights(ours / "snap_iter_20.caffemodel", theirs / "snap_iter_20.caffemodel", 1e-4)
    assert_same_state(ours / "snap_iter_20.solverstate", theirs / "snap_iter_20.solverstate", 1e-3)
