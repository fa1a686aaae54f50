"""Weights and mean files: of any age, written whole, read by the genuine Caffe too; damage is told."""

import json
import subprocess
from pathlib import Path

import genuine_python
import h5py
import numpy as np
import pytest

from pycaffe_ext import proto
from pycaffe_ext.errors import UserError
from pycaffe_ext.genuine import root
from pycaffe_ext.proto import caffe_pb2

SQUEEZENET = Path(__file__).parents[3] / "shared" / "weights" / "squeezenet_v1.1_imagenet.caffemodel"

NET = """
input: "data" input_dim: 1 input_dim: 2 input_dim: 5 input_dim: 5
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 3 kernel_size: 2 } }
layer { name: "a" type: "InnerProduct" bottom: "conv" top: "a"
  param { name: "shared" } inner_product_param { num_output: 4 } }
layer { name: "b" type: "InnerProduct" bottom: "conv" top: "b"
  param { name: "shared" } inner_product_param { num_output: 4 } }
"""
SHAPES = {"conv": [(3, 2, 2, 2), (3,)], "a": [(4, 48), (4,)], "b": [(4, 48), (4,)]}


def random_blobs() -> dict[str, list[np.ndarray]]:
    rng = np.random.default_rng(1)
    blobs = {name: [rng.normal(size=s).astype("f4") for s in shapes] for name, shapes in SHAPES.items()}
    blobs["b"][0] = blobs["a"][0]
    return blobs


def v1_net(blobs) -> caffe_pb2.NetParameter:
    """A caffemodel as of 2014: V1 layers, shapes only as the four legacy dimensions, left-padded by ones."""
    types = {"conv": "CONVOLUTION", "a": "INNER_PRODUCT", "b": "INNER_PRODUCT"}
    net = caffe_pb2.NetParameter(name="old", input=["data"])
    for name, arrays in blobs.items():
        layer = net.layers.add(name=name, type=types[name], blobs_lr=[1, 2])
        for array in arrays:
            blob = proto.array_to_blob(array, layer.blobs.add())
            blob.ClearField("shape")
            blob.num, blob.channels, blob.height, blob.width = (1,) * (4 - array.ndim) + array.shape
    return net


def v2_net(blobs) -> caffe_pb2.NetParameter:
    net = caffe_pb2.NetParameter(name="new")
    for name, arrays in blobs.items():
        net.layer.add(name=name, type="x", blobs=[proto.array_to_blob(a) for a in arrays])
    return net


def same(ours, theirs) -> None:
    assert list(ours) == list(theirs)
    for name in ours:
        for a, b in zip(ours[name], theirs[name], strict=True):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == b.dtype == np.float32


@pytest.mark.parametrize("shape", [(), (1,), (0,), (3,), (2, 3), (2, 3, 4, 5), (1, 2, 3, 4, 5), (70000,)])
def test_a_blob_keeps_shape_and_bits(shape):
    array = np.random.default_rng(0).normal(size=shape).astype("f4")
    array.flat[:1] = np.nan
    blob = proto.array_to_blob(array)
    np.testing.assert_array_equal(blob.data, array.ravel())
    assert list(blob.shape.dim) == list(shape)
    back = proto.blob_to_array(blob)
    np.testing.assert_array_equal(back, array)
    assert back.dtype == np.float32
    assert back.flags.writeable


def test_blobs_of_every_kind():
    legacy = caffe_pb2.BlobProto(num=1, channels=1, height=2, width=3, data=range(6))
    assert proto.blob_to_array(legacy).shape == (1, 1, 2, 3)
    double = caffe_pb2.BlobProto(shape={"dim": [2]}, double_data=[0.1, 2])
    np.testing.assert_array_equal(proto.blob_to_array(double), np.float32([0.1, 2]))
    reused = caffe_pb2.BlobProto(num=7, data=[1, 2, 3], diff=[1])
    assert proto.array_to_blob(np.arange(2)[::-1], reused) == caffe_pb2.BlobProto(shape={"dim": [2]}, data=[1, 0])
    for damaged in (
        caffe_pb2.BlobProto(shape={"dim": [2, 2]}, data=[1, 2, 3]),
        caffe_pb2.BlobProto(shape={"dim": [-1, -3]}, data=[1, 2, 3]),
    ):
        with pytest.raises(UserError, match="holds 3 values"):
            proto.blob_to_array(damaged)


