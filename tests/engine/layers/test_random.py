"""Layers that draw: stochastic pooling by brute force over the same draws, Dropout by its statistics and gradient."""

from __future__ import annotations

import math

import genuine_python
import numpy as np
import pytest
import torch
from engine_cases import layer

from pycaffe_ext.engine.core.net import Net
from pycaffe_ext.engine.core.random import set_seed
from pycaffe_ext.engine.solver.solver import Solver
from pycaffe_ext.proto import caffe_pb2, parse

TRAIN, TEST = caffe_pb2.TRAIN, caffe_pb2.TEST


def net_of(text: str, x: np.ndarray, phase: int = TRAIN) -> Net:
    """A net of the layers in `text` above an input `x`; all of it runs backward."""
    dims = "".join(f" dim: {n}" for n in x.shape)
    inputs = f"force_backward: true\n{layer('Input', f'input_param {{ shape {{{dims} }} }}', '', 'x')}"
    net = Net(parse(inputs + text, caffe_pb2.NetParameter()), phase)
    net.blobs["x"].data = torch.from_numpy(x.astype(np.float32))
    return net


def passes(net: Net, top: str, seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Forward from this seed, backward with a gradient from normal draws: (top, its gradient, the gradient of x)."""
    set_seed(seed)
    net.forward()
    out = net.blobs[top].data.numpy().copy()
    gradient = np.random.default_rng(0).standard_normal(out.shape).astype(np.float32)
    net.blobs[top].diff = torch.from_numpy(gradient.copy())
    net.backward()
    return out, gradient, net.blobs["x"].diff.numpy().copy()


# ---- stochastic pooling


def stochastic(settings: str) -> str:
    return layer("Pooling", f"pooling_param {{ pool: STOCHASTIC {settings} }}")


def windows(shape: tuple[int, ...], kernel: tuple[int, int], stride: tuple[int, int], rounded=math.ceil):
    """Yield (item, channel, row, column, places of the image in the window) in the order of the draws."""
    count = [rounded((shape[2 + i] - kernel[i]) / stride[i]) + 1 for i in range(2)]
    for n, c, row, column in np.ndindex(*shape[:2], *count):
        rows = range(row * stride[0], min(row * stride[0] + kernel[0], shape[2]))
        columns = range(column * stride[1], min(column * stride[1] + kernel[1], shape[3]))
        yield n, c, row, column, [(n, c, i, j) for i in rows for j in columns]


POOLS = [
    ("kernel_size: 2 stride: 2", (3, 2, 6, 8), (2, 2), (2, 2), math.ceil),
    ("kernel_size: 3 stride: 2", (2, 3, 8, 6), (3, 3), (2, 2), math.ceil),
    ("kernel_size: 3", (1, 2, 5, 7), (3, 3), (1, 1), math.ceil),
    ("kernel_h: 3 kernel_w: 2 stride_h: 1 stride_w: 3", (2, 1, 5, 8), (3, 2), (1, 3), math.ceil),
    ("kernel_size: 3 stride: 2 round_mode: FLOOR", (2, 1, 8, 10), (3, 3), (2, 2), math.floor),
    ("global_pooling: true", (2, 3, 5, 4), (5, 4), (1, 1), math.ceil),
]


@pytest.mark.parametrize("settings, shape, kernel, stride, rounded", POOLS, ids=[pool[0] for pool in POOLS])
def test_the_value_where_the_running_sum_reaches_the_draw_is_chosen(settings, shape, kernel, stride, rounded):
    x = np.maximum(np.random.default_rng(1).standard_normal(shape), 0)  # with zeros, as above a ReLU
    out, gradient, below = passes(net_of(stochastic(settings), x), "y", seed=7)
    set_seed(7)
    draws = iter((1 - torch.rand(*out.shape[:2], 1, out[0, 0].size)).double().flatten().tolist())
    expected, expected_below = np.zeros_like(out), np.zeros(shape)
    for n, c, row, column, places in windows(shape, kernel, stride, rounded):
        sums = np.cumsum([x[place] for place in places])
        chosen = places[int(np.argmax(sums >= next(draws) * sums[-1]))]
        expected[n, c, row, column] = x[chosen]
        expected_below[chosen] += gradient[n, c, row, column]
    np.testing.assert_allclose(out, expected, rtol=1e-6)
    np.testing.assert_allclose(below, expected_below, rtol=1e-5, atol=1e-6)


def test_values_are_chosen_in_proportion():
    values, count = np.array([0.0, 1.0, 2.0, 5.0]), 20000
    out, _, _ = passes(net_of(stochastic("kernel_size: 2"), np.tile(values.reshape(2, 2), (count, 1, 1, 1))), "y")
    for value in values:
        share, expected = (out == value).mean(), value / values.sum()
        assert abs(share - expected) <= 4 * math.sqrt(expected * (1 - expected) / count)


@pytest.mark.parametrize("settings, shape, kernel, stride, rounded", POOLS, ids=[pool[0] for pool in POOLS])
def test_outside_training_it_is_the_mean_weighted_by_the_values(settings, shape, kernel, stride, rounded):
    x = np.random.default_rng(1).random(shape) + 0.1
    out, gradient, below = passes(net_of(stochastic(settings), x, TEST), "y")

    def pooled(x: np.ndarray) -> np.ndarray:
        result = np.zeros(out.shape)
        for *place, places in windows(shape, kernel, stride, rounded):
            inside = np.array([x[p] for p in places])
            result[tuple(place)] = (inside**2).sum() / inside.sum()
        return result

    np.testing.assert_allclose(out, pooled(x), rtol=1e-5)
    step = 1e-6
    for place in [tuple(i) for i in np.random.default_rng(2).integers(0, shape, (10, 4))]:
        moved = x.copy()
        moved[place] += step
        slope = ((pooled(moved) - pooled(x)) * gradient).sum() / step
        assert below[place] == pytest.approx(slope, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("phase", [TRAIN, TEST])
def test_windows_of_zeros_and_of_nan(phase):
    x = np.zeros((1, 1, 2, 4))
    x[0, 0, 1, 3] = math.nan
    out, _, _ = passes(net_of(stochastic("kernel_size: 2 stride: 2"), x, phase), "y")
    assert out[0, 0, 0, 0] == 0 and math.isnan(out[0, 0, 0, 1])


def test_stochastic_pyramid():
    x = np.random.default_rng(1).random((2, 3, 8, 8))
    text = layer("SPP", "spp_param { pyramid_height: 3 pool: STOCHASTIC }")
    out, gradient, below = passes(net_of(text, x), "y")
    assert out.shape == (2, 3 * 21) and np.isin(out, x.astype(np.float32)).all()
    np.testing.assert_allclose(below.sum(), gradient.sum(), rtol=1e-4)


# ---- Dropout


def dropout(ratio: float, top: str) -> str:
    return layer("Dropout", f"dropout_param {{ dropout_ratio: {ratio} }}", tops=top)


@pytest.mark.parametrize("top", ["y", "x"])
@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.7])
def test_dropout_keeps_the_right_share_and_scales_it(ratio, top):
    x = np.random.default_rng(1).standard_normal((50, 20, 3, 7)) + 10
    out, gradient, below = passes(net_of(dropout(ratio, top), x), top)
    kept = out != 0
    assert abs(kept.mean() - (1 - ratio)) <= 4 * math.sqrt(ratio * (1 - ratio) / x.size)
    for axis in range(4):  # no axis is dropped as a whole
        others = tuple(i for i in range(4) if i != axis)
        sigma = math.sqrt(ratio * (1 - ratio) * x.shape[axis] / x.size)
        assert np.abs(kept.mean(others) - (1 - ratio)).max() <= 5 * sigma
    np.testing.assert_allclose(out[kept], x[kept] / (1 - ratio), rtol=1e-5)
    np.testing.assert_allclose(below, gradient * kept / (1 - ratio), rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("text, top", [(dropout(0.5, "y"), "y"), (stochastic("kernel_size: 2"), "y")])
def test_draws_repeat_with_the_seed_and_only_then(text, top):
    net = net_of(text, np.random.default_rng(1).random((4, 3, 6, 6)) + 0.1)
    first, again, other = (passes(net, top, seed) for seed in (3, 3, 4))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (first[0] != other[0]).any()
    net.forward()
    assert (net.blobs[top].data.numpy() != other[0]).any()  # the next pass draws anew


def test_the_two_sides_of_two_dropouts_are_independent():
    x, size = np.ones((20000,)), 20000
    net = net_of(dropout(0.5, "y") + dropout(0.5, "z").replace('"dropout"', '"again"'), x)
    set_seed(5)
    net.forward()
    both = ((net.blobs["y"].data > 0) & (net.blobs["z"].data > 0)).float().mean().item()
    assert abs(both - 0.25) <= 4 * math.sqrt(0.25 * 0.75 / size)


def test_a_solver_with_random_seed_repeats_its_draws():
    net = (
        layer("DummyData", "dummy_data_param { shape { dim: 8 dim: 5 } data_filler { value: 1 } }", "", "x")
        + dropout(0.5, "x")
        + layer("InnerProduct", "inner_product_param { num_output: 3 }", "x", "y")
        + layer("Reduction", "reduction_param { operation: SUMSQ } loss_weight: 1", "y", "loss")
    )
    net = net.replace("num_output: 3", 'num_output: 3 weight_filler { type: "xavier" }')

    def weights(seed: int) -> np.ndarray:
        text = f'base_lr: 0.01 lr_policy: "fixed" random_seed: {seed} net_param {{ {net} }}'
        solver = Solver(parse(text, caffe_pb2.SolverParameter()))
        solver.step(5)
        return solver.net.learnable_params[0].data.numpy().copy()

    np.testing.assert_array_equal(weights(1), weights(1))
    assert (weights(1) != weights(2)).all()


DROPPED = """
import sys, caffe, numpy
net = caffe.Net(sys.argv[1], caffe.TRAIN)
net.blobs["x"].data[...] = 1
net.forward()
net.blobs["y"].diff[...] = 1
net.backward()
y, below = net.blobs["y"].data, net.blobs["x"].diff
print(sorted(set(map(float, y))), (y > 0).mean(), (y == below).all())
"""


@pytest.mark.genuine
@pytest.mark.parametrize("ratio", [0.3, 0.5])
def test_genuine_dropout_has_the_same_two_values(tmp_path, ratio):
    net = net_of(dropout(ratio, "y"), np.ones(4000))
    (tmp_path / "net.prototxt").write_text(
        "force_backward: true " + layer("Input", "input_param { shape { dim: 4000 } }", "", "x") + dropout(ratio, "y")
    )
    said = genuine_python.run("-c", DROPPED, tmp_path / "net.prototxt").stdout
    values, rest = said[1:].split("] ")
    share, same = rest.split()
    out, _, _ = passes(net, "y")
    np.testing.assert_allclose(sorted(set(out)), [float(v) for v in values.split(",")], rtol=1e-6)
    assert same == "True" and abs(float(share) - (out > 0).mean()) <= 8 * math.sqrt(ratio * (1 - ratio) / 4000)
