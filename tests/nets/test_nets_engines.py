"""Both engines read the emitted nets and solvers, and make the shapes that Table I states."""

import json
import re
import subprocess
from pathlib import Path

import genuine_python
import lmdb
import numpy as np
import pytest

from pycaffe_ext import proto
from pycaffe_ext.genuine import root
from pycaffe_ext.nets import NetSpec, Schedule, emission, score_net, solver, train_val
from pycaffe_ext.nets.shapes import blob_shapes, parameter_shapes
from pycaffe_ext.proto import caffe_pb2

ROOT = Path(__file__).resolve().parents[2]
GENUINE = pytest.mark.genuine
COUNT = 5  # patches in the small LMDB

PARSE = """
import json, sys
from google.protobuf import text_format
from caffe.proto import caffe_pb2
for path in sys.stdin.read().split():
    message = caffe_pb2.SolverParameter() if path.startswith("solvers/") else caffe_pb2.NetParameter()
    text_format.Merge(open(path).read(), message)
    assert message.IsInitialized()
    print(path)
"""
SHAPES = """
import json, sys, caffe
net = caffe.Net(sys.argv[1], caffe.TRAIN if sys.argv[2] == "TRAIN" else caffe.TEST)
print(json.dumps({
    "blobs": {name: list(blob.data.shape) for name, blob in net.blobs.items()},
    "params": {name: [list(blob.data.shape) for blob in blobs] for name, blobs in net.params.items()},
    "outputs": list(net.outputs),
}))
"""


def ask_genuine(script, *arguments, stdin=""):
    return genuine_python.run("-c", script, *arguments, input=stdin, cwd=ROOT).stdout


def genuine_shapes(path, phase="TEST"):
    return json.loads(ask_genuine(SHAPES, str(path), phase))


@pytest.fixture
def small(tmp_path):
    """A spec at width 1/16 over an LMDB of COUNT patches, three of class 0 and two of class 1, and a mean of 100."""
    rng = np.random.default_rng(1)
    with lmdb.open(str(tmp_path / "lmdb"), map_size=1 << 26) as env, env.begin(write=True) as transaction:
        for i in range(COUNT):
            pixels = rng.integers(0, 256, (3, 227, 227), np.uint8)
            datum = caffe_pb2.Datum(channels=3, height=227, width=227, data=pixels.tobytes(), label=i % 2)
            transaction.put(f"{i:08d}_patch".encode(), datum.SerializeToString())
    proto.write_mean(tmp_path / "mean.binaryproto", np.full((3, 227, 227), 100, np.float32))
    return NetSpec(
        "polyp",
        "ft-fc7",
        2,
        "1/16",
        str(tmp_path / "lmdb"),
        str(tmp_path / "lmdb"),
        str(tmp_path / "mean.binaryproto"),
        batch_size=3,
        val_batch_size=2,
    )


