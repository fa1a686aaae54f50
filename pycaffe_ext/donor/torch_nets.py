"""torchvision's nets, tensor by tensor: which layer of a net here each belongs to.

VGG-16 and SqueezeNet 1.1 are the nets that Caffe has.  ResNet-50 and GoogLeNet are others under the same names, so they
have rows of their own in `nets.architectures`: see nets/resnet50.py and nets/googlenet_torch.py for the differences.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pycaffe_ext import nets
from pycaffe_ext.nets.shapes import parameter_shapes

Shapes = Mapping[str, tuple[int, ...]]

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # mean and standard deviation of R, G, B in 0 to 1
HALF = ((0.5,) * 3, (0.5,) * 3)
WEIGHT, BIAS = "weight", "bias"
MEAN, VARIANCE = "running_mean", "running_var"


@dataclass(frozen=True)
class TorchNet:
    """A net of torchvision.

    arch : what ARCH= calls its net here        title : for a person        modules : layer -> module of torchvision
    ignored : beginnings of names that the net here does without
    mean, std : of R, G, B in 0 to 1, with which its published weights were trained
    """

    arch: str
    title: str
    modules: Mapping[str, str]
    ignored: tuple[str, ...] = ()
    mean: tuple[float, ...] = IMAGENET[0]
    std: tuple[float, ...] = IMAGENET[1]

    @property
    def head(self) -> str:
        """The classifier's layer."""
        return nets.architecture(self.arch).heads[-1]

    def tensors(self, classes: int) -> dict[str, dict[str, tuple[int, ...]]]:
        """Layer -> name of a tensor -> its shape, in the order of the layer's blobs.

        BatchNorm's third blob, the weight of its two sums, has no tensor: it is 1.
        """
        arch = nets.architecture(self.arch)
        spec = nets.NetSpec("imagenet", "scratch", classes, arch=self.arch)
        net = arch.deploy(spec)
        kinds = {layer.name: layer.type for layer in net.layer}
        found = {}
        for layer, shapes in parameter_shapes(net).items():
            names = (MEAN, VARIANCE) if kinds[layer] == "BatchNorm" else (WEIGHT, BIAS)
            own = self.head if layer == spec.head else layer
            pairs = zip(names, shapes, strict=False)
            found[own] = {f"{self.modules[own]}.{name}": tuple(shape) for name, shape in pairs}
        return found


def _vgg16() -> TorchNet:
    places = iter((0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28))
    modules = {
        f"conv{block}_{i}": f"features.{next(places)}"
        for block, count in enumerate((2, 2, 3, 3, 3), 1)
        for i in range(1, count + 1)
    }
    return TorchNet("vgg16", "VGG-16", {**modules, "fc6": "classifier.0", "fc7": "classifier.3", "fc8": "classifier.6"})


def _squeezenet() -> TorchNet:
    parts = {"squeeze1x1": "squeeze", "expand1x1": "expand1x1", "expand3x3": "expand3x3"}
    fires = {
        f"fire{i}/{part}": f"features.{place}.{name}"
        for i, place in enumerate((3, 4, 6, 7, 9, 10, 11, 12), 2)
        for part, name in parts.items()
    }
    return TorchNet("squeezenet", "SqueezeNet 1.1", {"conv1": "features.0", **fires, "conv10": "classifier.1"})


def _resnet50() -> TorchNet:
    modules = {"conv1": "conv1", "bn_conv1": "bn1", "scale_conv1": "bn1", "fc1000": "fc"}
    for block, units in enumerate(("abc", "abcd", "abcdef", "abc"), 2):
        for i, letter in enumerate(units):
            unit, place = f"{block}{letter}", f"layer{block - 1}.{i}"
            parts = {f"2{part}": (f"conv{n}", f"bn{n}") for n, part in enumerate("abc", 1)}
            if letter == "a":
                parts["1"] = ("downsample.0", "downsample.1")
            for part, (convolution, norm) in parts.items():
                modules[f"res{unit}_branch{part}"] = f"{place}.{convolution}"
                for kind in ("bn", "scale"):
                    modules[f"{kind}{unit}_branch{part}"] = f"{place}.{norm}"
    return TorchNet("resnet50_torch", "ResNet-50", modules)


def _googlenet() -> TorchNet:
    places = {"conv1/7x7_s2": "conv1", "conv2/3x3_reduce": "conv2", "conv2/3x3": "conv3"}
    branches = {
        "1x1": "branch1",
        "3x3_reduce": "branch2.0",
        "3x3": "branch2.1",
        "5x5_reduce": "branch3.0",
        "5x5": "branch3.1",
        "pool_proj": "branch4.1",
    }
    for module in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"):
        places |= {f"inception_{module}/{part}": f"inception{module}.{name}" for part, name in branches.items()}
    modules = {"loss3/classifier": "fc"}
    for layer, place in places.items():
        modules |= {layer: f"{place}.conv", f"{layer}/bn": f"{place}.bn", f"{layer}/scale": f"{place}.bn"}
    # its published weights take R G B in -1 to 1: torchvision turns its other nets' input into that (transform_input)
    return TorchNet("googlenet_torch", "GoogLeNet", modules, ("aux1.", "aux2."), *HALF)


NETS = (_vgg16(), _squeezenet(), _resnet50(), _googlenet())
TITLES = ", ".join(net.title for net in NETS)
REFUSED = (  # (title, names that only it has, how it differs)
    (
        "SqueezeNet 1.0",
        ("features.5.squeeze.weight", "features.8.squeeze.weight"),
        "its conv1 is 7x7 with 96 outputs and it pools after fire4 and fire8; the net here is SqueezeNet 1.1",
    ),
    (
        "a VGG with batch norm",
        ("features.1.running_mean", "features.4.running_mean"),
        "the nets here have VGG-16 without",
    ),
)


def refusal(names: Collection[str]) -> str | None:
    """Why a known net is not read; None for any other."""
    for title, marks, difference in REFUSED:
        if all(mark in names for mark in marks):
            return f"is {title}: {difference}"
    return None


def likeliest(shapes: Shapes) -> TorchNet | None:
    """The net of which most tensors are there, by name; None where it is less than half of them."""
    share, place = max((_share(net, shapes), -i) for i, net in enumerate(NETS))
    return NETS[-place] if share >= 0.5 else None


def _share(net: TorchNet, shapes: Shapes) -> float:
    names = [name for tensors in net.tensors(classes=2).values() for name in tensors]
    return sum(name in shapes for name in names) / len(names)