def test_weights_of_every_age_and_format(tmp_path):
    blobs = random_blobs()
    proto.write_weights(tmp_path / "new.caffemodel", v2_net(blobs))
    same(proto.read_blobs(tmp_path / "new.caffemodel"), blobs)

    proto.write_weights(tmp_path / "old.caffemodel", v1_net(blobs))
    net = proto.read_weights(tmp_path / "old.caffemodel")
    assert [layer.type for layer in net.layer] == ["Convolution", "InnerProduct", "InnerProduct"]
    old = proto.read_blobs(tmp_path / "old.caffemodel")
    assert [a.shape for a in old["a"]] == [(1, 1, 4, 48), (1, 1, 1, 4)]
    same({n: [a.reshape(s) for a, s in zip(old[n], SHAPES[n], strict=True)] for n in old}, blobs)

    two = {"fire2.squeeze1x1": blobs["conv"], "z": blobs["a"]}
    proto.write_weights_h5(tmp_path / "new.caffemodel.h5", two)
    same(proto.read_blobs(tmp_path / "new.caffemodel.h5"), two)
    proto.write_weights_h5(tmp_path / "again.h5", two)
    assert (tmp_path / "again.h5").read_bytes() == (tmp_path / "new.caffemodel.h5").read_bytes()


def test_damaged_weights(tmp_path):
    path = tmp_path / "w.caffemodel"
    with pytest.raises(UserError, match="w.caffemodel: no such file"):
        proto.read_blobs(path)
    with pytest.raises(UserError, match="is a folder"):
        proto.read_blobs(tmp_path)
    path.write_bytes(b"")
    with pytest.raises(UserError, match="w.caffemodel: is empty"):
        proto.read_blobs(path)
    proto.write_weights(path, v2_net(random_blobs()))
    whole = path.read_bytes()
    for length in (7, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match="w.caffemodel: is truncated or not a binary NetParameter"):
            proto.read_blobs(path)
    for garbage in (b"name: 'n'\n", np.random.default_rng(0).bytes(1000), b"<html>404 Not Found</html>"):
        path.write_bytes(garbage)
        with pytest.raises(UserError, match="w.caffemodel: "):
            proto.read_blobs(path)
    net = v2_net(random_blobs())
    net.layer[1].blobs[0].shape.dim[0] = 5
    proto.write_weights(path, net)
    with pytest.raises(UserError, match=r"w.caffemodel: layer 'a': blob of shape \(5, 48\) holds 192 values"):
        proto.read_blobs(path)


def test_damaged_hdf5(tmp_path):
    path = tmp_path / "w.caffemodel.h5"
    proto.write_weights_h5(path, random_blobs())
    with pytest.raises(UserError, match="is an HDF5 caffemodel"):
        proto.read_weights(path)
    whole = path.read_bytes()
    for length in (50, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match="w.caffemodel.h5: is truncated or damaged HDF5"):
            proto.read_blobs(path)
    with h5py.File(path, "w") as file:
        file["x"] = 1
    with pytest.raises(UserError, match="no group 'data'"):
        proto.read_blobs(path)
    with h5py.File(path, "w") as file:
        file.create_group("data/conv")
    with pytest.raises(UserError, match="holds no blobs"):
        proto.read_blobs(path)


@pytest.mark.parametrize("suffix", [".caffemodel", ".caffemodel.h5"])
def test_any_damage_is_an_error_for_the_user_or_harmless(tmp_path, suffix):
    path = tmp_path / f"w{suffix}"
    if suffix == ".caffemodel":
        proto.write_weights(path, v1_net(random_blobs()))
    else:
        proto.write_weights_h5(path, random_blobs())
    whole, rng, told = np.fromfile(path, "u1"), np.random.default_rng(0), 0
    for _ in range(300):
        damaged = whole.copy()
        damaged[rng.integers(0, 600, 20)] = rng.integers(0, 256, 20)
        damaged.tofile(path)
        try:
            proto.read_blobs(path)
        except UserError as error:
            assert str(path) in str(error)
            told += 1
    assert told > 150


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "w.caffemodel.h5"
    proto.write_weights_h5(path, random_blobs())
    before = path.read_bytes()
    with pytest.raises(ValueError, match="could not convert"):
        proto.write_weights_h5(path, {"conv": ["words"]})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_message_larger_than_64_mb(tmp_path):
    array = np.arange(20_000_000, dtype="f4")
    proto.write_weights(tmp_path / "w", v2_net({"fc6": [array]}))
    np.testing.assert_array_equal(proto.read_blobs(tmp_path / "w")["fc6"][0], array)