class TestGenuine:
    pytestmark = GENUINE

    def test_it_parses_every_emitted_file(self):
        paths = list(emission.emit())
        assert ask_genuine(PARSE, stdin="\n".join(paths)).split() == paths

    @pytest.mark.parametrize("app", ["polyp", "imt"])
    def test_its_shapes_are_table_one(self, app):
        path = ROOT / emission.deploy_path(app)
        net, found = proto.read_net(path), genuine_shapes(path)
        assert found["blobs"] == {name: list(shape) for name, shape in blob_shapes(net).items()}
        assert found["params"] == {name: [list(s) for s in pair] for name, pair in parameter_shapes(net).items()}
        assert found["blobs"]["conv1"] == [1, 96, 55, 55] and found["blobs"]["pool5"] == [1, 256, 6, 6]

    @pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
    def test_its_shapes_in_both_phases_are_ours(self, small, tmp_path, phase):
        net = train_val(small)
        proto.write_text(tmp_path / "net.prototxt", net)
        found = genuine_shapes(tmp_path / "net.prototxt", phase)
        ours = blob_shapes(net, caffe_pb2.Phase.Value(phase))
        found["blobs"] = {name: shape for name, shape in found["blobs"].items() if "_split_" not in name}
        assert found["blobs"] == {name: list(shape) for name, shape in ours.items()}
        assert set(found["outputs"]) == ({"loss"} if phase == "TRAIN" else {"loss", "accuracy"})

    def test_its_shapes_of_odd_windows_are_ours(self, tmp_path):
        proto.write_text(tmp_path / "net.prototxt", odd_windows())
        found = genuine_shapes(tmp_path / "net.prototxt")["blobs"]
        ours = {name: list(shape) for name, shape in blob_shapes(odd_windows()).items()}
        assert {name: shape for name, shape in found.items() if "_split_" not in name} == ours

    def test_it_trains_from_the_solver_and_scores_what_it_trained(self, small, tmp_path):
        proto.write_text(tmp_path / "net.prototxt", train_val(small))
        made = solver(
            small,
            Schedule(COUNT, COUNT, max_epochs=2),
            net=str(tmp_path / "net.prototxt"),
            snapshot_prefix=str(tmp_path / "small"),
        )
        proto.write_text(tmp_path / "solver.prototxt", made)
        self.caffe("train", f"--solver={tmp_path / 'solver.prototxt'}")
        weights = tmp_path / "small_iter_4.caffemodel"
        blobs = proto.read_blobs(weights)
        assert {n: [b.shape for b in pair] for n, pair in blobs.items() if pair} == parameter_shapes(train_val(small))
        proto.write_text(tmp_path / "score.prototxt", score_net(small, small.val_source, COUNT))
        log = self.caffe("test", f"--model={tmp_path / 'score.prototxt'}", f"--weights={weights}", "--iterations=1")
        labels = [float(value) for value in re.findall(r"Batch 0, label = (\S+)", log)]
        assert labels == [0, 1, 0, 1, 0]
        assert len(re.findall(r"Batch 0, fc8_polyp = \S+", log)) == 2 * COUNT

    @staticmethod
    def caffe(*arguments):
        done = subprocess.run([root.command("caffe"), *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stderr


ODD_WINDOWS = {
    "Pooling": (
        "kernel_h: 3 kernel_w: 1 stride_h: 2 stride_w: 2 pad_h: 1 pad_w: 0",  # the columns lose their last window too
        "kernel_h: 3 kernel_w: 1 stride_h: 2 stride_w: 3 pad_h: 1 pad_w: 0",
        "kernel_h: 3 kernel_w: 1 stride_h: 2 stride_w: 3",
        "kernel_size: 3 stride: 4 pad: 2",
        "kernel_size: 2 stride: 2 round_mode: FLOOR",
        "kernel_size: 3 stride: 2 pad: 1 round_mode: FLOOR",
    ),
    "Convolution": (
        "num_output: 2 kernel_size: 3 dilation: 1 dilation: 2",
        "num_output: 2 kernel_size: 2 dilation: 3 dilation: 1 pad: 1",
        "num_output: 2 kernel_size: 2 dilation: 3",
        "num_output: 2 kernel_h: 3 kernel_w: 1 dilation: 2 dilation: 3",
    ),
}


def odd_windows():
    """One net of all ODD_WINDOWS over an image of 7 x 10."""
    net = caffe_pb2.NetParameter(name="odd windows")
    net.layer.add(name="x", type="Input", top=["x"]).input_param.shape.add(dim=(1, 2, 7, 10))
    for kind, texts in ODD_WINDOWS.items():
        for i, text in enumerate(texts):
            made = net.layer.add(name=f"{kind}{i}", type=kind, bottom=["x"], top=[f"{kind}{i}"])
            proto.parse(text, getattr(made, f"{kind.lower()}_param"))
    return net


def test_embedded_shapes_of_odd_windows_are_ours():
    assert embedded_shapes(odd_windows(), caffe_pb2.TEST) == blob_shapes(odd_windows())


def embedded_shapes(net, phase):
    engine = pytest.importorskip("pycaffe_ext.engine.core.net", reason="the embedded engine cannot be imported")
    made = engine.Net(net, phase)
    return {name: tuple(blob.shape) for name, blob in made.blobs.items() if "_split_" not in name}


@pytest.mark.parametrize("app", ["polyp", "imt"])
def test_embedded_shapes_are_table_one(app):
    net = proto.read_net(ROOT / emission.deploy_path(app))
    assert embedded_shapes(net, caffe_pb2.TEST) == blob_shapes(net)


@pytest.mark.parametrize("phase", [caffe_pb2.TRAIN, caffe_pb2.TEST])
def test_embedded_shapes_in_both_phases_are_ours(small, phase):
    net = train_val(small)
    assert embedded_shapes(net, phase) == blob_shapes(net, phase)
