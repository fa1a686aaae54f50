"""Building is linear in the number of layers: each step of it, on chains and on residual nets of any depth."""

from __future__ import annotations

import os
from pathlib import Path
from time import process_time

import pytest
import torch

from pycaffe_ext import caffe, proto
from pycaffe_ext.engine import log
from pycaffe_ext.engine.net import Net
from pycaffe_ext.engine.net_log import build_net
from pycaffe_ext.engine.prefix import find_boundary
from pycaffe_ext.engine.solver import Solver
from pycaffe_ext.nets import layers as nets
from pycaffe_ext.proto import caffe_pb2

FEW, MANY = 60, 240  # units
MOST = 2.2  # how many times as long a step may take for each unit of the larger net; quadratic: 4
LEARNING = {"rate": ((1.0, 1.0), (2.0, 0.0))}


def convolution(name: str, bottom: str, outputs: int, kernel: int) -> list[caffe_pb2.LayerParameter]:
    """Convolution, BatchNorm and Scale as the published residual nets write them: in place, without a bias."""
    conv = nets.layer(name, "Convolution", [bottom], [name])
    param = conv.convolution_param
    param.num_output, param.bias_term = outputs, False
    param.kernel_size.append(kernel)
    param.pad.append(kernel // 2)
    param.weight_filler.type = "msra"
    scale = nets.layer(f"scale_{name}", "Scale", [name], [name])
    scale.scale_param.bias_term = True
    return [conv, nets.layer(f"bn_{name}", "BatchNorm", [name], [name]), scale]


def residual(units: int, width: int = 2) -> caffe_pb2.NetParameter:
    """A residual net of 3 * units + 2 layers with weights, in blobs of a few values; a loss in TRAIN."""
    source = nets.layer("data", "DummyData", [], ["data", "label"])
    for shape in ((1, 3, 4, 4), (1,)):
        source.dummy_data_param.shape.add(dim=shape)
    made, blob = [source, *convolution("conv1", "data", 4 * width, 3)], "conv1"
    for u in range(units):
        below = blob
        for part, outputs, kernel in (("a", width, 1), ("b", width, 3), ("c", 4 * width, 1)):
            name = f"res{u}_{part}"
            made += convolution(name, below, outputs, kernel)
            if part != "c":
                made.append(nets.layer(f"{name}_relu", "ReLU", [name], [name]))
            below = name
        made.append(nets.layer(f"res{u}", "Eltwise", [blob, below], [f"res{u}"]))
        blob = f"res{u}"
        made.append(nets.layer(f"{blob}_relu", "ReLU", [blob], [blob]))
    top = nets.layer("fc", "InnerProduct", [blob], ["fc"])
    top.inner_product_param.num_output = 2
    loss = nets.layer("loss", "SoftmaxWithLoss", ["fc", "label"], ["loss"])
    return caffe_pb2.NetParameter(name=f"residual-{3 * units + 2}", layer=[*made, top, loss])


def chain(units: int) -> caffe_pb2.NetParameter:
    """Twelve small layers a unit, each read by the next one and seen: every blob is an output too (by a Silence)."""
    source = nets.layer("data", "DummyData", [], ["data"])
    source.dummy_data_param.shape.add(dim=(1, 2))
    made, blob = [source], "data"
    for i in range(12 * units):
        made.append(nets.layer(f"power{i}", "Power", [blob], [f"power{i}"]))
        made.append(nets.layer(f"silent{i}", "Power", [blob], [f"silent{i}"]))
        blob = f"power{i}"
    return caffe_pb2.NetParameter(name="chain", layer=made)


def building(net: caffe_pb2.NetParameter, folder: Path) -> None:
    build_net(net, caffe_pb2.TRAIN)


def scripting(net: caffe_pb2.NetParameter, folder: Path) -> None:
    path = folder / f"{len(net.layer)}.prototxt"
    if not path.exists():
        proto.write_text(path, net)
    made = caffe.Net(str(path), caffe.TEST)
    for name in made.layer_dict:
        made.forward(start=name, end=name)
    [made._top_ids(i) + made._bottom_ids(i) for i in range(len(made.layers))]


def transferring(net: caffe_pb2.NetParameter, folder: Path) -> None:
    made = Net(net, caffe_pb2.TRAIN)
    made.copy_trained_layers_from(made.to_proto())
    made.share_trained_layers_with(Net(net, caffe_pb2.TEST))


def solving(net: caffe_pb2.NetParameter, folder: Path) -> None:
    solver = caffe_pb2.SolverParameter(base_lr=0.01, lr_policy="fixed", max_iter=1, display=1, debug_info=True)
    solver.net_param.CopyFrom(net)
    solver.snapshot_prefix = str(folder / "snapshot")
    made = Solver(solver)
    made.be_lean()
    made.solve()


def drawing(net: caffe_pb2.NetParameter, folder: Path) -> None:
    caffe.draw.draw_net(net, "TB", "svg")


def freezing(net: caffe_pb2.NetParameter, folder: Path) -> None:
    find_boundary(Net(net, caffe_pb2.TEST))


def seconds(step, net: caffe_pb2.NetParameter, folder: Path) -> float:
    """The processor time of a step, the least of three."""
    taken = []
    for _ in range(3):
        begun = process_time()
        step(net, folder)
        taken.append(process_time() - begun)
    return min(taken)


@pytest.mark.parametrize("made", [residual, chain])
@pytest.mark.parametrize("step", [building, scripting, transferring, solving, drawing, freezing])
def test_a_net_of_four_times_the_layers_takes_about_four_times_as_long(step, made, tmp_path, capsys):
    few, many = made(FEW), made(MANY)
    seconds(step, made(4), tmp_path)  # what is loaded and made once
    ratio = seconds(step, many, tmp_path) / seconds(step, few, tmp_path)
    print(step.__name__, made.__name__, ratio)
    assert ratio < MOST * MANY / FEW
