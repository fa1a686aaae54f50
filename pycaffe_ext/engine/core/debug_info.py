"""What a solver's debug_info adds to the log: mean sizes of values and gradients, layer by layer, in Caffe's lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from pycaffe_ext import glog

if TYPE_CHECKING:
    from pycaffe_ext.engine.core.blob import Blob
    from pycaffe_ext.engine.core.net import Net


def mean_size(values: torch.Tensor) -> float:
    """Mean of the absolute values."""
    return float(values.abs().sum(dtype=torch.float64)) / max(1, values.numel())


def log_forward(net: Net, i: int) -> None:
    """The tops and the parameters of layer `i`, right after its forward pass: a layer in place changes them later."""
    layer = net.layers[i]
    head = f"    [Forward] Layer {layer.name}"
    tops = zip(net.top_names[i], net.tops[i], strict=True)
    glog.info("net.cpp:593", *(f"{head}, top blob {name} data: {_data(blob)}" for name, blob in tops))
    params = zip(net.param_display_names[i], layer.blobs, strict=True)
    glog.info("net.cpp:605", *(f"{head}, param blob {name} data: {_data(blob)}" for name, blob in params))


def log_backward(net: Net, i: int, wanted: list[bool]) -> None:
    """The gradients that layer `i` has just written: of its wanted bottoms and of its parameters that learn."""
    layer = net.layers[i]
    head = f"    [Backward] Layer {layer.name}"
    bottoms = zip(net.bottom_names[i], net.bottoms[i], wanted, strict=True)
    glog.info("net.cpp:621", *(f"{head}, bottom blob {name} diff: {_diff(blob)}" for name, blob, yes in bottoms if yes))
    params = enumerate(zip(layer.blobs, layer.param_propagate_down, strict=True))
    glog.info("net.cpp:632", *(f"{head}, param blob {j} diff: {_diff(blob)}" for j, (blob, learns) in params if learns))


def log_params(net: Net) -> None:
    """Sizes of all parameters and their gradients together, after a whole backward pass."""
    data, diff = ([getattr(blob, kind) for blob in net.learnable_params] for kind in ("data", "diff"))
    l1, l2 = (_pair(_norm(data, order), _norm(diff, order)) for order in (1, 2))
    glog.error("net.cpp:721", f"    [Backward] All net params (data, diff): L1 norm = {l1}; L2 norm = {l2}")


def _data(blob: Blob) -> str:
    return glog.number(mean_size(blob.data))


def _diff(blob: Blob) -> str:
    return glog.number(mean_size(blob.diff))


def _norm(tensors: list[torch.Tensor], order: int) -> float:
    return sum(float(x.double().norm(order)) ** order for x in tensors) ** (1 / order)


def _pair(data: float, diff: float) -> str:
    return f"({glog.number(data)}, {glog.number(diff)})"
