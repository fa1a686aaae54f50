"""Layers written in Python: the same module in the genuine pycaffe and here; mistakes; what `import caffe` means."""

from __future__ import annotations

import sys

import genuine_python
import numpy as np
import pytest
import torch
from engine_cases import layer
from solver_lab import run_ours

from pycaffe_ext.engine.core.net import Net
from pycaffe_ext.engine.core.python_layer import ArrayBlob, Layer, caffe_is_ours
from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import caffe_pb2, parse, read_blobs

MODULE = '''
import json

import caffe
import numpy as np


class Source(caffe.Layer):
    """Data that depend on the number of the pass only."""

    def setup(self, bottom, top):
        self.settings = json.loads(self.param_str)
        self.passes = 0

    def reshape(self, bottom, top):
        top[0].reshape(self.settings["batch"], 3)
        top[1].reshape(self.settings["batch"], 2)

    def forward(self, bottom, top):
        rng = np.random.RandomState(self.passes + 100 * (self.phase == caffe.TEST))
        self.passes += 1
        for i in range(len(top)):
            top[i].data[...] = rng.standard_normal(tuple(top[i].shape))

    def backward(self, top, propagate_down, bottom):
        pass


class Scale(caffe.Layer):
    """A factor for each column, learned; may be in place."""

    def setup(self, bottom, top):
        self.blobs.add_blob(bottom[0].channels)
        self.blobs[0].data[...] = np.arange(1, bottom[0].channels + 1)

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        self.before = bottom[0].data.copy()
        top[0].data[...] = self.before * self.blobs[0].data

    def backward(self, top, propagate_down, bottom):
        self.blobs[0].diff[...] += (top[0].diff * self.before).sum(axis=0)
        if propagate_down[0]:
            bottom[0].diff[...] = top[0].diff * self.blobs[0].data


class Loss(caffe.Layer):
    def setup(self, bottom, top):
        if len(bottom) != 2:
            raise Exception("needs two bottoms")

    def reshape(self, bottom, top):
        assert bottom[0].count == bottom[1].count
        self.diff = np.zeros_like(bottom[0].data, dtype=np.float32)
        top[0].reshape(1)

    def forward(self, bottom, top):
        self.diff[...] = bottom[0].data - bottom[1].data
        top[0].data[...] = np.sum(self.diff ** 2) / bottom[0].num / 2.0

    def backward(self, top, propagate_down, bottom):
        for i, sign in ((0, 1), (1, -1)):
            if propagate_down[i]:
                bottom[i].diff[...] = sign * top[0].diff * self.diff / bottom[i].num
'''


def python(name: str, bottoms: str, tops: str, settings: str = "", more: str = "", module: str = "my_layers") -> str:
    text = f'python_param {{ module: "{module}" layer: "{name}" {settings} }} {more}'
    return layer("Python", text, bottoms, tops, name=name.lower())


NET = 'name: "n"\n' + "".join(
    [
        python("Source", "", "x t", """param_str: '{"batch": 4}'""", "include { phase: TRAIN }"),
        python("Source", "", "x t", """param_str: '{"batch": 2}'""", "include { phase: TEST }"),
        layer(
            "InnerProduct",
            'inner_product_param { num_output: 2 weight_filler { type: "constant" value: 0.2 } }',
            "x",
            "y",
            name="ip",
        ),
        python("Scale", "y", "y", more="param { lr_mult: 0.5 }"),
        python("Loss", "y t", "loss", more="loss_weight: 0.7"),
    ]
)
SOLVER = """net: "net.prototxt" base_lr: 0.05 momentum: 0.9 weight_decay: 0.01 lr_policy: "fixed" max_iter: 12
snapshot_prefix: "%s" test_iter: 3 test_interval: 6 solver_mode: CPU
"""
GENUINE = """
import os
os.environ["GLOG_minloglevel"] = "2"
import caffe, numpy as np
net = caffe.Net("net.prototxt", caffe.TRAIN)
net.forward()
net.backward()
out = {"data:" + name: blob.data for name, blob in net.blobs.items()}
out.update({"diff:" + name: blob.diff for name, blob in net.blobs.items()})
out.update({"grad:" + name: blobs[0].diff for name, blobs in net.params.items()})
np.savez("out.npz", **out)
caffe.get_solver("theirs.prototxt").solve()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Holds my_layers.py, which can be imported from there, net.prototxt and solvers for both engines."""
    (tmp_path / "my_layers.py").write_text(MODULE)
    (tmp_path / "net.prototxt").write_text(NET)
    for name in ("ours", "theirs"):
        (tmp_path / f"{name}.prototxt").write_text(SOLVER % name)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_layers", raising=False)
    yield tmp_path
    sys.modules.pop("my_layers", None)


def make(text: str = NET, phase: int = caffe_pb2.TRAIN) -> Net:
    return Net(parse(text, caffe_pb2.NetParameter()), phase)


