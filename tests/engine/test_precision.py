"""bf16 is an option that changes numbers a little, and only where it is asked for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from pycaffe_ext.engine import options
from pycaffe_ext.engine.core.net import Net
from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import caffe_pb2, parse

NET = """
force_backward: true
layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 3 dim: 4 dim: 9 dim: 8 } } }
layer { name: "c" type: "%s" bottom: "x" top: "y" convolution_param { num_output: 6 kernel_size: 3 pad: 1 group: 2 } }
"""


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    options.choose()


def passes(kind: str, precision: str) -> dict[str, np.ndarray]:
    options.choose(precision)
    rng = torch.Generator().manual_seed(0)
    net = Net(parse(NET % kind, caffe_pb2.NetParameter()), caffe_pb2.TRAIN)
    weight, bias = net.layers[1].blobs
    for blob in (net.blobs["x"], weight, bias):
        blob.data = torch.randn(blob.shape, generator=rng)
    net.forward()
    net.blobs["y"].diff = torch.randn(net.blobs["y"].shape, generator=rng)
    net.backward()
    found = {"y": net.blobs["y"].data, "dx": net.blobs["x"].diff, "dw": weight.diff, "db": bias.diff}
    assert all(tensor.dtype == torch.float32 for tensor in found.values())
    return {name: tensor.numpy() for name, tensor in found.items()}


@pytest.mark.parametrize("kind", ["Convolution", "Deconvolution"])
def test_bf16_rounds_products_and_keeps_float32_blobs(kind):
    exact, rounded = passes(kind, "fp32"), passes(kind, "bf16")
    for name, values in exact.items():
        error = np.abs(rounded[name] - values).max() / np.abs(values).max()
        assert 1e-5 < error < 0.02, name


def test_an_unknown_precision_is_refused():
    with pytest.raises(UserError, match="fp32, bf16"):
        options.choose("fp16")
