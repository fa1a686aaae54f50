"""`caffe train` gives up what nobody looks at; what it computes stays the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.solver.solver import Solver
from pycaffe_ext.proto import caffe_pb2, parse

NET = """
layer { name: "in" type: "DummyData" top: "x" top: "label" dummy_data_param {
  shape { dim: 4 dim: 3 dim: 9 dim: 9 } shape { dim: 4 }
  data_filler { type: "gaussian" std: 1 } data_filler { type: "constant" value: 1 } } }
layer { name: "conv" type: "Convolution" bottom: "x" top: "conv" convolution_param {
  num_output: 6 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "norm" type: "LRN" bottom: "conv" top: "norm" }
layer { name: "pool" type: "Pooling" bottom: "norm" top: "pool" pooling_param { kernel_size: 3 stride: 2 } }
layer { name: "fc1" type: "InnerProduct" bottom: "pool" top: "fc1" param { name: "%s" } inner_product_param {
  num_output: 54 weight_filler { type: "xavier" } } }
layer { name: "drop" type: "Dropout" bottom: "fc1" top: "fc1" }
layer { name: "fc2" type: "InnerProduct" bottom: "fc1" top: "fc2" param { name: "%s" } inner_product_param {
  num_output: 54 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc2" bottom: "label" top: "loss" }
"""
SOLVER = "base_lr: 0.05 lr_policy: 'fixed' momentum: 0.9 weight_decay: 0.01 max_iter: 6 random_seed: 3"


def trained(lean: bool, settings: str = "", names: tuple[str, str] = ("", "")) -> Solver:
    param = parse(SOLVER + " " + settings, caffe_pb2.SolverParameter())
    param.net_param.CopyFrom(parse(NET % names, caffe_pb2.NetParameter()))
    solver = Solver(param)
    if lean:
        solver.be_lean()
    solver.step(6)
    return solver


@pytest.mark.parametrize("names", [("", ""), ("same", "same")], ids=["own", "shared"])
@pytest.mark.parametrize(
    "settings",
    [
        "",
        "type: 'Nesterov'",
        "type: 'Adam' momentum2: 0.99",
        "iter_size: 2",
        "clip_gradients: 0.1",
        "regularization_type: 'L1'",
    ],
)
def test_lean_training_gives_the_same_weights(settings, names):
    ample, lean = trained(False, settings, names), trained(True, settings, names)
    for a, b in zip(ample.net.learnable_params, lean.net.learnable_params, strict=True):
        np.testing.assert_allclose(a.data.numpy(), b.data.numpy(), rtol=1e-5, atol=1e-6)


def test_lean_training_keeps_sources_and_outputs_only():
    solver = trained(True)
    kept = {name for name, blob in solver.net.blobs.items() if blob.holds_data}
    assert kept == {"x", "label", "loss"}
    assert all(blob._diff is None for blob in solver.net.learnable_params)


def test_a_deferred_product_is_formed_when_the_gradient_is_read():
    a, b = torch.randn(5, 3), torch.randn(3, 4)
    blob = Blob((5, 4))
    blob.defers_products = True
    blob.accumulate_product(a, b)
    assert blob._diff is None
    torch.testing.assert_close(blob.diff, a @ b)
    blob.accumulate_product(a, b)
    torch.testing.assert_close(blob.diff, 2 * (a @ b))
    blob.clear_diff()
    blob.accumulate_product(a, b)
    blob.accumulate(torch.ones(5, 4))
    torch.testing.assert_close(blob.diff, a @ b + 1)
    blob.clear_diff()
    blob.accumulate_product(a, b)
    blob.clear_diff()
    assert not blob.diff.any()
