"""AlexNet of Table I, completed by BVLC AlexNet where the table is silent (ReLU, LRN, groups, dropout, fillers).

The xavier and msra schemes change the weight fillers of all layers; biases start as in BVLC AlexNet throughout.
"""

from __future__ import annotations

from pycaffe_ext.nets.layers import (
    Layer,
    Window,
    constant,
    convolution,
    dropout,
    gaussian,
    inner_product,
    lrn,
    max_pooling,
    relu,
    weight_filler,
)
from pycaffe_ext.nets.spec import NetSpec
from pycaffe_ext.schemes import param_specs

INPUT = (3, 227, 227)  # channels B, G, R; rows; columns


def layers(spec: NetSpec, _in_use: bool) -> list[Layer]:
    """Table I from conv1 to the head, reading the blob `data`."""
    return table_one(spec, bias=0.1, pool_first=False)


def table_one(spec: NetSpec, bias: float, pool_first: bool) -> list[Layer]:
    """AlexNet's layers; bias : start of the biases that do not start at 0.  pool_first : pooling before LRN."""
    n, rates = spec.channels, param_specs(spec.scheme, spec.arch)
    fewer = float(spec.width) ** -0.5  # fewer inputs need larger weights for activations of the paper's size
    first, conv, fc, head = (
        weight_filler(spec, gaussian(std)) for std in (0.01, 0.01 * fewer, 0.005 * fewer, 0.01 * fewer)
    )
    zero, raised, ratio = constant(0), constant(bias), spec.dropout(0.5)
    return [
        convolution("conv1", "data", n(96), Window(11, stride=4), first, zero, rates["conv1"]),
        relu("relu1", "conv1"),
        *_norm_and_pool(1, pool_first),
        convolution("conv2", _below(2, pool_first), n(256), Window(5, pad=2), conv, raised, rates["conv2"], group=2),
        relu("relu2", "conv2"),
        *_norm_and_pool(2, pool_first),
        convolution("conv3", _below(3, pool_first), n(384), Window(3, pad=1), conv, zero, rates["conv3"]),
        relu("relu3", "conv3"),
        convolution("conv4", "conv3", n(384), Window(3, pad=1), conv, raised, rates["conv4"], group=2),
        relu("relu4", "conv4"),
        convolution("conv5", "conv4", n(256), Window(3, pad=1), conv, raised, rates["conv5"], group=2),
        relu("relu5", "conv5"),
        max_pooling("pool5", "conv5", 3, 2),
        inner_product("fc6", "pool5", n(4096), fc, raised, rates["fc6"]),
        relu("relu6", "fc6"),
        dropout("drop6", "fc6", ratio),
        inner_product("fc7", "fc6", n(4096), fc, raised, rates["fc7"]),
        relu("relu7", "fc7"),
        dropout("drop7", "fc7", ratio),
        inner_product(spec.head, "fc7", spec.classes, head, zero, rates["fc8"]),
    ]


def _norm_and_pool(block: int, pool_first: bool) -> list[Layer]:
    conv, norm, pool = (f"{name}{block}" for name in ("conv", "norm", "pool"))
    if pool_first:
        return [max_pooling(pool, conv, 3, 2), lrn(norm, pool, 5, 1e-4, 0.75)]
    return [lrn(norm, conv, 5, 1e-4, 0.75), max_pooling(pool, norm, 3, 2)]


def _below(block: int, pool_first: bool) -> str:
    """The blob that conv2 or conv3 reads."""
    return f"{'norm' if pool_first else 'pool'}{block - 1}"
