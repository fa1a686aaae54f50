"""Caffe's fillers: how a parameter is initialised."""

from __future__ import annotations

import math

import torch

from pycaffe_ext.errors import UserError, known
from pycaffe_ext.proto import caffe_pb2

NORMS = caffe_pb2.FillerParameter
TYPES = ("constant", "gaussian", "positive_unitball", "uniform", "xavier", "msra", "bilinear")


def fill(tensor: torch.Tensor, filler: caffe_pb2.FillerParameter) -> None:
    """Fill a parameter in place.  Raises UserError for an unknown filler or a shape that it can't fill."""
    kind = known(filler.type, TYPES, "filler")
    if filler.sparse != -1 and kind != "gaussian":
        raise UserError(f"sparse is only for the gaussian filler, not for {kind!r}")
    globals()[f"_{kind}"](tensor, filler)


def is_zero(filler: caffe_pb2.FillerParameter) -> bool:
    """Whether a filler leaves nothing but zeros."""
    return filler.type == "constant" and filler.value == 0 and filler.sparse == -1


def fans(shape: tuple[int, ...]) -> tuple[float, float]:
    """(fan in, fan out) as Caffe counts them: values per first axis, values per second axis."""
    total = math.prod(shape)
    return total / shape[0], total / shape[1] if len(shape) > 1 else total


def _spread(tensor: torch.Tensor, filler: caffe_pb2.FillerParameter) -> float:
    fan_in, fan_out = fans(tuple(tensor.shape))
    by_norm = {NORMS.FAN_IN: fan_in, NORMS.FAN_OUT: fan_out, NORMS.AVERAGE: (fan_in + fan_out) / 2}
    return by_norm[filler.variance_norm]


def _constant(tensor: torch.Tensor, filler: caffe_pb2.FillerParameter) -> None:
    tensor.fill_(filler.value)


def _uniform(tensor: torch.Tensor, filler: caffe_pb2.FillerParameter) -> None:
    tensor.uniform_(filler.min, filler.max)


def _gaussian(tensor: torch.Tensor, filler: caffe_pb2.FillerParameter) -> None:
    tensor.normal_(filler.mean, filler.std)
    if filler.sparse >= 0:  # on average `sparse` non-zero inputs for each output
        tensor *= torch.bernoulli(torch.full_like(tensor, min(1.0, filler.sparse / tensor.shape[0])))


def _positive_unitball(tensor: torch.Tensor, _filler: caffe_pb2.FillerParameter) -> None:
    rows = tensor.view(tensor.shape[0], -1)
    rows.uniform_(0, 1)
    rows /= rows.sum(1, keepdim=True)


def _xavier(tensor: torch.Tensor, filler: caffe_pb2.FillerParameter) -> None:
    limit = math.sqrt(3 / _spread(tensor, filler))
    tensor.uniform_(-limit, limit)


def _msra(tensor: torch.Tensor, filler: caffe_pb2.FillerParameter) -> None:
    tensor.normal_(0, math.sqrt(2 / _spread(tensor, filler)))


def _bilinear(tensor: torch.Tensor, _filler: caffe_pb2.FillerParameter) -> None:
    if tensor.dim() != 4 or tensor.shape[2] != tensor.shape[3]:
        raise UserError(f"the bilinear filler needs a square kernel, not a blob of shape {tuple(tensor.shape)}")
    size = tensor.shape[3]
    factor = math.ceil(size / 2)
    centre = (size - 1) / (2 * factor)
    ramp = 1 - (torch.arange(size, dtype=torch.float32) / factor - centre).abs()
    tensor.copy_(torch.outer(ramp, ramp).expand_as(tensor))
