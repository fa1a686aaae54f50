"""Every architecture in both engines: shapes, one iteration, frozen statistics, a real donor, a whole run."""

import json
import re
import shutil
from pathlib import Path

import cv2
import genuine_python
import lmdb
import numpy as np
import pytest
from programs import run_tool
from solver_lab import run_genuine, run_ours

from pycaffe_ext import nets, proto
from pycaffe_ext.nets import ARCHITECTURES, NetSpec, Schedule, emission, solver
from pycaffe_ext.nets.shapes import blob_shapes, parameter_shapes
from pycaffe_ext.proto import caffe_pb2
from pycaffe_ext.schemes import family

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
DONOR = SHARED / "weights" / "squeezenet_v1.1_imagenet.caffemodel"
FRAMES = SHARED / "data" / "kvasir-seg" / "images"
ENGINES = [
    pytest.param(run_ours, id="embedded"),
    pytest.param(run_genuine, id="genuine", marks=pytest.mark.genuine),
]
COUNT = 4  # patches in the small LMDB
OTHERS = [name for name in ARCHITECTURES if name != "alexnet"]  # which has tests of its own

pytestmark = pytest.mark.slow

PARSE = """
import sys
from google.protobuf import text_format
from caffe.proto import caffe_pb2
for path in sys.stdin.read().split():
    message = caffe_pb2.SolverParameter() if "/solvers/" in path else caffe_pb2.NetParameter()
    text_format.Merge(open(path).read(), message)
    assert message.IsInitialized()
    print(path)
"""
SHAPES = """
import json, sys, caffe
net = caffe.Net(sys.argv[1], caffe.TEST)
print(json.dumps({
    "blobs": {name: list(blob.data.shape) for name, blob in net.blobs.items()},
    "params": {name: [list(blob.data.shape) for blob in blobs] for name, blobs in net.params.items()},
    "outputs": list(net.outputs),
}))
"""
PROBABILITIES = """
import sys, caffe, numpy as np
net = caffe.Net(sys.argv[1], sys.argv[2], caffe.TEST)
net.blobs["data"].data[...] = np.load(sys.argv[3])
np.save(sys.argv[4], net.forward()["prob"])
"""


def ask_genuine(script, *arguments, stdin=""):
    return genuine_python.run("-c", script, *arguments, input=stdin).stdout


def spec_of(arch, folder, scheme="scratch"):
    """A spec over an LMDB of COUNT patches of noise, half of each class, and a mean of 100."""
    size, rng = ARCHITECTURES[arch].input, np.random.default_rng(1)
    with lmdb.open(str(folder / "lmdb"), map_size=1 << 24) as env, env.begin(write=True) as transaction:
        for i in range(COUNT):
            pixels = rng.integers(0, 256, size, np.uint8)
            datum = caffe_pb2.Datum(channels=3, height=size[1], width=size[2], data=pixels.tobytes(), label=i % 2)
            transaction.put(f"{i:08d}_patch".encode(), datum.SerializeToString())
    proto.write_mean(folder / "mean.binaryproto", np.full(size, 100, np.float32))
    lmdbs = dict.fromkeys(("train_source", "val_source"), str(folder / "lmdb"))
    return NetSpec(
        "polyp",
        scheme,
        2,
        mean_file=str(folder / "mean.binaryproto"),
        batch_size=2,
        val_batch_size=2,
        arch=arch,
        **lmdbs,
    )


def write_solver(spec, folder, **changes):
    """net.prototxt and a solver of one iteration, tested after it."""
    proto.write_text(folder / "net.prototxt", nets.train_val(spec))
    made = solver(
        spec,
        Schedule(2, 2, max_epochs=1),
        net=str(folder / "net.prototxt"),
        snapshot_prefix=str(folder / "snap"),
    )
    for name, value in changes.items():
        setattr(made, name, value)
    proto.write_text(folder / "solver.prototxt", made)
    return folder / "solver.prototxt"


