"""A net's construction in Caffe's own log lines."""

from __future__ import annotations

import os
from collections.abc import Iterable

import torch

from pycaffe_ext import glog
from pycaffe_ext.collector import paused
from pycaffe_ext.engine.core.graph import filter_layers, with_state
from pycaffe_ext.engine.core.net import Net, shape_text
from pycaffe_ext.engine.core.overwritten_in_caffe import warnings
from pycaffe_ext.proto import caffe_pb2
from pycaffe_ext.proto.lines import naming_lines


def build_net(
    param: caffe_pb2.NetParameter,
    phase: caffe_pb2.Phase,
    level: int = 0,
    stages: Iterable[str] = (),
    device: torch.device | str = "cpu",
    file: str | os.PathLike[str] | None = None,
) -> Net:
    """Make a Net and log what it is made of, as Caffe does while it makes one.

    With the `file` that `param` was read from, errors about a layer name its line.
    """
    with naming_lines(file), paused():
        return _build(param, phase, level, list(stages), device)


def _build(
    param: caffe_pb2.NetParameter, phase: caffe_pb2.Phase, level: int, stages: list[str], device: torch.device | str
) -> Net:
    if glog.shows_info():
        filtered = filter_layers(with_state(param, phase, level, stages))
        if not stages and not param.state.HasField("level"):
            filtered.state.ClearField("level")  # Caffe logs a level only where a flag or a solver has set one
        glog.info("net.cpp:53", f"Initializing net from parameters: \n{glog.prototxt(filtered)}")
    net = Net(param, phase, level, stages, device)
    if glog.shows_info():
        _log_layers(net)
    glog.warning("net.cpp:220", *warnings(net))
    glog.info("net.cpp:244", *(f"This network produces output {name}" for name in net.outputs))
    glog.info("net.cpp:257", "Network initialization done.")
    return net


def _log_layers(net: Net) -> None:
    memory = 0
    for i in range(len(net.layers)):
        memory = _log_layer(net, i, memory)
    _log_backward(net)


def _log_layer(net: Net, i: int, memory: int) -> int:
    """Log one layer; returns the bytes of all tops so far."""
    layer, name = net.layers[i], net.layer_names[i]
    glog.info("layer_factory.hpp:77", f"Creating layer {name}")
    glog.info("net.cpp:86", f"Creating Layer {name}")
    glog.info("net.cpp:408", *(f"{name} <- {bottom}" for bottom in net.bottom_names[i]))
    for top in net.top_names[i]:
        in_place = top in net.bottom_names[i]
        glog.info(f"net.cpp:{369 if in_place else 382}", f"{name} -> {top}{' (in-place)' if in_place else ''}")
    glog.info("net.cpp:124", f"Setting up {name}")
    for blob, weight in zip(net.tops[i], layer.loss_weights, strict=True):
        glog.info("net.cpp:131", f"Top shape: {shape_text(blob.shape)}")
        if weight:
            glog.info("net.cpp:134", f"    with loss weight {glog.number(weight)}")
        memory += 4 * blob.count
    glog.info("net.cpp:139", f"Memory required for data: {memory}")
    return memory


def _log_backward(net: Net) -> None:
    for i in reversed(range(len(net.layers))):
        needs = net.needs_backward(i)
        verb = "needs" if needs else "does not need"
        glog.info(f"net.cpp:{200 if needs else 202}", f"{net.layer_names[i]} {verb} backward computation.")
