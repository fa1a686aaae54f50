"""A tiny net with its LMDBs, and a stand-in for caffe that does what a plan says; for the tests of training."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import lmdb
import numpy as np
import pytest

from pycaffe_ext.genuine import root
from pycaffe_ext.proto import caffe_pb2
from pycaffe_ext.training.command import EMBEDDED

WITH_GENUINE = pytest.mark.genuine
ENGINES = [
    pytest.param(EMBEDDED, id="embedded"),
    pytest.param((str(root.command()),), id="genuine", marks=WITH_GENUINE),
]

SMALL = ("--patches", "120", "--test-views", "1", "--batch", "16")  # of a run of the miniature
NET = """
name: "tiny"
layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: TRAIN }}
  transform_param {{ scale: 0.0039 mean_value: 110 }}
  data_param {{ source: "{train}" batch_size: 20 backend: LMDB }} }}
layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: TEST }}
  transform_param {{ scale: 0.0039 mean_value: 110 }}
  data_param {{ source: "{val}" batch_size: 8 backend: LMDB }} }}
layer {{ name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param {{ num_output: 4 kernel_size: 5 stride: 2 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }}
layer {{ name: "fc8_polyp" type: "InnerProduct" bottom: "conv1" top: "fc8_polyp"
  inner_product_param {{ num_output: 2 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "accuracy" type: "Accuracy" bottom: "fc8_polyp" bottom: "label" top: "accuracy"
  include {{ phase: TEST }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "fc8_polyp" bottom: "label" top: "loss" }}
"""
SOLVER = """
net: "{net}"
test_iter: 7 test_interval: 10 base_lr: {base_lr} lr_policy: "step" gamma: 0.95 stepsize: 10 momentum: 0.9
weight_decay: 0.0005 display: 5 max_iter: {max_iter} snapshot: {snapshot} snapshot_prefix: "{prefix}"
random_seed: 1 solver_mode: CPU
"""


def write_lmdb(path: Path, count: int, seed: int) -> np.ndarray:
    """Random 3x16x16 images, those of class 1 brighter in the middle; returns the labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=count)
    with lmdb.open(str(path), map_size=1 << 24) as environment, environment.begin(write=True) as transaction:
        for i, label in enumerate(labels):
            image = rng.integers(0, 200, (3, 16, 16)).astype(np.uint8)
            image[:, 4:12, 4:12] += np.uint8(30 * label)
            datum = caffe_pb2.Datum(channels=3, height=16, width=16, data=image.tobytes(), label=int(label))
            transaction.put(f"{i:08d}_x".encode(), datum.SerializeToString())
    return labels


def write_solver(folder: Path, name: str = "solver", max_iter: int = 60, snapshot: int = 10, base_lr: float = 0.01):
    """solver NAME.prototxt over net.prototxt, snapshots in snapshots/NAME_iter_N."""
    (folder / "snapshots").mkdir(exist_ok=True)
    path = folder / f"{name}.prototxt"
    path.write_text(
        SOLVER.format(
            net=folder / "net.prototxt",
            prefix=folder / "snapshots" / name,
            max_iter=max_iter,
            snapshot=snapshot,
            base_lr=base_lr,
        )
    )
    return path


def write_net(folder: Path) -> np.ndarray:
    """net.prototxt and both LMDBs; returns the validation labels (50)."""
    write_lmdb(folder / "train", 200, seed=0)
    labels = write_lmdb(folder / "val", 50, seed=1)
    (folder / "net.prototxt").write_text(NET.format(train=folder / "train", val=folder / "val"))
    return labels


# Eleven patches, one of them positive: the share of negatives below it is the AUC that the plan wants.
FAKE = """
import json, re, shutil, signal, sys, time
from pathlib import Path

here = Path(__file__).parent
plan = json.loads((here / "plan.json").read_text())
flags = dict(word[2:].split("=", 1) for word in sys.argv[2:])
with (here / "calls.txt").open("a") as calls:
    print(*sys.argv[1:], file=calls)
interrupted = []
signal.signal(signal.SIGINT, lambda *_: interrupted.append(1))

def say(text, kind="I"):
    print(f"{kind}1122 21:44:44.881639 12565 fake.cpp:1] {text}", flush=True)

def varint(number):
    return bytes([number & 127 | 128]) + varint(number >> 7) if number > 127 else bytes([number])

def snapshot(prefix, iteration):
    name = f"{prefix}_iter_{iteration}"
    shutil.copy(here / "model.bin", name + ".caffemodel")
    time.sleep(plan.get("between", 0))
    Path(name + ".solverstate").write_bytes(b"\\x08" + varint(iteration) + b"\\x20\\x00")

def begin():
    for line in plan.get("banner", []):
        print(line, flush=True)

def train():
    begin()
    solver = Path(flags["solver"]).read_text()
    number = lambda field: int(re.search(rf"\\b{field}: (\\d+)", solver)[1])
    prefix = re.search(r'snapshot_prefix: "(.*)"', solver)[1]
    start = int(re.search(r"_iter_(\\d+)", flags["snapshot"])[1]) if "snapshot" in flags else 0
    for iteration in range(start, number("max_iter")):
        if iteration == plan.get("die_at") and plan.get("die_in", flags["solver"]) == flags["solver"]:
            say("Check failed: error == cudaSuccess (2 vs. 0) out of memory", "F")
            sys.exit(134)
        loss = "-nan" if iteration == plan.get("nan_at") else 1 / (1 + iteration)
        say(f"Iteration {iteration} (5 iter/s, 1s/5 iters){plan.get('epochs', '')}, loss = {loss}")
        time.sleep(plan.get("pause", 0))
        end = time.monotonic() + 60 * (iteration == plan.get("wait_at"))
        while not interrupted and time.monotonic() < end:  # to be stopped here, however busy the machine is
            time.sleep(0.01)
        if interrupted:
            snapshot(prefix, iteration + 1)
            say("Optimization stopped early.")
            return
        if (iteration + 1) % number("snapshot") == 0 or iteration + 1 == number("max_iter"):
            snapshot(prefix, iteration + 1)
    say("Optimization Done.")

def test():
    begin()
    iteration = re.search(r"_iter_(\\d+)", flags["weights"])[1]
    aucs = plan["aucs"].get(Path(flags["weights"]).parent.parent.name, plan["aucs"])  # of a link, where links have some
    below = round(10 * aucs[iteration])
    time.sleep(plan.get("scoring", 0))
    for patch in range(int(flags["iterations"])):
        value = below - 0.5 if patch == 0 else patch - 1
        say(f"Batch {patch}, fc8_polyp = {0}")
        say(f"Batch {patch}, fc8_polyp = {value}")
        say(f"Batch {patch}, label = {int(patch == 0)}")

{"train": train, "test": test}[sys.argv[1]]()
"""


def write_fake(folder: Path, **plan) -> tuple[str, ...]:
    """A command that trains and tests as `plan` says: aucs (of each link of a chain, where there are some), die_at (in
    the solver die_in), nan_at, pause, scoring, between, banner, epochs."""
    layer = caffe_pb2.LayerParameter(name="fc8_polyp", type="InnerProduct")
    layer.blobs.add(data=[1.0], shape=caffe_pb2.BlobShape(dim=[1]))
    (folder / "model.bin").write_bytes(caffe_pb2.NetParameter(layer=[layer]).SerializeToString())
    (folder / "plan.json").write_text(json.dumps(plan))
    (folder / "fake.py").write_text(FAKE)
    return (sys.executable, str(folder / "fake.py"))


def calls(folder: Path, kind: str) -> list[str]:
    """The arguments of each call that the stand-in got."""
    return [line for line in (folder / "calls.txt").read_text().splitlines() if line.startswith(kind)]