class TestGenuine:
    pytestmark = pytest.mark.genuine

    @pytest.mark.parametrize("arch", OTHERS)
    def test_it_parses_what_is_emitted(self, arch, tmp_path):
        paths = [str(path) for path in emission.write_to(tmp_path, arch, ["imt"])]
        assert ask_genuine(PARSE, stdin="\n".join(paths)).split() == paths

    @pytest.mark.parametrize("arch", OTHERS)
    def test_its_shapes_are_ours(self, arch, tmp_path):
        net = nets.deploy(NetSpec("polyp", "scratch", 2, arch=arch))
        proto.write_text(tmp_path / "net.prototxt", net)
        found = json.loads(ask_genuine(SHAPES, tmp_path / "net.prototxt"))
        blobs = {name: shape for name, shape in found["blobs"].items() if "_split_" not in name}
        assert blobs == {name: list(shape) for name, shape in blob_shapes(net).items()}
        assert found["params"] == {name: [list(s) for s in shapes] for name, shapes in parameter_shapes(net).items()}
        assert found["outputs"] == ["prob"]


@pytest.mark.parametrize("arch", OTHERS)
def test_embedded_shapes_are_ours(arch, tmp_path):
    from pycaffe_ext.engine.core.net import Net

    found = ARCHITECTURES[arch]
    net = found.train_val(spec_of(arch, tmp_path))
    for phase in (caffe_pb2.TRAIN, caffe_pb2.TEST):
        made = Net(net, phase)
        shapes = {name: tuple(blob.shape) for name, blob in made.blobs.items() if "_split_" not in name}
        assert shapes == blob_shapes(net, phase, found.input)
        params = {layer.name: [tuple(blob.shape) for blob in layer.blobs] for layer in made.layers if layer.blobs}
        assert params == parameter_shapes(net, phase, found.input)


SHORT = {  # vgg16 takes a minute, for layers that smaller nets have too; resnet50's statistics are tested below
    name: [pytest.mark.thorough] if name == "vgg16" else [] for name in OTHERS if name != "resnet50"
}


@pytest.mark.parametrize("caffe", ENGINES)
@pytest.mark.parametrize("arch", [pytest.param(name, marks=marks) for name, marks in SHORT.items()])
def test_one_iteration_and_a_test(arch, caffe, tmp_path):
    path = write_solver(spec_of(arch, tmp_path), tmp_path, snapshot_after_train=False, snapshot=0)
    log = caffe(tmp_path, "train", f"--solver={path}")
    values = {name: float(value) for name, value in re.findall(r"net output #\d+: (\S+) = (\S+)", log)}
    with_auxiliary = family(arch) == "googlenet"
    losses = {"loss1/loss1", "loss2/loss2", "loss3/loss3"} if with_auxiliary else {"loss"}
    assert losses <= set(values) and all(np.isfinite(list(values.values())))
    total = float(re.search(r"Iteration 0.*, loss = (\S+)", log)[1])
    assert 0 < total < 20


@pytest.mark.parametrize("caffe", ENGINES)
def test_a_frozen_stage_of_resnet_keeps_its_statistics_and_a_learning_one_moves_them(caffe, tmp_path):
    spec = spec_of("resnet50", tmp_path, "ft-res5a")
    donor = proto.caffe_pb2.NetParameter()
    rng = np.random.default_rng(2)
    for name, shapes in parameter_shapes(nets.train_val(spec), image=(3, 224, 224)).items():
        layer = donor.layer.add(name=name, type="x")
        layer.blobs.extend(proto.array_to_blob(blob) for blob in donor_blobs(name, shapes, rng))
    proto.write_weights(tmp_path / "donor.caffemodel", donor)
    path = write_solver(spec, tmp_path, base_lr=1e-3)
    log = caffe(tmp_path, "train", f"--solver={path}", f"--weights={tmp_path / 'donor.caffemodel'}")
    assert 0 < float(re.search(r"Iteration 0.*, loss = (\S+)", log)[1]) < 20
    before, after = (proto.read_blobs(tmp_path / f"{name}.caffemodel") for name in ("donor", "snap_iter_1"))
    frozen = {name for name in before if re.match(r"(res|bn|scale)(_?conv1|[234])|conv1", name)}
    for name, blobs in before.items():
        same = [np.array_equal(a, b) for a, b in zip(blobs, after[name], strict=True)]
        assert all(same) if name in frozen else not any(same), name


def donor_blobs(name, shapes, rng):
    """Blobs that keep activations near 1: msra weights, statistics of mean 0 and variance 1."""
    if name.startswith("bn"):
        return [np.zeros(shapes[0]), np.ones(shapes[1]), np.ones(1)]
    if name.startswith("scale"):
        return [np.full(shapes[0], 0.5), np.zeros(shapes[1])]
    return [rng.normal(0, (2 / np.prod(s[1:])) ** 0.5, s) if len(s) > 1 else np.full(s, 0.01) for s in shapes]


