"""The engine on a device that is not the CPU, as far as a CPU can tell: `meta` tensors, and stand-ins for streams.

A step on `meta` tensors takes a GPU's branches, and fails where anything reads a value, copies to the host or makes a
tensor elsewhere.  `torch.device("cpu", 0)` would prove nothing: PyTorch takes it for the same device as "cpu".
"""

from __future__ import annotations

import re

import cv2
import h5py
import numpy as np
import pytest
import torch
from devices_lab import GPU, META, Strict, streams  # noqa: F401
from engine_cases import PHASES, Case
from oracle.layers import groups
from oracle.training import solver_param
from solver_lab import images, write_lmdb

from pycaffe_ext.engine import devices, gpu_errors, lanes
from pycaffe_ext.engine.cache.rows import Rows
from pycaffe_ext.engine.commands import time as time_command
from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.core.net import Net
from pycaffe_ext.engine.core.random import set_seed
from pycaffe_ext.engine.layers.base import Layer, layer_types, register
from pycaffe_ext.engine.solver.solver import Scores, Solver
from pycaffe_ext.engine.solver.updates import UPDATES
from pycaffe_ext.errors import DeviceLostError, UserError
from pycaffe_ext.nets import ARCHITECTURES, NetSpec
from pycaffe_ext.nets.layers import layer
from pycaffe_ext.proto import caffe_pb2, parse

CASES = [(f"{group.name}: {case.name}", case) for group in groups() for case in group.rows]
HOSTS = {"Filter"}  # the shapes of their tops follow from values, which the host has to know
LOGS = "debug_info: true"  # a recurrent layer that logs each of its blobs


def waits(case: Case) -> bool:
    text = case.prototxt()
    return LOGS in text or bool(HOSTS & set(re.findall(r'type: "(\w+)"', text)))


@pytest.mark.parametrize(
    "case", [case for _, case in CASES if not waits(case)], ids=[name for name, case in CASES if not waits(case)]
)
def test_a_pass_of_each_layer_waits_for_nothing_and_stays_on_its_device(case):
    net = Net(parse(case.prototxt(), caffe_pb2.NetParameter()), PHASES[case.phase], device=META)
    expected = {name: blob.shape for name, blob in net.blobs.items()}
    with Strict():
        net.forward_losses()
        for name in net.outputs:
            if not net.loss_weights[name]:
                net.blobs[name].diff = torch.empty(net.blobs[name].shape, device=META)
        net.backward()
    blobs = [*net.blobs.values(), *net.learnable_params]
    assert {name: blob.shape for name, blob in net.blobs.items()} == expected
    for blob in blobs:
        for values in (blob.data, blob.diff):
            assert (values.device, values.dtype, tuple(values.shape)) == (META, torch.float32, blob.shape)


def test_the_types_that_wait_for_their_values_are_known():
    waiting = {name for name, case in CASES if waits(case)}
    assert len(waiting) < 20
    checked = {kind for _, case in CASES if not waits(case) for kind in re.findall(r'type: "(\w+)"', case.prototxt())}
    readers = {"Data", "HDF5Data", "HDF5Output", "ImageData", "MemoryData", "WindowData", "Python"}
    assert set(layer_types()) - checked == HOSTS | readers


def constant_net(arch: str, batch: int = 2) -> caffe_pb2.NetParameter:
    """A training net as it is generated, dropout included, over a DummyData layer in its Data layers' place."""
    found = ARCHITECTURES[arch]
    net = found.train_val(NetSpec("polyp", "scratch", 3, batch_size=batch, val_batch_size=batch, arch=arch))
    made = layer("data", "DummyData", [], ["data", "label"])
    made.dummy_data_param.shape.add(dim=(batch, *found.input))
    made.dummy_data_param.shape.add(dim=(batch,))
    kept = [part for part in net.layer if part.type != "Data"]
    del net.layer[:]
    net.layer.extend([made, *kept])
    return net


def iterate(net: caffe_pb2.NetParameter, **settings: object) -> Solver:
    solver = Solver(solver_param(net_param=net, base_lr=0.01, lr_policy="fixed", **settings), META)
    solver.be_lean()
    with Strict(), torch.no_grad():
        solver.iterate(0)
        solver.iterate(0)
    return solver


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_an_iteration_of_each_net_waits_for_nothing(arch):
    solver = iterate(constant_net(arch), momentum=0.9, weight_decay=5e-4)
    assert all(state is None or state.device == META for state in solver.history)
    assert solver.iter == 2 and all(blob.data.device == META for blob in solver.net.learnable_params)


