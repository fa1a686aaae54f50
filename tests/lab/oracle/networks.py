"""Whole nets as they are generated: forward in TEST phase, one training step from random weights, a real donor."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import genuine_python
import h5py
import numpy as np
import torch
from engine_cases import relative_error

from oracle import Group, Outcome, exceeding, outcome
from oracle.training import Params, norm_errors, params, solver_param, train_genuine, train_ours
from pycaffe_ext.engine.core.net import Net
from pycaffe_ext.nets import ARCHITECTURES, NetSpec
from pycaffe_ext.proto import caffe_pb2, read_net, write_text, write_weights

RUNNER = Path(__file__).with_name("genuine_forward.py").resolve()
SHARED = Path(__file__).resolve().parents[4] / "shared"  # beside the checkout
DONOR = SHARED / "weights" / "squeezenet_v1.1_imagenet.caffemodel"
PHOTOGRAPHS = SHARED / "data" / "kvasir-seg" / "images"
DONORS_MEAN = np.array([103.53, 116.28, 123.675], np.float32)  # B, G, R
BATCH, CLASSES, FORWARD, STEP, PROBABILITY = 2, 10, 1e-4, 1e-3, 1e-4
# How far the step itself may differ: where rounding decides a pooling window or a ReLU, a gradient moves elsewhere.
# Batch statistics amplify that: the genuine step itself is about 2e-2 away from float64 (test_step_precision).
CHANGE, CHANGES = 1e-2, dict.fromkeys(("resnet50", "resnet50_torch", "googlenet_torch"), 5e-2)
STEP_SETTINGS = {"type": "SGD", "base_lr": 0.001, "lr_policy": "fixed", "momentum": 0.9, "weight_decay": 0.0005}
STILL = 1e-8  # of a blob's norm: a smaller step is the rounding of a gradient that is zero


@dataclass(frozen=True)
class Row:
    arch: str
    what: str
    photograph: Path | None = None

    @property
    def name(self) -> str:
        return f"{self.arch}: {self.what}"


def groups() -> list[Group]:
    forward = [Row(arch, "every blob") for arch in ARCHITECTURES]
    step = [Row(arch, "every parameter after it") for arch in ARCHITECTURES]
    photographs = sorted(PHOTOGRAPHS.glob("*.jpg"))[:3] if DONOR.exists() else []
    donor = [Row("squeezenet", f"the ImageNet donor on {path.name}", path) for path in photographs]
    largest, probability = "largest difference over the blob's largest value", "largest difference of a probability"
    norm = "norm of the difference over the blob's norm (the step alone: within 1e-2, with batch norms 5e-2)"
    return [
        Group("Whole nets", "forward", forward, run_forward, largest, FORWARD, 4),
        Group("Whole nets", "one training step", step, run_step, norm, STEP, 4),
        Group("Whole nets", "a real donor", donor, run_donor, probability, PROBABILITY, 3),
    ]


def run_forward(rows: Sequence[Row], folder: Path) -> Iterator[Outcome]:
    for row in rows:
        with tempfile.TemporaryDirectory(dir=folder) as name:
            yield _guarded(row.name, FORWARD, lambda place=Path(name), row=row: _forward_errors(place, row.arch))


def run_step(rows: Sequence[Row], folder: Path) -> Iterator[Outcome]:
    for row in rows:
        with tempfile.TemporaryDirectory(dir=folder) as name:
            yield _guarded(row.name, STEP, lambda place=Path(name), row=row: _step_errors(place, row.arch))


def run_donor(rows: Sequence[Row], folder: Path) -> Iterator[Outcome]:
    for row in rows:
        with tempfile.TemporaryDirectory(dir=folder) as name:
            yield _guarded(row.name, PROBABILITY, lambda place=Path(name), row=row: _donor_error(place, row.photograph))


def _guarded(name: str, tolerance: float, compute: Callable[[], dict[str, float]]) -> Outcome:
    try:
        return outcome(name, compute(), tolerance)
    except Exception as error:  # a row that breaks an engine is a failed row, not the end of the run
        return Outcome(name, np.nan, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")


# ---- the nets


def prepare(folder: Path, arch: str) -> Net:
    """net.prototxt over random images, start.caffemodel of random weights; the net of it in TRAIN phase."""
    found = ARCHITECTURES[arch]
    rng = np.random.default_rng(6)
    spec = NetSpec("polyp", "scratch", CLASSES, dropout_ratio=0, batch_size=BATCH, val_batch_size=BATCH, arch=arch)
    net = found.train_val(spec)
    with h5py.File(folder / "data.h5", "w") as file:
        file["data"] = _images(found.input, rng) * found.scale
        file["label"] = rng.integers(0, CLASSES, BATCH).astype(np.float32)
    (folder / "source.txt").write_text(f"{folder / 'data.h5'}\n")
    for layer in net.layer:
        if layer.type == "Data":
            layer.type = "HDF5Data"
            layer.ClearField("data_param")
            layer.ClearField("transform_param")
            layer.hdf5_data_param.source, layer.hdf5_data_param.batch_size = str(folder / "source.txt"), BATCH
    write_text(folder / "net.prototxt", net)
    made = Net(net, caffe_pb2.TRAIN)
    for layer in made.layers:
        for i, blob in enumerate(layer.blobs):
            blob.data.copy_(blob.data.new_tensor(start_values(layer.type, i, blob.shape, rng)))
    write_weights(folder / "start.caffemodel", made.to_proto())
    return made


def _images(shape: tuple[int, int, int], rng: np.random.Generator) -> np.ndarray:
    """Smooth random images about zero, (BATCH, *shape): noise alone would average out in the first layer."""
    coarse = rng.normal(0, 50, (BATCH, 12, 12, shape[0])).astype(np.float32)
    sized = [cv2.resize(image, shape[:0:-1], interpolation=cv2.INTER_CUBIC).reshape(*shape[1:], -1) for image in coarse]
    return np.stack(sized).transpose(0, 3, 1, 2)


def start_values(kind: str, i: int, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Parameters that keep activations of the inputs' size: msra weights, small biases, statistics about 0 and 1."""
    if kind == "BatchNorm":
        return (rng.normal(0, 0.1, shape), rng.uniform(0.8, 1.2, shape), np.ones(shape))[i]
    if kind == "Scale":
        return (rng.uniform(0.4, 0.6, shape), rng.normal(0, 0.1, shape))[i]
    if len(shape) == 1:
        return rng.normal(0, 0.1, shape)
    return rng.normal(0, (2 / np.prod(shape[1:])) ** 0.5, shape)


