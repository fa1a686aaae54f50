"""Layer names in weights: what HDF5 can't hold, names that stand twice, layers without a name."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import genuine_python
import h5py
import numpy as np
import pytest
from solver_lab import TRAIN, prepare, run_genuine, run_ours

from pycaffe_ext import caffe, proto, strings
from pycaffe_ext.errors import UserError
from pycaffe_ext.export import source

HELD = ("ip", "..", "data", "diff", "ü", "a b", "a.b", "0", "x" * 300)
REFUSED = ("", ".", "/", "//", "a/b", "a//b", "a/./b", "tail")  # tail: the net's other layer
LOST = ("a/", "/a", "./a", "/tail")  # Caffe writes them, and does not find them again
IP = """layer {{ name: "{}" type: "InnerProduct" bottom: "{}" top: "{}"
  inner_product_param {{ num_output: 2 {} }} }}
"""
INPUT = 'layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 1 dim: 2 } } }\n'
RANDOM = 'weight_filler { type: "uniform" min: 1 max: 2 }'


def ip(name: str, bottom: str = "x", top: str = "y", filler: str = RANDOM) -> str:
    return IP.format(name, bottom, top, filler)


def write(folder: Path, text: str, name: str = "net.prototxt") -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def values(net: caffe.Net) -> list[list[float]]:
    return [layer.blobs[0].data.ravel().tolist() for layer in net.layers if len(layer.blobs)]


def ask_genuine(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return genuine_python.run("-c", "import sys, json, caffe\n" + script, *arguments, check=False)


SAVE = """
import os
for i, model in enumerate(sys.argv[2:]):
    if not os.fork():  # Caffe aborts on some
        net = caffe.Net(model, caffe.TEST)
        net.save_hdf5(f"{sys.argv[1]}/{i}.h5")
        with open(f"{sys.argv[1]}/{i}.json", "w") as file:
            json.dump([l.blobs[0].data.ravel().tolist() for l in net.layers if len(l.blobs)], file)
        os._exit(0)
    os.wait()"""
LOAD = """
net = caffe.Net(sys.argv[1], caffe.TEST)
net.copy_from(sys.argv[2])
print(json.dumps([l.blobs[0].data.ravel().tolist() for l in net.layers if len(l.blobs)]))"""


# ---- HDF5


@pytest.mark.parametrize("name", HELD, ids=repr)
def test_honest_names_go_through_hdf5(name, tmp_path):
    net = caffe.Net(write(tmp_path, INPUT + ip(name) + ip("tail", "y", "z")), caffe.TEST)
    net.save_hdf5(str(tmp_path / "w.h5"))
    other = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    assert values(other) != values(net)
    other.load_hdf5(str(tmp_path / "w.h5"))
    assert values(other) == values(net)


@pytest.mark.parametrize("name", REFUSED + LOST, ids=repr)
def test_names_that_hdf5_cannot_hold_are_refused_with_the_layer(name, tmp_path):
    net = caffe.Net(write(tmp_path, INPUT + ip("tail", "x", "z") + ip(name, "z", "y")), caffe.TEST)
    with pytest.raises(UserError, match="rename the layer") as caught:
        net.save_hdf5(str(tmp_path / "w.h5"))
    assert f"layer {name!r}: HDF5" in str(caught.value) and "BINARYPROTO" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["net.prototxt"]


def test_a_group_within_a_layers_group_is_refused_on_both_ways(tmp_path):
    """Caffe writes `a/b` behind a layer `a`, and can't read the file."""
    net = caffe.Net(write(tmp_path, INPUT + ip("a", "x", "z") + ip("a/b", "z", "y")), caffe.TEST)
    with pytest.raises(UserError, match="layer 'a': HDF5"):
        net.save_hdf5(str(tmp_path / "w.h5"))
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["data/fire2/squeeze1x1/0"] = np.ones((2, 2), np.float32)
    for read in (net.load_hdf5, net.copy_from, proto.read_blobs):
        with pytest.raises(UserError, match=r"w\.h5: layer 'fire2/squeeze1x1' is a group within a group"):
            read(str(tmp_path / "w.h5"))


@pytest.mark.genuine
def test_the_genuine_caffe_takes_and_refuses_the_same_names(tmp_path):
    """What it aborts on leaves half a file; what it writes and then does not find we refuse too."""
    names = HELD + REFUSED + LOST
    head = INPUT + ip("tail", "x", "z")
    models = [write(tmp_path, head + ip(name, "z", "y"), f"{i}") for i, name in enumerate(names)]
    assert "Error saving weights" in ask_genuine(SAVE, tmp_path, *models).stderr
    for i, name in enumerate(names):
        saved = tmp_path / f"{i}.json"
        assert saved.exists() == (name not in REFUSED), name
        if name in HELD:
            net = caffe.Net(models[i], caffe.TEST)
            net.load_hdf5(str(tmp_path / f"{i}.h5"))
            np.testing.assert_array_equal(values(net), json.loads(saved.read_text()))


@pytest.mark.genuine
def test_the_genuine_caffe_reads_our_names_and_not_those_it_loses(tmp_path):
    model = write(tmp_path, INPUT + "".join(ip(name, "x", f"t{i}") for i, name in enumerate(HELD)))
    net = caffe.Net(model, caffe.TEST)
    net.save_hdf5(str(tmp_path / "ours.h5"))
    np.testing.assert_array_equal(json.loads(ask_genuine(LOAD, model, tmp_path / "ours.h5").stdout), values(net))
    lost = write(tmp_path, INPUT + ip("a/", "x", "y", 'weight_filler { type: "constant" value: 7 }'), "lost")
    ask_genuine(SAVE, tmp_path, write(tmp_path, INPUT + ip("a/"), "random"))
    assert json.loads((tmp_path / "0.json").read_text()) != [[7] * 4]
    assert json.loads(ask_genuine(LOAD, lost, tmp_path / "0.h5").stdout) == [[7] * 4]


