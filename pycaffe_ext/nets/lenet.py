"""LeNet of Caffe's MNIST example, for colour patches of 28x28: conv1 reads three channels, the example's one.

Patches are scaled by 1/256 as in the example.
"""

from __future__ import annotations

from pycaffe_ext.nets.layers import (
    Layer,
    Window,
    constant,
    convolution,
    inner_product,
    max_pooling,
    relu,
    scaled_by_fan_in,
    weight_filler,
)
from pycaffe_ext.nets.spec import NetSpec
from pycaffe_ext.schemes import param_specs

INPUT = (3, 28, 28)
SCALE = 1 / 256


def layers(spec: NetSpec, _in_use: bool) -> list[Layer]:
    """From conv1 to the head, reading the blob `data`."""
    rates, zero = param_specs(spec.scheme, spec.arch), constant(0)
    weight = weight_filler(spec, scaled_by_fan_in("xavier"))
    return [
        convolution("conv1", "data", 20, Window(5), weight, zero, rates["conv1"]),
        max_pooling("pool1", "conv1", 2, 2),
        convolution("conv2", "pool1", 50, Window(5), weight, zero, rates["conv2"]),
        max_pooling("pool2", "conv2", 2, 2),
        inner_product("ip1", "pool2", 500, weight, zero, rates["ip1"]),
        relu("relu1", "ip1"),
        inner_product(spec.head, "ip1", spec.classes, weight, zero, rates["ip2"]),
    ]