def test_mean_file(tmp_path):
    path = tmp_path / "mean.binaryproto"
    mean = np.random.default_rng(0).uniform(0, 255, (3, 4, 5)).astype("f4")
    proto.write_mean(path, mean)
    blob = proto.read_message(path, caffe_pb2.BlobProto())
    assert (blob.num, blob.channels, blob.height, blob.width) == (1, 3, 4, 5)
    np.testing.assert_array_equal(proto.read_mean(path), mean)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(UserError, match="mean.binaryproto: is truncated"):
        proto.read_mean(path)
    proto.write_message(path, proto.array_to_blob(np.zeros((2, 3, 4, 5))))
    with pytest.raises(UserError, match="mean.binaryproto: holds shape"):
        proto.read_mean(path)
    proto.write_message(path, caffe_pb2.BlobProto(num=1, channels=3, height=2, width=2, data=[1]))
    with pytest.raises(UserError, match="mean.binaryproto: blob of shape"):
        proto.read_mean(path)
    proto.write_mean(path, np.full((1, 1, 1), np.nan))
    with pytest.raises(UserError, match="mean.binaryproto: the mean image is not finite"):
        proto.read_mean(path)


@pytest.mark.skipif(not SQUEEZENET.exists(), reason="the shared SqueezeNet is not here")
def test_a_public_caffemodel():
    blobs = proto.read_blobs(SQUEEZENET)
    assert blobs["conv1"][0].shape == (64, 3, 3, 3)
    assert blobs["conv10"][0].shape == (1000, 512, 1, 1)
    assert sum(b.size for layer in blobs.values() for b in layer) == 1_235_496
    assert all(np.isfinite(b).all() and b.any() for layer in blobs.values() for b in layer)


GENUINE = """
import json, sys
import caffe
net = caffe.Net(sys.argv[1], caffe.TEST)
net.copy_from(sys.argv[2])
net.save(sys.argv[3])
if sys.argv[4:]:
    net.save_hdf5(sys.argv[4])
print(json.dumps({name: [blob.data.tolist() for blob in blobs] for name, blobs in net.params.items()}))
"""


@pytest.fixture(scope="module")
def genuine_net(tmp_path_factory):
    """Run pycaffe: load a caffemodel into NET, save it again; returns (folder, run(weights) -> blobs)."""
    folder = tmp_path_factory.mktemp("genuine")
    (folder / "net.prototxt").write_text(NET)

    def run(weights: Path) -> dict[str, list[np.ndarray]]:
        outputs = [folder / "out.caffemodel", folder / "out.caffemodel.h5"]
        done = genuine_python.run("-c", GENUINE, folder / "net.prototxt", weights, *outputs)
        return {n: [np.float32(b) for b in blobs] for n, blobs in json.loads(done.stdout.splitlines()[-1]).items()}

    return folder, run


class TestGenuine:
    pytestmark = pytest.mark.genuine

    def test_it_reads_ours_and_we_read_its(self, genuine_net):
        folder, run = genuine_net
        blobs = random_blobs()
        proto.write_weights(folder / "in.caffemodel", v2_net(blobs))
        same(run(folder / "in.caffemodel"), blobs)
        same(proto.read_blobs(folder / "out.caffemodel"), blobs)
        owned = {"conv": blobs["conv"], "a": blobs["a"], "b": [None, blobs["b"][1]]}
        read = proto.read_blobs(folder / "out.caffemodel.h5")
        assert {n: [b is None for b in v] for n, v in read.items()} == {
            n: [b is None for b in v] for n, v in owned.items()
        }
        for name in owned:
            for ours, theirs in zip(read[name], owned[name], strict=True):
                if theirs is not None:
                    np.testing.assert_array_equal(ours, theirs)
        proto.write_weights_h5(folder / "again.h5", read)
        same(run(folder / "again.h5"), blobs)

    def test_it_reads_our_hdf5(self, genuine_net):
        folder, run = genuine_net
        blobs = random_blobs()
        proto.write_weights_h5(folder / "in.caffemodel.h5", blobs)
        same(run(folder / "in.caffemodel.h5"), blobs)

    def test_it_reads_the_same_v1_file(self, genuine_net):
        folder, run = genuine_net
        blobs = random_blobs()
        proto.write_weights(folder / "v1.caffemodel", v1_net(blobs))
        same(run(folder / "v1.caffemodel"), blobs)
        ours = proto.read_blobs(folder / "v1.caffemodel")
        same({n: [a.reshape(s) for a, s in zip(ours[n], SHAPES[n], strict=True)] for n in ours}, blobs)

    def test_its_binary_upgrade_is_ours(self, tmp_path):
        proto.write_weights(tmp_path / "v1", v1_net(random_blobs()))
        order = [root.command("upgrade_net_proto_binary"), tmp_path / "v1", tmp_path / "v2"]
        assert subprocess.run(order, capture_output=True, check=False).returncode == 0
        theirs = proto.read_message(tmp_path / "v2", caffe_pb2.NetParameter())
        assert proto.read_weights(tmp_path / "v1") == theirs
