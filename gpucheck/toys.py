"""Small data, nets and solvers for checks of whole commands."""

from __future__ import annotations

from pathlib import Path

import lmdb
import numpy as np

from benchmarks import nets as bench_nets
from benchmarks.rows import Lab
from pycaffe_ext.proto import caffe_pb2, parse, read_solver, write_text
from pycaffe_ext.records.datum import to_bytes

COUNT, SIDE = 64, 10
NET = """
layer {{ name: "data" type: "Data" top: "data" top: "label" transform_param {{ scale: 0.01 mean_value: 100 }}
  data_param {{ source: "{source}" batch_size: 16 backend: LMDB }} }}
layer {{ name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param {{ num_output: 6 kernel_size: 3 weight_filler {{ type: "gaussian" std: 0.1 }} }} }}
layer {{ name: "tanh" type: "TanH" bottom: "conv" top: "conv" }}
layer {{ name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
  inner_product_param {{ num_output: {classes} weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }}
"""
DROPPING = """
layer {{ name: "data" type: "Data" top: "data" top: "label"
  transform_param {{ crop_size: 8 mirror: true mean_value: 100 scale: 0.01 }}
  data_param {{ source: "{source}" batch_size: 32 backend: LMDB }} }}
layer {{ name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
  inner_product_param {{ num_output: 500
    weight_filler {{ type: "xavier" }} bias_filler {{ type: "constant" value: 9 }} }} }}
layer {{ name: "drop" type: "Dropout" bottom: "fc" top: "dropped" dropout_param {{ dropout_ratio: 0.3 }} }}
layer {{ name: "silence" type: "Silence" bottom: "dropped" }}
layer {{ name: "silence2" type: "Silence" bottom: "label" }}
"""


def database(path: Path, size: int = SIDE) -> Path:
    """An LMDB of COUNT images (3, size, size), labels 0 and 1 in turn, those of label 1 brighter."""
    rng = np.random.default_rng(0)
    with lmdb.open(str(path), map_size=1 << 24) as store, store.begin(write=True) as transaction:
        for i in range(COUNT):
            image = rng.integers(0, 200, (3, size, size)).astype(np.uint8) + np.uint8(50 * (i % 2))
            transaction.put(f"{i:08d}".encode(), to_bytes(image, i % 2), append=True)
    return path


def solver(
    folder: Path, name: str, max_iter: int, snapshot: int = 0, classes: int = 2, snapshot_format: str = "BINARYPROTO"
) -> Path:
    """A solver with its small net over the database `db` of `folder`; snapshots are `folder`/`name`_iter_N."""
    write_text(
        folder / f"{name}-net.prototxt",
        parse(NET.format(source=folder / "db", classes=classes), caffe_pb2.NetParameter()),
    )
    param = caffe_pb2.SolverParameter(
        net=str(folder / f"{name}-net.prototxt"),
        base_lr=0.02,
        lr_policy="fixed",
        momentum=0.9,
        weight_decay=0.001,
        max_iter=max_iter,
        snapshot=snapshot,
        snapshot_prefix=str(folder / name),
        display=2,
        random_seed=1,
        snapshot_after_train=bool(snapshot),
        snapshot_format=getattr(caffe_pb2.SolverParameter, snapshot_format),
    )
    path = folder / f"{name}.prototxt"
    write_text(path, param)
    return path


def alexnet_solver(folder: Path, batch: int) -> Path:
    """Three iterations of AlexNet over noise."""
    path = bench_nets.solver(Lab(folder), bench_nets.on_noise(Lab(folder), batch))
    param = read_solver(path)
    param.max_iter = 3
    write_text(path, param)
    return path
