"""SqueezeNet v1.1 (Iandola et al. 2016), names, shapes and fillers of the authors' prototxt.

The head is a convolution; its map is averaged, so the scores are those of pool10, (N, classes, 1, 1). The published
net rectifies the map first. Here it does not: with a few classes instead of a thousand, a new head soon gives all of
them negative values, and then the patches all score the same and nothing is left to learn from.

`centre_layers` is a variant for scoring every pixel: of the head's map only the middle cell counts, the one that no
zero of any padding has reached.  So a patch says what is at its centre, and a net over a whole region computes exactly
the same (`nets.dense`).
"""

from __future__ import annotations

from pycaffe_ext.nets.layers import (
    Filler,
    Layer,
    Window,
    concat,
    constant,
    convolution,
    dropout,
    gaussian,
    global_average_pooling,
    max_pooling,
    middle,
    relu,
    scaled_by_fan_in,
    silence,
    weight_filler,
)
from pycaffe_ext.nets.spec import NetSpec
from pycaffe_ext.schemes import Spec, param_specs

INPUT = (3, 227, 227)
SCORES = "pool10"
FIRES = {2: (16, 64), 3: (16, 64), 4: (32, 128), 5: (32, 128), 6: (48, 192), 7: (48, 192), 8: (64, 256), 9: (64, 256)}
CENTRE = 6  # of 14 rows and columns of the head's map: it sees 207 pixels, from the patch's 8th on
POOLED = {1: "conv1", 3: "fire3/concat", 5: "fire5/concat"}  # pool i reads


def layers(spec: NetSpec, _in_use: bool) -> list[Layer]:
    """From conv1 to pool10, reading the blob `data`."""
    rates, zero = param_specs(spec.scheme, spec.arch), constant(0)
    weight, head = (weight_filler(spec, filler) for filler in (scaled_by_fan_in("xavier"), gaussian(0.01)))
    first = convolution("conv1", "data", 64, Window(3, stride=2), weight, zero, rates["conv1"])
    made = [first, relu("relu_conv1", "conv1")]
    for i, (squeezed, expanded) in FIRES.items():
        blob = f"fire{i - 1}/concat"
        if i - 1 in POOLED:
            blob = f"pool{i - 1}"
            made.append(max_pooling(blob, POOLED[i - 1], 3, 2))
        made += fire(f"fire{i}", blob, squeezed, expanded, weight, rates[f"fire{i}"])
    return [
        *made,
        dropout("drop9", "fire9/concat", spec.dropout(0.5)),
        convolution(spec.head, "fire9/concat", spec.classes, Window(1), head, zero, rates["conv10"]),
        global_average_pooling(SCORES, spec.head),
    ]


def centre_layers(spec: NetSpec, in_use: bool) -> list[Layer]:
    """The same net, but pool10 holds the middle cell of the head's map, (N, classes, 1, 1)."""
    *made, _ = layers(spec, in_use)
    return [
        *made,
        middle("rows10", spec.head, 2, CENTRE, CENTRE + 1),
        silence("beside_rows10", ["rows10_before", "rows10_after"]),
        middle("centre10", "rows10", 3, CENTRE, CENTRE + 1),
        silence("beside_centre10", ["centre10_before", "centre10_after"]),
        global_average_pooling(SCORES, "centre10"),
    ]


def fire(name: str, bottom: str, squeezed: int, expanded: int, weight: Filler, rate: Spec) -> list[Layer]:
    """1x1 to `squeezed` channels, then 1x1 and 3x3 to `expanded` each, side by side in NAME/concat."""
    squeeze, small, large = (f"{name}/{part}" for part in ("squeeze1x1", "expand1x1", "expand3x3"))
    zero = constant(0)
    return [
        convolution(squeeze, bottom, squeezed, Window(1), weight, zero, rate),
        relu(f"{name}/relu_squeeze1x1", squeeze),
        convolution(small, squeeze, expanded, Window(1), weight, zero, rate),
        relu(f"{name}/relu_expand1x1", small),
        convolution(large, squeeze, expanded, Window(3, pad=1), weight, zero, rate),
        relu(f"{name}/relu_expand3x3", large),
        concat(f"{name}/concat", [small, large]),
    ]