@pytest.mark.parametrize("kind", UPDATES)
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"clip_gradients": 0.1},
        {"iter_size": 3, "average_loss": 4},
        {"weight_decay": 1, "regularization_type": "L1"},
    ],
    ids=["plain", "clipped", "several passes", "L1"],
)
def test_an_update_waits_for_nothing(kind, more):
    net = constant_net("lenet")
    iterate(net, type=kind, **({"momentum": 0.5} if kind in ("SGD", "Nesterov", "Adam") else {}), **more)


def test_a_test_net_is_scored_without_waiting_for_each_batch():
    net = Net(constant_net("alexnet"), caffe_pb2.TEST, device=META)
    used = []
    scores = Scores(net, lambda batch, values: used.append(batch))
    scores._readings.settle = lambda but=0: None  # nothing can be read of a meta tensor
    with Strict():
        for _ in range(3):
            scores.take(net.forward_losses())
    assert not used and len(scores._readings._waiting) == 3


def test_the_watcher_notices_what_it_is_to_notice():
    class Waits(Layer):
        def reshape(self, bottom, top):
            top[0].reshape(bottom[0].shape)

        def forward(self, bottom, top):
            top[0].data = torch.arange(3.0)[:2]  # on the CPU

    blob = Blob((2,), META)
    with pytest.raises(AssertionError, match="made a tensor on the CPU"), Strict():
        Waits(caffe_pb2.LayerParameter(), 0, META).forward([blob], [Blob((2,), META)])
    with pytest.raises(AssertionError, match="waits for the device"), Strict():
        blob.data.sum().item()


# ---- the same numbers wherever they are used


def test_a_seed_gives_the_same_parameters_on_every_device(monkeypatch):
    """They are drawn on the CPU: a device's own generator, which `fill` on the device would use, is not touched."""
    made = []
    monkeypatch.setattr("pycaffe_ext.engine.layers.base.fill", lambda values, filler: made.append(values.device.type))
    Net(constant_net("lenet"), caffe_pb2.TRAIN, device=META)
    assert made and set(made) == {"cpu"}


def test_a_seed_reaches_the_generator_of_every_gpu(monkeypatch):
    seeded = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    monkeypatch.setattr(torch.cuda, "_is_in_bad_fork", lambda: False)
    set_seed(7)
    assert seeded == [7]


def test_losses_read_late_are_smoothed_and_told_as_if_they_were_read_at_once(capsys, monkeypatch, streams):  # noqa: F811
    """A GPU's way of reading losses, scores and clipped norms, over CPU tensors: the same log, to the digit."""

    def train() -> list[str]:
        set_seed(1)
        net = constant_net("lenet")
        net.layer[0].dummy_data_param.data_filler.add(type="gaussian", std=100)
        net.layer[0].dummy_data_param.data_filler.add(type="constant", value=1)
        settings = {"display": 4, "average_loss": 3, "iter_size": 2, "clip_gradients": 1, "max_iter": 10}
        solver = Solver(solver_param(net_param=net, base_lr=0.001, lr_policy="fixed", random_seed=1, **settings))
        capsys.readouterr()
        solver.step(10)
        return [line.split("] ", 1)[1] for line in capsys.readouterr().err.splitlines()]

    def numbers(lines: list[str]) -> list[str]:
        return [re.sub(r"\(.* iters\)", "", line) for line in lines]

    at_once = numbers(train())
    monkeypatch.setattr(lanes.Readings, "__init__", late(lanes.Readings.__init__))
    monkeypatch.setattr(lanes.Pace, "__init__", late(lanes.Pace.__init__))
    later = numbers(train())
    assert sorted(later) == sorted(at_once) and sum("clipping" in line for line in later) > 3
    assert [line for line in later if "loss" in line] == [line for line in at_once if "loss" in line]
    waits = [line for line in streams.log if "waited for" in line]
    assert len(waits) < len([line for line in streams.log if line.startswith("mark")])


def late(init):
    return lambda self, device: init(self, GPU)


# ---- streams, events, pinned memory


def test_a_lane_works_on_its_stream_and_waits_in_its_own_thread(streams):  # noqa: F811
    lane = lanes.Lane(GPU)
    assert lane.carry(lambda: streams.log.append("making") or 5) == 5
    assert streams.log == ["on the stream", "making", "off the stream", "stream waited for"]
    assert lane.arrays.lend((2, 3), np.float32).shape == (2, 3)


