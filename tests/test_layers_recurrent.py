"""LSTM and RNN over several passes, files and refusals; single passes are cases of the conformance suite."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from engine_cases import Case, layer, relative_error
from solver_lab import needs_genuine

from pycaffe_ext.engine.net import Net
from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import caffe_pb2, parse, read_blobs, write_weights
from pycaffe_ext.training import genuine

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


@needs_genuine
@pytest.mark.genuine
@pytest.mark.parametrize("kind", ["LSTM", "RNN"])
def test_states_go_on_from_pass_to_pass_and_files_are_exchanged(kind, tmp_path):
    net = make(description(kind))
    (tmp_path / "net.prototxt").write_text(description(kind))
    write_weights(tmp_path / "ours.caffemodel", net.to_proto())
    given = passes(tmp_path, [3, 3, 2, 3, 4, 2])  # streams leave and come back
    mine = run(net, given)
    subprocess.run([genuine.command("python"), "-c", PASSES], cwd=tmp_path, check=True, capture_output=True)
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
    "x without features": (description("RNN").replace("shape { dim: 4 dim: 3 dim: 2 }", "shape { dim: 4 dim: 3 }"),
                           "first bottom"),
    "cont of other steps": (description("LSTM").replace("shape { dim: 4 dim: 3 }", "shape { dim: 5 dim: 3 }"), "cont"),
    "too few tops": (description("LSTM", text="num_output: 3 expose_hidden: true"), "bottom"),
    "too many tops": (description("LSTM", tops="y z"), "top"),
}


@pytest.mark.parametrize("text, message", REFUSED.values(), ids=REFUSED)
def test_what_caffe_refuses_is_refused_in_one_line(text, message):
    with pytest.raises(UserError, match=f"layer 'r'.*{message}"):
        make(text)


@needs_genuine
@pytest.mark.genuine
def test_the_genuine_caffe_refuses_the_same(tmp_path):
    for text, _ in REFUSED.values():
        (tmp_path / "net.prototxt").write_text(text)
        command = [genuine.command("python"), "-c", 'import caffe; caffe.Net("net.prototxt", 0)']
        died = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
        assert "Check fail" in died.stderr


def test_another_number_of_steps_is_refused():
    net = make(description("RNN"))
    net.blobs["x"].reshape((5, 3, 2))
    net.blobs["cont"].reshape((5, 3))
    with pytest.raises(UserError, match="4 steps"):
        net.forward()