# ---- running them


def _forward_errors(folder: Path, arch: str) -> dict[str, float]:
    prepare(folder, arch)
    return _forward_both(folder, folder / "start.caffemodel")


def _forward_both(folder: Path, weights: Path, given: np.ndarray | None = None) -> dict[str, float]:
    """Blob -> relative error of a forward pass in TEST phase; `given` is put into the blob `data`."""
    order = [RUNNER, folder / "net.prototxt", weights, folder / "out.npz"]
    if given is not None:
        np.save(folder / "x.npy", given)
        order.append(folder / "x.npy")
    run = genuine_python.run(*order, check=False)
    if run.returncode:
        raise AssertionError(f"the genuine Caffe died: {run.stderr[-300:]}")
    ours = forward(folder, weights, given)
    theirs = np.load(folder / "out.npz")
    wanted = {name.replace("|", "/"): name for name in theirs.files}
    if set(wanted) != set(ours):
        raise AssertionError(f"blobs differ: {sorted(set(wanted) ^ set(ours))}")
    return {name: relative_error(ours[name], theirs[key]) for name, key in wanted.items()}


def forward(
    folder: Path, weights: Path, given: np.ndarray | None = None, device: torch.device | str = "cpu"
) -> dict[str, np.ndarray]:
    """Every blob of the folder's net after a pass in TEST phase."""
    with contextlib.redirect_stderr(io.StringIO()):
        net = Net(read_net(folder / "net.prototxt"), caffe_pb2.TEST, device=device)
        net.copy_trained_layers_from(weights)
    if given is not None:
        net.blobs["data"].data = net.blobs["data"].data.new_tensor(given)
    net.forward()
    return {name: blob.data.cpu().numpy() for name, blob in net.blobs.items()}


def _step_errors(folder: Path, arch: str) -> dict[str, float]:
    """Parameter -> error after one step; AssertionError where the step itself differs by more than CHANGE."""
    start = params(prepare(folder, arch))
    write_text(folder / "solver.prototxt", solver_param(net="net.prototxt", **STEP_SETTINGS))
    died = train_genuine([folder], 1)
    if died:
        raise AssertionError(died[folder])
    ours, theirs = train_ours(folder, 1), dict(np.load(folder / "out.npz"))
    found = norm_errors(ours, theirs)
    steps = [{name: values[name] - start[name] for name in start} for values in (ours, theirs)]
    if wrong := list(exceeding(step_errors(*steps, start), CHANGES.get(arch, CHANGE))):
        raise AssertionError(f"the change by the step differs: {', '.join(wrong)}")
    return found


def step_errors(step: Params, wanted: Params, start: Params) -> dict[str, float]:
    """Parameter that moves -> norm of the difference of two steps over that of the wanted one."""
    moving = [name for name in wanted if np.linalg.norm(wanted[name]) > STILL * np.linalg.norm(start[name])]
    return norm_errors(*({name: values[name] for name in moving} for values in (step, wanted)))


# ---- a real donor


def _donor_error(folder: Path, photograph: Path) -> dict[str, float]:
    """The largest difference of a class's probability, under the key `prob`."""
    write_text(folder / "net.prototxt", published("squeezenet"))
    given = middle(photograph, 227)
    _forward_both(folder, DONOR, given)
    theirs, ours = np.load(folder / "out.npz")["prob"], forward(folder, DONOR, given)["prob"]
    if not theirs.max() > 0.02:
        raise AssertionError("the donor recognises nothing: the photograph proves nothing")
    return {"prob": float(np.abs(ours - theirs).max())}


def published(arch: str) -> caffe_pb2.NetParameter:
    """The net in use with 1000 classes and its classifier's published name."""
    net = ARCHITECTURES[arch].deploy(NetSpec("polyp", "scratch", 1000, arch=arch))
    for layer in net.layer:
        layer.name = layer.name.removesuffix("_polyp")
        for names in (layer.bottom, layer.top):
            names[:] = [name.removesuffix("_polyp") for name in names]
    return net


def middle(path: Path, side: int) -> np.ndarray:
    """The middle (1, 3, side, side) of a picture drawn to 256 x 256, B G R, minus the donor's mean."""
    edge = (256 - side) // 2
    image = cv2.resize(cv2.imread(str(path)), (256, 256))[edge : edge + side, edge : edge + side]
    return (image.astype(np.float32) - DONORS_MEAN).transpose(2, 0, 1)[None]
