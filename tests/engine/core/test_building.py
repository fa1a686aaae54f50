"""Building is linear in the number of layers: each step of it, on chains and on residual nets of any depth."""

from __future__ import annotations

from pathlib import Path
from time import process_time

import pytest
import torch

from pycaffe_ext import caffe, proto
from pycaffe_ext.engine.cache.boundary import find_boundary
from pycaffe_ext.engine.core.net import Net
from pycaffe_ext.engine.core.net_log import build_net
from pycaffe_ext.engine.solver.solver import Solver
from pycaffe_ext.nets import layers as nets
from pycaffe_ext.proto import caffe_pb2

FEW, MANY = 30, 120  # units
MOST = 2.2  # how many times as long a step may take for each unit of the larger net; quadratic: 4


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
    """Twenty-four small layers a unit: a chain, and a second reader of each of its blobs, whose top is an output."""
    source = nets.layer("data", "DummyData", [], ["data"])
    source.dummy_data_param.shape.add(dim=(1, 2))
    made, blob = [source], "data"
    for i in range(12 * units):
        made.append(nets.layer(f"power{i}", "Power", [blob], [f"power{i}"]))
        made.append(nets.layer(f"seen{i}", "Power", [blob], [f"seen{i}"]))
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
    """The processor time of a step."""
    begun = process_time()
    step(net, folder)
    return process_time() - begun


@pytest.mark.parametrize(
    ("step", "made"),
    [
        (building, residual),
        (building, chain),
        (scripting, chain),
        (transferring, residual),
        (solving, residual),
        (drawing, chain),
        (freezing, residual),
    ],
)
def test_a_net_of_four_times_the_layers_takes_about_four_times_as_long(step, made, tmp_path, capsys):
    few, many = made(FEW), made(MANY)
    seconds(step, made(4), tmp_path)  # what is loaded and made once
    most = MOST * MANY / FEW * min(seconds(step, few, tmp_path) for _ in range(2))
    assert any(seconds(step, many, tmp_path) < most for _ in range(3))  # again where the machine was busy


def test_what_is_little_work_runs_on_one_thread_and_a_script_sees_its_own_number_again(monkeypatch):
    """A product of two small matrices is little, one of large ones is not; afterwards all threads are there."""
    seen = {}
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: seen.setdefault("set", []).append(count))
    net = Net(residual(1), caffe_pb2.TEST)
    seen.clear()
    net.run_layer(1)
    assert seen["set"] == [1, 2]
    seen.clear()
    net.run_layer(0)  # a source has threads of its own
    assert not seen
    large = Net(residual(1, width=600), caffe_pb2.TEST)
    place = large.layer_names.index("res0_b")
    large.forward(0, place - 1)
    seen.clear()
    large.run_layer(place)
    assert not seen


def test_a_zero_filler_takes_no_memory_and_draws_nothing():
    net = residual(1)
    torch.manual_seed(1)
    before = Net(net, caffe_pb2.TEST).layers[1].blobs[0].data
    for layer in net.layer:
        if layer.type == "Scale":
            layer.scale_param.bias_filler.type = "constant"
    torch.manual_seed(1)
    made = Net(net, caffe_pb2.TEST)
    assert torch.equal(made.layers[1].blobs[0].data, before)
    bias = made.layers[made.layer_names.index("scale_conv1")].blobs[1]
    assert bias.holds_data is False and not bias.data.any()
