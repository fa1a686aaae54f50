"""ResNet-50 (He et al. 2016), names and shapes of the authors' ResNet-50-model.caffemodel.

A frozen stage normalises by its stored statistics, in training too. A rate of 0 does not keep them: in TRAIN a
BatchNorm layer uses the batch's own mean and variance and moves the stored ones towards them, so the stage would
neither compute what the donor computes nor stay as it was. A stage that learns uses the batch's.
From scratch all weights start from msra, as the paper has it; the published prototxt has no fillers.

The same net in PyTorch (torchvision's, called v1.5) has other numbers: units that halve the map do so in their 3x3
convolution, conv1 has no bias, and pool1 pads by 1. Caffe rounds a pooled size up and PyTorch down, so of an even map
the padded pool1 would be one row and column larger here. Patches of 222 pixels instead of 224 make the map odd (111):
then both give 56, and every later map has the size it has for 224.
"""

from __future__ import annotations

from dataclasses import dataclass

from pycaffe_ext.nets.layers import (
    Filler,
    Layer,
    Window,
    average_pooling,
    batch_norm,
    constant,
    convolution,
    eltwise_sum,
    inner_product,
    max_pooling,
    relu,
    scale,
    scaled_by_fan_in,
    weight_filler,
)
from pycaffe_ext.nets.spec import NetSpec
from pycaffe_ext.schemes import FROZEN, Spec, param_specs

INPUT = (3, 224, 224)
TORCH_INPUT = (3, 222, 222)
BLOCKS = {2: ("abc", 64), 3: ("abcd", 128), 4: ("abcdef", 256), 5: ("abc", 512)}  # units, and their inner outputs


def layers(spec: NetSpec, in_use: bool) -> list[Layer]:
    """From conv1 to the head, reading the blob `data`; every stage by its stored statistics if `in_use`."""
    return _layers(spec, in_use, torch=False)


def torch_layers(spec: NetSpec, in_use: bool) -> list[Layer]:
    """The same of torchvision's net."""
    return _layers(spec, in_use, torch=True)


def _layers(spec: NetSpec, in_use: bool, torch: bool) -> list[Layer]:
    rates, weight = param_specs(spec.scheme, spec.arch), weight_filler(spec, scaled_by_fan_in("msra"))

    def stage(name: str) -> _Stage:
        strided = "2b" if torch else "2a"
        return _Stage(weight, rates[name], stored=in_use or rates[name] == FROZEN, strided=strided)

    bias = None if torch else constant(0)
    made = [
        *stage("conv1").normalised("conv1", "_conv1", "data", 64, 7, stride=2, bias=bias),
        relu("conv1_relu", "conv1"),
        max_pooling("pool1", "conv1", 3, 2, pad=int(torch)),
    ]
    blob = "pool1"
    for block, (units, outputs) in BLOCKS.items():
        for unit in units:
            made += stage(f"res{block}{unit}").unit(f"{block}{unit}", blob, outputs)
            blob = f"res{block}{unit}"
    made.append(average_pooling("pool5", blob, 7, 1))
    return [*made, inner_product(spec.head, "pool5", spec.classes, weight, constant(0), rates["fc1000"])]


@dataclass(frozen=True)
class _Stage:
    """Layers that start, learn and normalise alike.  strided : which part of a unit has its stride."""

    weight: Filler
    rate: Spec
    stored: bool
    strided: str

    def normalised(
        self,
        name: str,
        suffix: str,
        bottom: str,
        outputs: int,
        kernel: int,
        stride: int = 1,
        bias: Filler | None = None,
    ) -> list[Layer]:
        """A convolution, and bnSUFFIX and scaleSUFFIX on its blob."""
        window = Window(kernel, stride, pad=kernel // 2)
        return [
            convolution(name, bottom, outputs, window, self.weight, bias, self.rate),
            batch_norm(f"bn{suffix}", name, self.stored),
            scale(f"scale{suffix}", name, self.rate),
        ]

    def unit(self, unit: str, bottom: str, outputs: int) -> list[Layer]:
        """A bottleneck, resUNIT.  Units `a` project their input to the new size, from block 3 on by a stride of 2."""
        stride = 2 if unit.endswith("a") and unit != "2a" else 1
        made, shortcut = [], bottom
        if unit.endswith("a"):
            shortcut = f"res{unit}_branch1"
            made += self.normalised(shortcut, f"{unit}_branch1", bottom, 4 * outputs, 1, stride)
        blob = bottom
        for part, width, kernel in (("2a", outputs, 1), ("2b", outputs, 3), ("2c", 4 * outputs, 1)):
            name = f"res{unit}_branch{part}"
            made += self.normalised(
                name, f"{unit}_branch{part}", blob, width, kernel, stride if part == self.strided else 1
            )
            if part != "2c":
                made.append(relu(f"{name}_relu", name))
            blob = name
        return [*made, eltwise_sum(f"res{unit}", [shortcut, blob]), relu(f"res{unit}_relu", f"res{unit}")]
