"""AlexNet of Table I, completed by BVLC AlexNet where the table is silent (ReLU, LRN, groups, dropout, fillers).

The xavier and msra schemes change the weight fillers of all layers; biases start as in BVLC AlexNet throughout.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pycaffe_ext.nets.layers import (
    TEST,
    TRAIN,
    Filler,
    Layer,
    accuracy,
    constant,
    convolution,
    data,
    dropout,
    gaussian,
    inner_product,
    input_blob,
    lrn,
    max_pooling,
    relu,
    scaled_by_fan_in,
    softmax,
    softmax_with_loss,
)
from pycaffe_ext.nets.spec import NetSpec
from pycaffe_ext.proto import caffe_pb2
from pycaffe_ext.schemes import filler, param_specs

INPUT = (3, 227, 227)  # channels B, G, R; rows; columns


def train_val(spec: NetSpec) -> caffe_pb2.NetParameter:
    """The net that learns (TRAIN) and is measured on validation patches (TEST): outputs loss and accuracy.

    No crop and no mirror: the patches are stored at the net's size and already mirrored and turned.
    """
    return caffe_pb2.NetParameter(
        name=f"AlexNet {spec.app} {spec.scheme}",
        layer=[
            data(spec.train_source, spec.mean_file, spec.batch_size, TRAIN),
            data(spec.val_source, spec.mean_file, spec.val_batch_size, TEST),
            *table_one(spec),
            accuracy("accuracy", spec.head, "label"),
            softmax_with_loss("loss", spec.head, "label"),
        ],
    )


def deploy(spec: NetSpec) -> caffe_pb2.NetParameter:
    """One patch (1, 3, 227, 227), B G R minus the mean, to `prob` (1, classes); the same for every scheme."""
    return caffe_pb2.NetParameter(
        name=f"AlexNet {spec.app}",
        layer=[input_blob("data", (1, *INPUT)), *_for_use(spec), softmax("prob", spec.head)],
    )


def score_net(spec: NetSpec, source: str, batch_size: int) -> caffe_pb2.NetParameter:
    """The net for `caffe test` over the LMDB `source`: its outputs are the head's raw values (batch_size, classes),
    higher = more likely, and, because no layer takes it, `label` (batch_size,)."""
    return caffe_pb2.NetParameter(
        name=f"AlexNet {spec.app} scores",
        layer=[data(source, spec.mean_file, batch_size, TEST), *_for_use(spec)],
    )


def table_one(spec: NetSpec) -> list[Layer]:
    """Table I from conv1 to the head, reading the blob `data`."""
    n, rates, weight = spec.channels, param_specs(spec.scheme), _weight_filler(spec.scheme)
    fewer = float(spec.width) ** -0.5  # fewer inputs need larger weights for activations of the paper's size
    first, conv, fc, head = weight(0.01), weight(0.01 * fewer), weight(0.005 * fewer), weight(0.01 * fewer)
    zero, tenth = constant(0), constant(0.1)
    return [
        convolution("conv1", "data", n(96), 11, first, zero, rates["conv1"], stride=4),
        relu("relu1", "conv1"),
        lrn("norm1", "conv1", 5, 1e-4, 0.75),
        max_pooling("pool1", "norm1", 3, 2),
        convolution("conv2", "pool1", n(256), 5, conv, tenth, rates["conv2"], pad=2, group=2),
        relu("relu2", "conv2"),
        lrn("norm2", "conv2", 5, 1e-4, 0.75),
        max_pooling("pool2", "norm2", 3, 2),
        convolution("conv3", "pool2", n(384), 3, conv, zero, rates["conv3"], pad=1),
        relu("relu3", "conv3"),
        convolution("conv4", "conv3", n(384), 3, conv, tenth, rates["conv4"], pad=1, group=2),
        relu("relu4", "conv4"),
        convolution("conv5", "conv4", n(256), 3, conv, tenth, rates["conv5"], pad=1, group=2),
        relu("relu5", "conv5"),
        max_pooling("pool5", "conv5", 3, 2),
        inner_product("fc6", "pool5", n(4096), fc, tenth, rates["fc6"]),
        relu("relu6", "fc6"),
        dropout("drop6", "fc6", spec.dropout_ratio),
        inner_product("fc7", "fc6", n(4096), fc, tenth, rates["fc7"]),
        relu("relu7", "fc7"),
        dropout("drop7", "fc7", spec.dropout_ratio),
        inner_product(spec.head, "fc7", spec.classes, head, zero, rates["fc8"]),
    ]


def _for_use(spec: NetSpec) -> list[Layer]:
    """Table I without a solver: rates mean nothing, so every scheme gets the same ones."""
    return table_one(replace(spec, scheme="scratch"))


def _weight_filler(scheme: str) -> Callable[[float], Filler]:
    """The scheme's weight filler as a function of the gaussian's standard deviation."""
    kind = filler(scheme)
    return gaussian if kind == "gaussian" else lambda std: scaled_by_fan_in(kind)