@pytest.mark.genuine
def test_the_same_module_computes_and_learns_the_same_in_both_engines(folder):
    genuine_python.run("-c", GENUINE, cwd=folder)
    net = make()
    net.forward()
    net.backward()
    for key, theirs in np.load(folder / "out.npz").items():
        kind, name = key.split(":")
        blob = net.blobs[name] if kind != "grad" else net.layers[net.layer_names.index(name)].blobs[0]
        ours = blob.data if kind == "data" else blob.diff
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-5, atol=1e-6, err_msg=key)
    log = run_ours(folder, "train", "-solver", "ours.prototxt")
    assert "Test net output #0: loss" in log
    ours, theirs = (read_blobs(folder / f"{who}_iter_12.caffemodel") for who in ("ours", "theirs"))
    assert list(ours["scale"][0].shape) == [2]
    for name in ("ip", "scale"):
        for a, b in zip(ours[name], theirs[name], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_gradients_of_the_loss_are_weighted(folder):
    net = make()
    assert net.forward() == pytest.approx(0.7 * float(net.blobs["loss"].data))
    net.backward()
    expected = 0.7 * (net.blobs["y"].data - net.blobs["t"].data) / 4
    scale = net.layers[net.layer_names.index("scale")].blobs[0].data
    torch.testing.assert_close(net.blobs["y"].diff, expected * scale)


def test_a_test_net_sees_the_parameters_it_shares(folder):
    train, test = make(), make(phase=caffe_pb2.TEST)
    test.share_trained_layers_with(train)
    index = train.layer_names.index("scale")
    train.layers[index].instance.blobs[0].data[...] = 5
    assert test.layers[index].instance.blobs[0].data.tolist() == [5, 5]
    assert test.layers[index].instance.phase == caffe_pb2.TEST


def test_blobs_elsewhere_take_back_what_was_written():
    """As on a GPU, here with another number format: arrays are copies until flush."""
    from pycaffe_ext.engine.core.blob import Blob

    blob = Blob((2, 3))
    blob.data = torch.zeros(2, 3, dtype=torch.bfloat16)
    view = ArrayBlob(blob)
    view.data[...] = 3
    assert view.data.dtype == np.float32 and not blob.data.any()
    view.flush()
    assert blob.data.eq(3).all() and blob.data.dtype == torch.bfloat16
    assert (view.num, view.channels, view.height, view.width, view.count) == (2, 3, 1, 1, 6)


def test_import_caffe_means_ours_only_inside(folder, monkeypatch):
    other = type(sys)("caffe")
    monkeypatch.setitem(sys.modules, "caffe", other)
    make()
    assert sys.modules["my_layers"].caffe.__name__ == "pycaffe_ext.caffe"
    assert sys.modules["caffe"] is other
    monkeypatch.delitem(sys.modules, "caffe")
    with caffe_is_ours():
        import caffe

        assert caffe.TRAIN == caffe_pb2.TRAIN
    assert "caffe" not in sys.modules


def test_the_caffe_module_exports_the_base_class():
    from pycaffe_ext import caffe

    assert caffe.Layer is Layer


REFUSED = {
    "no such module": (python("Scale", "", "y", module="nosuch"), "no module 'nosuch'; put its folder into PYTHONPATH"),
    "no such class": (python("Skale", "", "y"), "no class 'Skale' .*it has: Source, Scale, Loss"),
    "not a layer": (python("json", "", "y"), "no class 'json'"),
}


@pytest.mark.parametrize("text, message", REFUSED.values(), ids=REFUSED)
def test_mistakes_are_told_in_one_line(text, message, folder):
    with pytest.raises(UserError, match=rf"layer '.*' \(Python\): .*{message}"):
        make(text)


MORE = """
import caffe


class Silent(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(1)


class Once(Silent):
    def forward(self, bottom, top):
        if not top[0].data.any():
            top[0].data[...] = self.written = getattr(self, "written", 0) + 1

    def backward(self, top, propagate_down, bottom):
        pass


class Loud(Silent):
    def forward(self, bottom, top):
        raise RuntimeError("on purpose")
"""


def test_errors_of_the_layer_pass_through_with_its_name(folder, monkeypatch):
    (folder / "more_layers.py").write_text(MORE)
    try:
        with pytest.raises(UserError, match="class 'Silent' has no method 'forward'"):
            make(python("Silent", "", "y", module="more_layers")).forward()
        with pytest.raises(RuntimeError, match="on purpose") as caught:
            make(python("Loud", "", "y", module="more_layers")).forward()
    finally:
        sys.modules.pop("more_layers", None)
    assert "in forward of layer 'loud' (Python)" in caught.value.__notes__


def test_tops_stay_between_the_passes_of_a_training(folder):
    (folder / "more_layers.py").write_text(MORE)
    text = layer("DummyData", "dummy_data_param { shape { dim: 1 } }", "", "x", name="x")
    net = make(text + python("Once", "x", "y", module="more_layers") + layer("Silence", "", "y", "", name="end"))
    net.lean = True
    for _ in range(3):
        net.forward()
        net.backward()
    sys.modules.pop("more_layers")
    assert net.blobs["y"].data.tolist() == [1]
