"""What a solver's debug_info adds to the log: mean sizes of values and gradients, layer by layer, in Caffe's lines."""

from __future__ import annotations

import torch

from pycaffe_ext import glog
from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.core.wiring import Wiring


def mean_size(values: torch.Tensor) -> float:
    """Mean of the absolute values."""
    return float(values.abs().sum(dtype=torch.float64)) / max(1, values.numel())


class DebugInfo:
    """An observer of a net (`Net.observer`) that logs each pass."""

    def forward_done(self, net: Wiring, i: int) -> None:
        """Log the tops and the parameters of layer `i`, before a layer in place changes them."""
        layer = net.layers[i]
        head = f"    [Forward] Layer {layer.name}"
        tops = zip(net.top_names[i], net.tops[i], strict=True)
        glog.info("net.cpp:593", *(f"{head}, top blob {name} data: {_data(blob)}" for name, blob in tops))
        params = zip(net.param_display_names[i], layer.blobs, strict=True)
        glog.info("net.cpp:605", *(f"{head}, param blob {name} data: {_data(blob)}" for name, blob in params))

    def backward_done(self, net: Wiring, i: int) -> None:
        """Log the gradients that layer `i` has just written: of its wanted bottoms and its parameters that learn."""
        layer = net.layers[i]
        head = f"    [Backward] Layer {layer.name}"
        bottoms = zip(net.bottom_names[i], net.bottoms[i], net.wanted_bottoms(i), strict=True)
        lines = (f"{head}, bottom blob {name} diff: {_diff(blob)}" for name, blob, wanted in bottoms if wanted)
        glog.info("net.cpp:621", *lines)
        params = enumerate(zip(layer.blobs, layer.param_propagate_down, strict=True))
        lines = (f"{head}, param blob {j} diff: {_diff(blob)}" for j, (blob, learns) in params if learns)
        glog.info("net.cpp:632", *lines)

    def pass_done(self, net: Wiring) -> None:
        """Log the norms of all parameters and their gradients together."""
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