@pytest.mark.genuine
def test_a_missing_blob_must_be_a_shared_one(tmp_path):
    model = write(tmp_path, INPUT + ip("a") + ip("b", "y", "z"))
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["data/a/0"] = np.ones((2, 2), np.float32)
    assert "Incompatible number of blobs for layer a" in ask_genuine(LOAD, model, tmp_path / "w.h5").stderr
    with pytest.raises(UserError, match=r"layer 'a': the saved net has 1 blob\(s\) for it, this net 2"):
        caffe.Net(model, caffe.TEST).load_hdf5(str(tmp_path / "w.h5"))


def slashed(folder: Path, **settings: object) -> Path:
    prepare(folder, snapshot_format="HDF5", **settings)
    net = (folder / "net.prototxt").read_text().replace('name: "fc"', 'name: "head/fc"')
    (folder / "net.prototxt").write_text(net)
    return folder


def test_training_that_could_not_snapshot_is_refused_at_the_start(tmp_path):
    folder = slashed(tmp_path / "a")
    with pytest.raises(UserError, match=r"^net\.prototxt:\d+: layer 'head/fc': HDF5 can't hold.*BINARYPROTO"):
        run_ours(folder, *TRAIN[:2])
    assert not list(folder.glob("snap*"))


@pytest.mark.genuine
def test_the_genuine_caffe_aborts_at_that_snapshot(tmp_path):
    log = run_genuine(slashed(tmp_path / "a", display=1), *TRAIN[:2], check=False)
    assert "Iteration 9 (" in log and "Error saving weights to snap_iter_10.caffemodel.h5" in log


# ---- names that stand twice


TWINS = INPUT + ip("ip") + ip("ip", "y", "z")


def test_of_layers_of_one_name_one_is_filled_and_the_log_says_so(tmp_path, capfd):
    """As the genuine test below shows: binary weights and sharing reach the first layer, HDF5 the last."""
    donor, other = (caffe.Net(write(tmp_path, TWINS, "twins"), caffe.TEST) for _ in range(2))
    assert capfd.readouterr().err.count("2 layers with parameters are called 'ip'") == 2
    one, two = values(donor)
    donor.save(str(tmp_path / "w.caffemodel"))
    single = caffe.Net(write(tmp_path, INPUT + ip("ip"), "single"), caffe.TEST)
    single.save_hdf5(str(tmp_path / "w.h5"))
    old = values(other)[1]
    other.copy_from(str(tmp_path / "w.caffemodel"))
    assert values(other) == [two, old]
    other.load_hdf5(str(tmp_path / "w.h5"))
    assert values(other) == [two, *values(single)]
    third = caffe.Net(str(tmp_path / "twins"), caffe.TEST)
    old = values(third)[1]
    third.share_with(donor)
    assert values(third) == [two, old]


TWICE = """
donor, other, third = (caffe.Net(sys.argv[1], caffe.TEST) for _ in range(3))
show = lambda net: [l.blobs[0].data.ravel().tolist() for l in net.layers if len(l.blobs)]
single = caffe.Net(sys.argv[2], caffe.TEST)
single.save_hdf5(sys.argv[3]), donor.save(sys.argv[4])
found = {"one": show(donor), "other": show(other), "third": show(third), "single": show(single)}
other.copy_from(sys.argv[4])
found["binary"] = show(other)
other.load_hdf5(sys.argv[3])
found["hdf5"] = show(other)
third.share_with(donor)
print(json.dumps(found | {"shared": show(third)}))"""


@pytest.mark.genuine
def test_of_layers_of_one_name_the_genuine_caffe_fills_the_same(tmp_path):
    files = write(tmp_path, TWINS, "twins"), write(tmp_path, INPUT + ip("ip"), "single")
    found = json.loads(ask_genuine(TWICE, *files, tmp_path / "w.h5", tmp_path / "w.caffemodel").stdout)
    two = found["one"][1]
    assert found["binary"] == [two, found["other"][1]]
    assert found["hdf5"] == [two, *found["single"]]
    assert found["shared"] == [two, found["third"][1]]


def test_layers_without_a_name_are_saved_and_their_mixture_is_refused(tmp_path):
    """The genuine Caffe looks for the first layer without a name, whatever its type, and dies on its blobs."""
    relu = 'layer { type: "ReLU" bottom: "y" top: "y" }\n'
    net = caffe.Net(write(tmp_path, INPUT + ip("") + relu), caffe.TEST)
    net.save(str(tmp_path / "w.caffemodel"))
    with pytest.raises(UserError, match=r"layer '': the saved net has 0 blob\(s\) for it, this net 2"):
        net.copy_from(str(tmp_path / "w.caffemodel"))
    with pytest.raises(UserError, match="2 layers are called ''"):
        source.read(tmp_path / "net.prototxt", tmp_path / "w.caffemodel")


def test_a_name_that_is_not_utf8_is_its_bytes_in_the_file(tmp_path):
    """As Caffe writes it; a message keeps such bytes in another form, see pycaffe_ext.strings."""
    name = strings.decode(b"caf\xe9")
    proto.write_weights_h5(tmp_path / "w.h5", {name: [np.ones(2, np.float32)]})
    with h5py.File(tmp_path / "w.h5") as store:
        assert [os.fsencode(key) for key in store["data"]] == [b"caf\xe9"]
    assert list(proto.read_blobs(tmp_path / "w.h5")) == [name]
