"""GoogLeNet (Szegedy et al. 2015), names, shapes and fillers of bvlc_googlenet.

Two auxiliary classifiers add 0.3 of their losses in training and are left out of the nets in use. Their convolution
and inner product learn together with the module that they hang on, or, where the donor lacks them as BVLC's does, as a
new head; all three classifiers are new for an application, and learn in every scheme, so that the logged loss always
means three trained classifiers.

`half_layers` is a variant for patches of half as many rows and columns, with a quarter of the computation: only the
windows of the averages are smaller, so donors fit.
"""

from __future__ import annotations

from dataclasses import dataclass

from pycaffe_ext.nets.layers import (
    Filler,
    Layer,
    Window,
    accuracy,
    average_pooling,
    concat,
    constant,
    convolution,
    dropout,
    inner_product,
    lrn,
    max_pooling,
    relu,
    scaled_by_fan_in,
    softmax_with_loss,
    weight_filler,
)
from pycaffe_ext.nets.spec import NetSpec
from pycaffe_ext.schemes import Spec, param_specs

INPUT, HALF_INPUT = (3, 224, 224), (3, 112, 112)
HEADS = ("loss1/classifier", "loss2/classifier", "loss3/classifier")
AUXILIARY = {"4a": "loss1", "4d": "loss2"}
AUXILIARY_WEIGHT = 0.3
TRAINING_ONLY = tuple(f"{loss}/{part}" for loss in AUXILIARY.values() for part in ("conv", "fc"))
POOLED = {"3b": "pool3/3x3_s2", "4e": "pool4/3x3_s2"}  # pooling after a module
MODULES = {  # outputs of: 1x1, 3x3_reduce, 3x3, 5x5_reduce, 5x5, pool_proj
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def layers(spec: NetSpec, in_use: bool) -> list[Layer]:
    """From conv1 to the head, reading the blob `data`; the auxiliary classifiers (and `label`) unless `in_use`."""
    return _layers(spec, in_use, 7, (5, 3))


def half_layers(spec: NetSpec, in_use: bool) -> list[Layer]:
    """The same for HALF_INPUT."""
    return _layers(spec, in_use, 3, (4, 1))


def _layers(spec: NetSpec, in_use: bool, last: int, auxiliary: tuple[int, int]) -> list[Layer]:
    """last : kernel of the average before the head.   auxiliary : kernel and stride of those that leave 4 by 4 cells to
    the auxiliary classifiers."""
    rates, weight = param_specs(spec.scheme, spec.arch), weight_filler(spec, scaled_by_fan_in("xavier"))
    made, blob = _stem(weight, rates), "pool2/3x3_s2"
    for module, outputs in MODULES.items():
        name = f"inception_{module}"
        made += _Units(weight, rates[name]).inception(name, blob, outputs)
        blob = f"{name}/output"
        if module in AUXILIARY and not in_use:
            averaged = average_pooling(f"{AUXILIARY[module]}/ave_pool", blob, *auxiliary)
            made += [averaged, *_auxiliary(AUXILIARY[module], spec, weight, rates[name])]
        if module in POOLED:
            made.append(max_pooling(POOLED[module], blob, 3, 2))
            blob = POOLED[module]
    return [
        *made,
        average_pooling("pool5/7x7_s1", blob, last, 1),
        dropout("pool5/drop_7x7_s1", "pool5/7x7_s1", spec.dropout(0.4)),
        _classifier(spec.head, "pool5/7x7_s1", spec, weight),
    ]


@dataclass(frozen=True)
class _Units:
    """Rectified convolutions that start and learn alike."""

    weight: Filler
    rate: Spec

    def __call__(self, group: str, part: str, bottom: str, outputs: int, kernel: int, stride: int = 1) -> list[Layer]:
        """GROUP/PART and GROUP/relu_PART, sized as the input is but for the stride."""
        name, window = f"{group}/{part}", Window(kernel, stride, pad=kernel // 2)
        made = convolution(name, bottom, outputs, window, self.weight, constant(0.2), self.rate)
        return [made, relu(f"{group}/relu_{part.removesuffix('_s2')}", name)]

    def inception(self, name: str, bottom: str, outputs: tuple[int, ...]) -> list[Layer]:
        """Four branches from `bottom`, side by side in NAME/output."""
        one, reduced3, three, reduced5, five, projected = outputs
        return [
            *self(name, "1x1", bottom, one, 1),
            *self(name, "3x3_reduce", bottom, reduced3, 1),
            *self(name, "3x3", f"{name}/3x3_reduce", three, 3),
            *self(name, "5x5_reduce", bottom, reduced5, 1),
            *self(name, "5x5", f"{name}/5x5_reduce", five, 5),
            max_pooling(f"{name}/pool", bottom, 3, 1, pad=1),
            *self(name, "pool_proj", f"{name}/pool", projected, 1),
            concat(f"{name}/output", [f"{name}/{part}" for part in ("1x1", "3x3", "5x5", "pool_proj")]),
        ]


def _stem(weight: Filler, rates: dict[str, Spec]) -> list[Layer]:
    first, second = (_Units(weight, rates[stage]) for stage in ("conv1", "conv2"))
    return [
        *first("conv1", "7x7_s2", "data", 64, 7, stride=2),
        max_pooling("pool1/3x3_s2", "conv1/7x7_s2", 3, 2),
        lrn("pool1/norm1", "pool1/3x3_s2", 5, 1e-4, 0.75),
        *second("conv2", "3x3_reduce", "pool1/norm1", 64, 1),
        *second("conv2", "3x3", "conv2/3x3_reduce", 192, 3),
        lrn("conv2/norm2", "conv2/3x3", 5, 1e-4, 0.75),
        max_pooling("pool2/3x3_s2", "conv2/norm2", 3, 2),
    ]


def _auxiliary(name: str, spec: NetSpec, weight: Filler, rate: Spec) -> list[Layer]:
    scores, fc = spec.renewed(f"{name}/classifier"), f"{name}/fc"
    return [
        *_Units(weight, rate)(name, "conv", f"{name}/ave_pool", 128, 1),
        inner_product(fc, f"{name}/conv", 1024, weight, constant(0.2), rate),
        relu(f"{name}/relu_fc", fc),
        dropout(f"{name}/drop_fc", fc, spec.dropout(0.7)),
        _classifier(scores, fc, spec, weight),
        softmax_with_loss(f"{name}/loss", scores, "label", top=f"{name}/{name}", loss_weight=AUXILIARY_WEIGHT),
        accuracy(f"{name}/top-1", scores, "label"),
    ]


def _classifier(name: str, bottom: str, spec: NetSpec, weight: Filler) -> Layer:
    rate = param_specs(spec.scheme, spec.arch)["classifier"]
    return inner_product(name, bottom, spec.classes, weight, constant(0), rate)