@pytest.mark.genuine
@pytest.mark.skipif(not (DONOR.exists() and FRAMES.is_dir()), reason="the donor or the photographs are not there")
def test_the_squeezenet_donor_gives_the_genuine_probabilities_of_photographs(tmp_path):
    from pycaffe_ext import caffe as embedded

    net = as_published(nets.deploy(NetSpec("polyp", "scratch", 1000, arch="squeezenet")))
    proto.write_text(tmp_path / "net.prototxt", net)
    assert parameter_shapes(net) == {n: [b.shape for b in pair] for n, pair in proto.read_blobs(DONOR).items() if pair}
    ours = embedded.Net(str(tmp_path / "net.prototxt"), str(DONOR), embedded.TEST)
    for frame in sorted(FRAMES.glob("*.jpg"))[:3]:
        np.save(tmp_path / "x.npy", photograph(frame))
        ask_genuine(PROBABILITIES, tmp_path / "net.prototxt", DONOR, tmp_path / "x.npy", tmp_path / "out.npy")
        ours.blobs["data"].data[...] = photograph(frame)
        found, wanted = ours.forward()["prob"], np.load(tmp_path / "out.npy")
        assert wanted.sum() == pytest.approx(1, abs=1e-5) and wanted.max() > 0.02, "a net that recognises something"
        np.testing.assert_allclose(found, wanted, atol=1e-4, rtol=0)


def as_published(net):
    """The net with its classifier's published name."""
    for layer in net.layer:
        layer.name = layer.name.removesuffix("_polyp")
        for names in (layer.bottom, layer.top):
            names[:] = [name.removesuffix("_polyp") for name in names]
    return net


def photograph(path):
    """The middle (3, 227, 227) of a picture, B G R, minus the donor's mean."""
    image = cv2.resize(cv2.imread(str(path)), (256, 256))[14:241, 14:241].astype(np.float32)
    return (image - np.array([103.53, 116.28, 123.675], np.float32)).transpose(2, 0, 1)


SMALL = ("--patches", "120", "--test-views", "1", "--batch", "16", "--epochs", "1")


def run(folder, *arguments):
    return run_tool("train_and_test", *arguments, cwd=folder)


def test_a_run_of_another_net_from_frames_to_froc(miniature, tmp_path):
    donor = caffe_pb2.NetParameter()
    spec, rng = NetSpec("other", "scratch", 5, arch="lenet"), np.random.default_rng(0)
    for name, shapes in parameter_shapes(nets.train_val(spec), image=(3, 28, 28)).items():
        layer = donor.layer.add(name=name, type="x")
        layer.blobs.extend(proto.array_to_blob(blob) for blob in donor_blobs(name, shapes, rng))
    proto.write_weights(tmp_path / "donor.caffemodel", donor)
    done = run(
        tmp_path, "polyp-ft-ip1", "--arch", "lenet", "--weights", "donor.caffemodel", "--data", miniature, *SMALL
    )
    assert done.returncode == 0, done.stderr
    assert "transfer proved: ip2_polyp starts from its filler" in done.stdout and "polyp-ft-ip1 (lenet)" in done.stdout
    folder = next((tmp_path / "runs").glob("polyp-ft-ip1-lenet-frames-*"))
    before, after = (proto.read_blobs(path) for path in (tmp_path / "donor.caffemodel", folder / "best.caffemodel"))
    kept = [name for name in after if name in before and all(map(np.array_equal, before[name], after[name]))]
    assert kept == ["conv1", "conv2"] and "ip2_polyp" in after
    with lmdb.open(str(next((tmp_path / "runs" / "data").glob("polyp-*/packed-*/train_lmdb"))), readonly=True) as env:
        datum = caffe_pb2.Datum.FromString(next(iter(env.begin().cursor()))[1])
    assert (datum.channels, datum.height, datum.width) == (3, 28, 28)


def test_a_donor_of_another_net_is_refused_before_anything_is_packed(miniature, tmp_path):
    alexnet = tmp_path / "alexnet.caffemodel"  # without the card, which says what it is
    shutil.copy(ROOT / "pycaffe_ext" / "donor" / "alexnet_eighth.caffemodel", alexnet)
    done = run(tmp_path, "polyp-ft-ip1", "--arch", "lenet", "--weights", alexnet, "--data", miniature, *SMALL)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: the donor does not fit")
    assert not (tmp_path / "runs").exists()
