"""Every type of solver with every rate policy, with and without each thing that changes an update."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from oracle import Group, Outcome, outcome
from oracle.training import norm_errors, solver_param, train_genuine, train_ours
from pycaffe_ext.engine.core.net import Net
from pycaffe_ext.proto import caffe_pb2, parse, write_text, write_weights

ITERATIONS, TOLERANCE, BATCH, ROWS, AT_ONCE = 20, 1e-4, 5, 35, 84

NET = """
layer {{ name: "data" type: "HDF5Data" top: "x" top: "t" hdf5_data_param {{ source: "{source}" batch_size: {batch} }} }}
layer {{ name: "conv" type: "Convolution" bottom: "x" top: "conv" {conv}
  convolution_param {{ num_output: 3 kernel_size: 2 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "tanh" type: "TanH" bottom: "conv" top: "conv" }}
layer {{ name: "fc1" type: "InnerProduct" bottom: "conv" top: "fc1" {fc1}
  inner_product_param {{ num_output: 4 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "sigmoid" type: "Sigmoid" bottom: "fc1" top: "fc1" }}
layer {{ name: "fc2" type: "InnerProduct" bottom: "fc1" top: "fc2" param {{ lr_mult: 2 }} param {{ decay_mult: 0 }}
  inner_product_param {{ num_output: 3 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "fc2" bottom: "t" top: "loss" }}
"""
FREE = {"conv": "", "fc1": ""}
FROZEN = {  # a whole layer, and one bias on which weight decay alone would act
    "conv": "param { lr_mult: 0 decay_mult: 0 } param { lr_mult: 0 decay_mult: 0 }",
    "fc1": "param {} param { lr_mult: 0 }",
}
TYPES = {  # settings of each; whether it takes a momentum
    "SGD": ({"base_lr": 0.1}, True),
    "Nesterov": ({"base_lr": 0.1}, True),
    "AdaGrad": ({"base_lr": 0.02}, False),
    "RMSProp": ({"base_lr": 0.01, "rms_decay": 0.9}, False),
    "AdaDelta": ({"base_lr": 1, "delta": 1e-5}, True),
    "Adam": ({"base_lr": 0.01, "momentum2": 0.99}, True),
}
POLICIES = {
    "fixed": {},
    "step": {"gamma": 0.5, "stepsize": 8},
    "exp": {"gamma": 0.9},
    "inv": {"gamma": 0.1, "power": 0.75},
    "multistep": {"gamma": 0.3, "stepvalue": [3, 11]},
    "poly": {"power": 1.5, "max_iter": 25},
    "sigmoid": {"gamma": 0.3, "stepsize": 10},
}
DECAYS = {
    "no decay": {},
    "L2": {"weight_decay": 0.05},
    "L1": {"weight_decay": 0.01, "regularization_type": "L1"},
}
SUMS = {"": {}, "iter_size 3": {"iter_size": 3}}
CLIPS = {"": {}, "clipped": {"clip_gradients": 0.4}}


@dataclass(frozen=True)
class Row:
    name: str
    settings: dict[str, object]
    frozen: bool

    def write(self, folder: Path, net: Path) -> Path:
        folder.mkdir()
        write_text(folder / "solver.prototxt", solver_param(net=str(net / "net.prototxt"), **self.settings))
        (folder / "start.caffemodel").symlink_to(net / "start.caffemodel")
        return folder


def rows_of(kind: str) -> list[Row]:
    own, takes_momentum = TYPES[kind]
    momenta = {"": {}, "momentum": {"momentum": 0.9}} if takes_momentum else {"": {}}
    grid = itertools.product(POLICIES, momenta, DECAYS, SUMS, CLIPS, ("", "frozen"))
    return [
        Row(
            ", ".join(filter(None, (policy, momentum, decay, sums, clip, frozen))),
            {
                "type": kind,
                **own,
                "lr_policy": policy,
                **POLICIES[policy],
                **momenta[momentum],
                **DECAYS[decay],
                **SUMS[sums],
                **CLIPS[clip],
            },
            bool(frozen),
        )
        for policy, momentum, decay, sums, clip, frozen in grid
    ]


def groups() -> list[Group]:
    measure = f"norm of the difference over the blob's norm, after {ITERATIONS} iterations"
    return [Group("Solvers", kind, rows_of(kind), run, measure, TOLERANCE, quick=29) for kind in TYPES]


def run(rows: Sequence[Row], folder: Path) -> Iterator[Outcome]:
    nets = {frozen: prepare(folder / f"net{frozen:d}", frozen) for frozen in (False, True)}
    for start in range(0, len(rows), AT_ONCE):
        part = rows[start : start + AT_ONCE]
        places = [row.write(folder / str(start + i), nets[row.frozen]) for i, row in enumerate(part)]
        died = train_genuine(places, ITERATIONS)
        for row, place in zip(part, places, strict=True):
            yield Outcome(row.name, np.nan, died[place]) if place in died else _compare(row.name, place)


def prepare(folder: Path, frozen: bool) -> Path:
    """net.prototxt, its data and start.caffemodel; the data say something about the labels, and no batch repeats
    before the seventh."""
    folder.mkdir()
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 3, ROWS)
    with h5py.File(folder / "data.h5", "w") as file:
        file["t"] = labels.astype(np.float32)
        file["x"] = (rng.standard_normal((ROWS, 2, 4, 3)) + labels[:, None, None, None] - 1).astype(np.float32)
    (folder / "source.txt").write_text(f"{folder / 'data.h5'}\n")
    text = NET.format(source=folder / "source.txt", batch=BATCH, **(FROZEN if frozen else FREE))
    (folder / "net.prototxt").write_text(text)
    net = Net(parse(text, caffe_pb2.NetParameter()), caffe_pb2.TRAIN)
    for layer in net.layers:
        for blob in layer.blobs:
            blob.data.copy_(blob.data.new_tensor(rng.normal(0, 0.4, blob.shape)))
    write_weights(folder / "start.caffemodel", net.to_proto())
    return folder


def _compare(name: str, place: Path) -> Outcome:
    try:
        ours = train_ours(place, ITERATIONS)
    except Exception as error:  # a row that breaks the engine is a failed row, not the end of the run
        return Outcome(name, np.nan, f"{type(error).__name__}: {error}")
    return outcome(name, norm_errors(ours, dict(np.load(place / "out.npz"))), TOLERANCE)
