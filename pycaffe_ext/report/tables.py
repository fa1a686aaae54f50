"""Tables I and II of the paper, read back from the emitted prototxt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pycaffe_ext.nets import emission
from pycaffe_ext.nets.shapes import blob_shapes, parameter_shapes
from pycaffe_ext.proto import caffe_pb2, read_net, read_solver
from pycaffe_ext.schemes import LAYERS, SCHEMES

Row = Sequence[str]

TABLE_ONE = ("layer", "type", "input", "kernel", "stride", "pad", "output", "weights")
TABLE_TWO = ("configuration", "momentum", *LAYERS, "gamma", "bias", "fillers")
SHOWN = {"Input": "data", "Convolution": "convolution", "Pooling": "max pooling", "InnerProduct": "fully connected"}


def table_one(net: caffe_pb2.NetParameter) -> list[Row]:
    """Rows of Table I (columns TABLE_ONE) from a deploy net; shapes are channels x rows x columns of one patch."""
    blobs, learned = blob_shapes(net), parameter_shapes(net)
    rows = []
    for layer in net.layer:
        if layer.type not in SHOWN:
            continue
        before = _shape(blobs[layer.bottom[0]]) if layer.bottom else ""
        weight = "x".join(map(str, learned[layer.name][0])) if layer.name in learned else ""
        window = _window(layer)
        rows.append((layer.name, SHOWN[layer.type], before, *window, _shape(blobs[layer.top[0]]), weight))
    return rows


def table_two(runs: Iterable[tuple[str, caffe_pb2.NetParameter, caffe_pb2.SolverParameter]]) -> list[Row]:
    """Rows of Table II (columns TABLE_TWO) from (scheme, train_val net, solver): each layer's weight learning rate."""
    return [
        (scheme, f"{solver.momentum:.4g}", *weight_rates(net, solver), f"{solver.gamma:.4g}", *_bias_and_fillers(net))
        for scheme, net, solver in runs
    ]


def weight_rates(net: caffe_pb2.NetParameter, solver: caffe_pb2.SolverParameter) -> list[str]:
    """base_lr * lr_mult of the weight of each learnable layer, first to last."""
    return [f"{solver.base_lr * layer.param[0].lr_mult:.4g}" for layer in net.layer if layer.param]


def _bias_and_fillers(net: caffe_pb2.NetParameter) -> tuple[str, str]:
    """How many times its weight's rate a learning bias has, and the types of the weight fillers."""
    learned = [layer for layer in net.layer if layer.param]
    factors = {layer.param[1].lr_mult / layer.param[0].lr_mult for layer in learned if layer.param[0].lr_mult}
    fillers = {_parameter(layer).weight_filler.type for layer in learned}
    return ", ".join(f"x{factor:g}" for factor in sorted(factors)), ", ".join(sorted(fillers))


def _parameter(layer: caffe_pb2.LayerParameter) -> Any:
    return layer.convolution_param if layer.type == "Convolution" else layer.inner_product_param


def tables(root: Path, app: str) -> str:
    """Tables I and II of one application as text; UserError if an emitted file is missing or garbled."""
    one = table_one(read_net(root / emission.deploy_path(app)))
    two = table_two(
        (s, read_net(root / emission.train_path(app, s)), read_solver(root / emission.solver_path(app, s)))
        for s in SCHEMES
    )
    return "\n".join(
        [
            f"Table I: AlexNet, {app} ({emission.deploy_path(app)})",
            layout(TABLE_ONE, one),
            f"Table II: learning rate of each layer's weights, {app} ({emission.solver_path(app, '*')})",
            layout(TABLE_TWO, two),
            "bias: its rate as a multiple of its weight's; gamma multiplies all rates once an epoch.",
        ]
    )


def layout(header: Row, rows: Sequence[Row]) -> str:
    """A table as text: columns padded to their widest cell, a rule under the header, an empty line after it."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [header, ["-" * width for width in widths], *rows]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(line.rstrip() for line in padded) + "\n"


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape[1:]))


def _window(layer: caffe_pb2.LayerParameter) -> tuple[str, str, str]:
    if layer.type == "Convolution":
        p = layer.convolution_param
        return f"{p.kernel_size[0]}x{p.kernel_size[0]}", str(p.stride[0]), str(p.pad[0])
    if layer.type == "Pooling":
        p = layer.pooling_param
        return f"{p.kernel_size}x{p.kernel_size}", str(p.stride), str(p.pad)
    return "", "", ""
