"""bvlc_alexnet.npy: its order of axes, and that nothing in its pickle is run."""

import os
import pickle

import numpy as np
import pytest

from pycaffe_ext import proto
from pycaffe_ext.donor import weights
from pycaffe_ext.donor.npy_weights import read_npy
from pycaffe_ext.errors import UserError

RNG = np.random.default_rng(0)


def content():
    """A small net: 4 channels of 6x6 into fc6, as the published file arranges it."""
    return {
        "conv5": [RNG.normal(size=(3, 3, 2, 4)).astype(np.float32), np.arange(4, dtype=np.float32)],
        "fc6": [RNG.normal(size=(6 * 6 * 4, 5)).astype(np.float32), np.arange(5, dtype=np.float32)],
        "fc7": [RNG.normal(size=(5, 3)).astype(np.float32), np.arange(3, dtype=np.float32)],
    }


def write(path, value, dumped=None):
    """A .npy file of one object; `dumped` replaces its pickle."""
    if dumped is None:
        np.save(path, np.array(value, dtype=object), allow_pickle=True)
        return path
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
        file.write(dumped)
    return path


@pytest.mark.parametrize("protocol", [None, 0, 2, 4])
def test_axes_are_put_in_caffes_order(tmp_path, protocol):
    value = content()
    dumped = None if protocol is None else pickle.dumps(np.array(value, dtype=object), protocol=protocol)
    blobs = read_npy(write(tmp_path / "a.npy", value, dumped))
    conv, fc6, fc7 = (blobs[name][0] for name in ("conv5", "fc6", "fc7"))
    assert conv.shape == (4, 2, 3, 3) and conv[3, 1, 0, 2] == value["conv5"][0][0, 2, 1, 3]
    pool5 = RNG.normal(size=(4, 6, 6)).astype(np.float32)  # one image, channels first
    there = pool5.transpose(1, 2, 0).ravel() @ value["fc6"][0]
    np.testing.assert_allclose(fc6 @ pool5.ravel(), there, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(fc7, value["fc7"][0].T)
    for name, pair in blobs.items():
        np.testing.assert_array_equal(pair[1], value[name][1])
        assert all(blob.dtype == np.float32 and blob.flags.c_contiguous for blob in pair)


class Runs:
    """An object whose pickle calls a function when an ordinary reader opens it."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_pickle_that_would_run_a_command_is_refused_and_not_run(tmp_path, protocol):
    proof = tmp_path / "ran"
    dumped = pickle.dumps(np.array({"conv1": Runs(os.mkdir, str(proof))}, dtype=object), protocol=protocol)
    with pytest.raises(UserError, match=r"a.npy: not a pickled dictionary of arrays .*mkdir, which is not allowed"):
        read_npy(write(tmp_path / "a.npy", None, dumped))
    assert not proof.exists()
    pickle.loads(dumped)
    assert proof.exists(), "the same bytes do run in an ordinary reader"


@pytest.mark.parametrize(
    "harmless", [Runs(eval, "1"), Runs(getattr, "", "join"), Runs(print)], ids=["eval", "getattr", "print"]
)
def test_no_function_but_the_arrays_own_is_reachable(tmp_path, harmless):
    with pytest.raises(UserError, match="not allowed"):
        read_npy(write(tmp_path / "a.npy", None, pickle.dumps(harmless)))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "holds no dictionary"),
        ([1, 2], "array of|pickle of|no dictionary"),
        ({"conv1": [np.zeros((3, 3, 2, 4), np.float32)]}, "layer 'conv1' is not"),
        ({"conv1": [np.zeros((3, 3, 2, 4)), np.zeros(5)]}, "biases of shape"),
        ({"conv1": [np.zeros((3, 3, 4)), np.zeros(4)]}, "layer 'conv1' is not"),
        ({"conv1": ["a", "b"]}, "layer 'conv1' is not"),
        ({"fc6": [np.zeros((35, 4)), np.zeros(4)]}, "35 inputs"),
        ({1: [np.zeros((35, 4)), np.zeros(4)]}, "layer 1 is not"),
    ],
)
def test_other_contents_are_refused(tmp_path, value, message):
    with pytest.raises(UserError, match=message):
        read_npy(write(tmp_path / "a.npy", value))


def test_garbled_files_are_refused(tmp_path):
    good = write(tmp_path / "good.npy", content()).read_bytes()
    bad = tmp_path / "bad.npy"
    for data in (b"", b"hello", good[:100], good[: len(good) // 2], good[:-1]):
        bad.write_bytes(data)
        with pytest.raises(UserError, match="bad.npy"):
            read_npy(bad)
    np.save(bad, np.zeros(3))
    with pytest.raises(UserError, match="array of float64"):
        read_npy(bad)


def test_weights_may_name_such_a_file(tmp_path):
    value = content()
    path = weights.resolve(write(tmp_path / "bvlc_alexnet.npy", value), tmp_path / "weights")
    assert path.suffix == ".caffemodel" and path == weights.resolve(tmp_path / "bvlc_alexnet.npy", tmp_path / "weights")
    blobs = proto.read_blobs(path)
    assert {name: [b.shape for b in pair] for name, pair in blobs.items()} == {
        "conv5": [(4, 2, 3, 3), (4,)],
        "fc6": [(5, 144), (5,)],
        "fc7": [(3, 5), (3,)],
    }
    np.testing.assert_array_equal(blobs["fc7"][0], value["fc7"][0].T)
