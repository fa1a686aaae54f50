"""The gradients of a net in float64, by PyTorch's own functions: what both engines, in float32, are near to."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from pycaffe_ext.proto import caffe_pb2

Layer = caffe_pb2.LayerParameter
Tensors = list[torch.Tensor]


def gradients(
    net: caffe_pb2.NetParameter, start: Mapping[str, np.ndarray], data: np.ndarray, label: np.ndarray
) -> dict[str, np.ndarray]:
    """LAYER:i -> gradient of the loss in TRAIN phase, of every parameter that has one; start : the parameters."""
    weights = {name: torch.tensor(value, dtype=torch.float64, requires_grad=True) for name, value in start.items()}
    blobs = {"data": torch.tensor(data, dtype=torch.float64), "label": torch.tensor(label).long()}
    for layer in net.layer:
        if layer.type in FUNCTIONS:
            own = [weights[f"{layer.name}:{i}"] for i in range(3) if f"{layer.name}:{i}" in weights]
            blobs[layer.top[0]] = FUNCTIONS[layer.type](layer, [blobs[name] for name in layer.bottom], own)
    blobs["loss"].backward()
    return {name: value.grad.numpy() for name, value in weights.items() if value.grad is not None}


def _convolution(layer: Layer, x: Tensors, w: Tensors) -> torch.Tensor:
    own = layer.convolution_param
    return F.conv2d(x[0], *w, stride=tuple(own.stride) or 1, padding=tuple(own.pad) or 0)


def _pooling(layer: Layer, x: Tensors, w: Tensors) -> torch.Tensor:
    own = layer.pooling_param
    if own.global_pooling:
        return x[0].mean((2, 3), keepdim=True)
    pool = F.max_pool2d if own.pool == own.MAX else F.avg_pool2d
    return pool(x[0], own.kernel_size, own.stride, own.pad, ceil_mode=True)


FUNCTIONS: dict[str, Callable[[Layer, Tensors, Tensors], torch.Tensor]] = {
    "Convolution": _convolution,
    "Pooling": _pooling,
    "BatchNorm": lambda layer, x, w: F.batch_norm(x[0], None, None, training=True, eps=layer.batch_norm_param.eps),
    "Scale": lambda layer, x, w: x[0] * w[0].view(1, -1, 1, 1) + w[1].view(1, -1, 1, 1),
    "ReLU": lambda layer, x, w: F.relu(x[0]),
    "Concat": lambda layer, x, w: torch.cat(x, 1),
    "Eltwise": lambda layer, x, w: x[0] + x[1],
    "Dropout": lambda layer, x, w: x[0],  # of ratio 0
    "InnerProduct": lambda layer, x, w: F.linear(x[0].flatten(1), *w),
    "SoftmaxWithLoss": lambda layer, x, w: F.cross_entropy(x[0], x[1]),
}