def test_the_host_is_two_iterations_ahead_and_no_more(streams):  # noqa: F811
    pace = lanes.Pace(GPU)
    for _ in range(5):
        pace.mark()
    assert [line for line in streams.log if "waited" in line] == [f"mark {i} waited for" for i in range(3)]
    assert streams.log.index("mark 0 waited for") > streams.log.index("mark 2 on the net's")


def test_readings_are_used_in_order_and_bounded(streams):  # noqa: F811
    used = []
    readings = lanes.Readings(GPU)
    source = torch.zeros(1)
    for i in range(lanes.MOST_READINGS + 1):
        source[0] = i
        readings.add(source, lambda values: used.append(int(values[0])))
    assert used == list(range(lanes.MOST_READINGS // 2 + 1))
    readings.settle()
    assert used == list(range(lanes.MOST_READINGS + 1))


def test_nothing_is_marked_on_a_cpu(streams):  # noqa: F811
    pace, lane = lanes.Pace(torch.device("cpu")), lanes.Lane(torch.device("cpu"))
    pace.mark()
    assert lane.carry(lambda: 3) == 3 and not streams.log


def test_batches_of_every_kind_of_source_come_to_the_device(tmp_path, monkeypatch):
    """Data, ImageData, HDF5Data and MemoryData, read as for a GPU; shapes and the device are what can be told."""
    pixels, labels = images(8, (3, 9, 12))
    write_lmdb(tmp_path / "db", pixels, labels)
    for i, image in enumerate(pixels):
        cv2.imwrite(str(tmp_path / f"{i}.png"), image.transpose(1, 2, 0))
    (tmp_path / "list").write_text("".join(f"{i}.png {label}\n" for i, label in enumerate(labels)))
    with h5py.File(tmp_path / "h5", "w") as file:
        file["data"], file["label"] = pixels.astype(np.float32), labels.astype(np.float32)
    (tmp_path / "files").write_text("h5\n")
    monkeypatch.chdir(tmp_path)
    crop = "transform_param { crop_size: 6 mirror: true mean_value: 9 }"
    sources = {
        "Data": (f'data_param {{ source: "db" backend: LMDB batch_size: 4 }} {crop}', (4, 3, 6, 6)),
        "ImageData": (f'image_data_param {{ source: "list" batch_size: 4 }} {crop}', (4, 3, 6, 6)),
        "HDF5Data": ('hdf5_data_param { source: "files" batch_size: 4 }', (4, 3, 9, 12)),
        "MemoryData": ("memory_data_param { batch_size: 4 channels: 3 height: 9 width: 12 }", (4, 3, 9, 12)),
    }
    for kind, (settings, shape) in sources.items():
        text = f'layer {{ name: "d" type: "{kind}" top: "data" top: "label" {settings} }}'
        net = Net(parse(text, caffe_pb2.NetParameter()), caffe_pb2.TRAIN, device=META)
        if kind == "MemoryData":
            net.layers[0].reset(pixels.astype(np.float32), labels.astype(np.float32))
        for _ in range(3):
            net.forward_losses()
        data, label = (net.blobs[name].data for name in ("data", "label"))
        assert (data.device, tuple(data.shape), data.dtype) == (META, shape, torch.float32), kind
        assert label.device == META and label.numel() == 4, kind
        getattr(net.layers[0], "close", lambda: None)()


def test_rows_in_memory_are_pinned_for_a_gpu_until_they_are_given_up(monkeypatch):
    pinned = []
    monkeypatch.setattr(lanes, "pin", lambda values: pinned.append(values.data_ptr()) or True)
    monkeypatch.setattr(lanes, "unpin", lambda values: pinned.remove(values.data_ptr()))
    rows = Rows(0, 4, [(3, 2)])
    rows.pin_for(torch.device("cpu"))
    assert not pinned
    rows.pin_for(GPU)
    assert len(pinned) == 1
    rows.unpin()
    rows.unpin()
    assert not pinned


# ---- which GPU


@pytest.mark.parametrize(
    ("flag", "there", "ids"), [("", 0, []), ("0", 1, [0]), ("all", 3, [0, 1, 2]), ("2,0", 3, [2, 0])]
)
def test_ids_of_a_gpu_flag(flag, there, ids, monkeypatch):
    monkeypatch.setattr(devices, "count", lambda: there)
    assert devices.gpu_ids(flag) == ids


@pytest.mark.parametrize(
    ("flag", "there", "says"),
    [
        ("0", 0, "finds no CUDA device"),
        ("1", 1, "there is no GPU 1, only GPU 0"),
        ("0,4", 2, "there is no GPU 4, GPUs 0 to 1"),
        ("-1", 2, "there is no GPU -1"),
        ("1,1", 2, "names a GPU twice"),
        ("first", 2, "neither 'all' nor a list"),
    ],
)
def test_a_gpu_flag_that_names_no_gpu_is_refused_in_one_line(flag, there, says, monkeypatch):
    monkeypatch.setattr(devices, "count", lambda: there)
    with pytest.raises(UserError, match=re.escape(says)) as caught:
        devices.gpu_ids(flag)
    assert "\n" not in str(caught.value)


def test_several_gpus_at_once_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(devices, "count", lambda: 2)
    with pytest.raises(UserError, match="trains on one GPU; name one, e.g. -gpu=0"):
        time_command(str(tmp_path / "net.prototxt"), "TRAIN", 1, "all", 0, [])


# ---- what a GPU reports


GROWING = """
layer { name: "data" type: "DummyData" top: "data" dummy_data_param { shape { dim: 64 dim: 3 dim: 8 dim: 8 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 10 kernel_size: 1 } }
layer { name: "greedy" type: "GreedyForATest" bottom: "conv" top: "out" }
"""


@pytest.fixture
def greedy(monkeypatch):
    """A layer type that fails as a GPU does; yields the error that it raises next."""
    from pycaffe_ext.engine.layers import base

    raised = [torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")]
    monkeypatch.setattr(base, "_LAYERS", dict(base._LAYERS))

    @register("GreedyForATest")
    class Greedy(Layer):
        def reshape(self, bottom, top):
            top[0].reshape(bottom[0].shape)

        def forward(self, bottom, top):
            raise raised[0]

    return raised


def test_out_of_memory_names_the_layer_and_a_batch_that_fits(greedy, monkeypatch, tmp_path):
    (tmp_path / "net.prototxt").write_text(GROWING)
    monkeypatch.setattr(devices, "memory", lambda device: (450_000, 500_000))
    with pytest.raises(UserError, match="out of memory at layer 'greedy'.* with a batch of 64; a batch of") as caught:
        time_command(str(tmp_path / "net.prototxt"), "TRAIN", 1, "", 0, [])
    message = str(caught.value)
    assert "\n" not in message and caught.value.__cause__ is None
    assert 8 <= int(re.search(r"a batch of about (\d+) would fit", message)[1]) < 64


@pytest.mark.parametrize(
    ("numbers", "fits"),
    [  # batch, fixed, values, made, used, capacity
        ((100, 0, 100_000, 50_000, 50_000, 100_000), 40),  # 2 * 1000 bytes an item, in 0.85 of the memory
        ((100, 20_000, 100_000, 50_000, 220_000, 220_000), 40),  # every blob takes four times its size
        ((100, 0, 100_000, 0, 0, 40_000), 16),  # nothing is known yet
        ((100, 60_000, 100_000, 0, 0, 50_000), 0),  # not even the parameters fit
        ((10, 0, 100_000, 50_000, 50_000, 90_000), 3),
        ((100, 0, 1_000, 1_000, 1_000, 900_000), 96),  # it did fit: other programs took the memory
    ],
)
def test_the_batch_that_fits_follows_from_what_an_item_takes(numbers, fits):
    assert gpu_errors.batch_that_fits(*numbers) == fits


def test_an_index_out_of_range_says_how_to_find_it(greedy, tmp_path):
    (tmp_path / "net.prototxt").write_text(GROWING)
    greedy[0] = RuntimeError("CUDA error: device-side assert triggered\nCompile with TORCH_USE_CUDA_DSA")
    with pytest.raises(DeviceLostError, match="label or an index is outside its range.*leave -gpu out"):
        time_command(str(tmp_path / "net.prototxt"), "TRAIN", 1, "", 0, [])
    greedy[0] = RuntimeError("something else")
    with pytest.raises(RuntimeError, match="something else"):
        time_command(str(tmp_path / "net.prototxt"), "TRAIN", 1, "", 0, [])
