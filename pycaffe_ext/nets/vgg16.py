"""VGG-16 (configuration D of Simonyan and Zisserman 2015), names and shapes of VGG_ILSVRC_16_layers.caffemodel.

From scratch it starts from xavier and biases of 0, with which the authors found that it trains without being grown
from a shallower net; the published prototxt has no fillers.
"""

from __future__ import annotations

from pycaffe_ext.nets.layers import (
    Layer,
    Window,
    constant,
    convolution,
    dropout,
    inner_product,
    max_pooling,
    relu,
    scaled_by_fan_in,
    weight_filler,
)
from pycaffe_ext.nets.spec import NetSpec
from pycaffe_ext.schemes import param_specs

INPUT = (3, 224, 224)
BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))  # convolutions, and their outputs


def layers(spec: NetSpec, _in_use: bool) -> list[Layer]:
    """From conv1_1 to the head, reading the blob `data`."""
    rates, zero = param_specs(spec.scheme, spec.arch), constant(0)
    weight = weight_filler(spec, scaled_by_fan_in("xavier"))
    made, blob = [], "data"
    for block, (count, outputs) in enumerate(BLOCKS, 1):
        for i in range(1, count + 1):
            name = f"conv{block}_{i}"
            made.append(convolution(name, blob, outputs, Window(3, pad=1), weight, zero, rates[name]))
            made.append(relu(f"relu{block}_{i}", name))
            blob = name
        made.append(max_pooling(f"pool{block}", blob, 2, 2))
        blob = f"pool{block}"
    for i in (6, 7):
        name = f"fc{i}"
        made += [inner_product(name, blob, 4096, weight, zero, rates[name]), relu(f"relu{i}", name)]
        made.append(dropout(f"drop{i}", name, spec.dropout(0.5)))
        blob = name
    return [*made, inner_product(spec.head, blob, spec.classes, weight, zero, rates["fc8"])]
