"""GoogLeNet as torchvision has it: another net under the same name, with the layer names of bvlc_googlenet.

Every convolution is followed by a batch norm (epsilon 0.001) and has no bias, the 5x5 convolutions are 3x3, there is
no LRN, and pool4 is 2x2.  The auxiliary classifiers are left out: with batch norm it trains without them.  A module
that is frozen normalises by its stored statistics, as in ResNet-50.
"""

from __future__ import annotations

from dataclasses import dataclass

from pycaffe_ext.nets.googlenet import INPUT, MODULES, POOLED
from pycaffe_ext.nets.layers import (
    Filler,
    Layer,
    Window,
    average_pooling,
    batch_norm,
    concat,
    constant,
    convolution,
    dropout,
    inner_product,
    max_pooling,
    relu,
    scale,
    scaled_by_fan_in,
    weight_filler,
)
from pycaffe_ext.nets.spec import NetSpec
from pycaffe_ext.schemes import FROZEN, Spec, param_specs

__all__ = ["HEADS", "INPUT", "layers"]
HEADS = ("loss3/classifier",)
EPSILON = 0.001
DROPOUT = 0.2
KERNELS = {"3b": 3, "4e": 2}  # of the pooling after a module


def layers(spec: NetSpec, in_use: bool) -> list[Layer]:
    """From conv1 to the head, reading the blob `data`; every module by its stored statistics if `in_use`."""
    rates, weight = param_specs(spec.scheme, spec.arch), weight_filler(spec, scaled_by_fan_in("xavier"))

    def units(stage: str) -> _Units:
        return _Units(weight, rates[stage], stored=in_use or rates[stage] == FROZEN)

    made = [
        *units("conv1")("conv1", "7x7_s2", "data", 64, 7, stride=2),
        max_pooling("pool1/3x3_s2", "conv1/7x7_s2", 3, 2),
        *units("conv2")("conv2", "3x3_reduce", "pool1/3x3_s2", 64, 1),
        *units("conv2")("conv2", "3x3", "conv2/3x3_reduce", 192, 3),
        max_pooling("pool2/3x3_s2", "conv2/3x3", 3, 2),
    ]
    blob = "pool2/3x3_s2"
    for module, outputs in MODULES.items():
        name = f"inception_{module}"
        made += units(name).inception(name, blob, outputs)
        blob = f"{name}/output"
        if module in POOLED:
            made.append(max_pooling(POOLED[module], blob, KERNELS[module], 2))
            blob = POOLED[module]
    return [
        *made,
        average_pooling("pool5/7x7_s1", blob, 7, 1),
        dropout("pool5/drop_7x7_s1", "pool5/7x7_s1", spec.dropout(DROPOUT)),
        inner_product(spec.head, "pool5/7x7_s1", spec.classes, weight, constant(0), rates["classifier"]),
    ]


@dataclass(frozen=True)
class _Units:
    """Rectified, normalised convolutions that start, learn and normalise alike."""

    weight: Filler
    rate: Spec
    stored: bool

    def __call__(self, group: str, part: str, bottom: str, outputs: int, kernel: int, stride: int = 1) -> list[Layer]:
        """GROUP/PART with its GROUP/PART/bn, /scale and GROUP/relu_PART, sized as the input is but for the stride."""
        name, window = f"{group}/{part}", Window(kernel, stride, pad=kernel // 2)
        return [
            convolution(name, bottom, outputs, window, self.weight, None, self.rate),
            batch_norm(f"{name}/bn", name, self.stored, EPSILON),
            scale(f"{name}/scale", name, self.rate),
            relu(f"{group}/relu_{part.removesuffix('_s2')}", name),
        ]

    def inception(self, name: str, bottom: str, outputs: tuple[int, ...]) -> list[Layer]:
        """Four branches from `bottom`, side by side in NAME/output; what is 5x5 elsewhere is a second 3x3."""
        small, reduced, large, reduced_again, again, projected = outputs
        return [
            *self(name, "1x1", bottom, small, 1),
            *self(name, "3x3_reduce", bottom, reduced, 1),
            *self(name, "3x3", f"{name}/3x3_reduce", large, 3),
            *self(name, "5x5_reduce", bottom, reduced_again, 1),
            *self(name, "5x5", f"{name}/5x5_reduce", again, 3),
            max_pooling(f"{name}/pool", bottom, 3, 1, pad=1),
            *self(name, "pool_proj", f"{name}/pool", projected, 1),
            concat(f"{name}/output", [f"{name}/{part}" for part in ("1x1", "3x3", "5x5", "pool_proj")]),
        ]
