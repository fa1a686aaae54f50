"""Donor weights: finding them, and proving the transfer into a net before its first step."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from fractions import Fraction
from pathlib import Path

import numpy as np

from pycaffe_ext import proto
from pycaffe_ext.donor import npy_weights
from pycaffe_ext.donor.cards import Card, card_path, find_card, write_card
from pycaffe_ext.donor.download import fetch
from pycaffe_ext.errors import UserError, known
from pycaffe_ext.files import digest

Blobs = Mapping[str, Sequence[np.ndarray]]
Shapes = Mapping[str, Sequence[tuple[int, ...]]]

SHOWN = 12  # names in an error
SUFFIXES = (".caffemodel", ".caffemodel.h5", ".npy")


@dataclass(frozen=True)
class Source:
    """A published file: what it must be, where it has been seen, and what stands in its card.

    size : in bytes, about: only to tell a person what is coming.   page : where its authors published it.
    arch, mean_value, input_size, licence : see cards.Card.
    """

    file: str
    sha1: str
    size: int
    urls: tuple[str, ...]
    page: str = ""
    licence: str = "unrestricted"
    mean_value: tuple[float, ...] = (104, 117, 123)
    input_size: int = 224
    arch: str = "alexnet"

    def card(self) -> Card:
        """What the authors' train_val.prototxt or readme says of the input: B G R of 0 to 255, at scale 1."""
        return Card(
            mean_value=self.mean_value,
            input_size=self.input_size,
            weights=self.file,
            sha1=self.sha1,
            arch=self.arch,
            source=self.page,
            licence=self.licence,
        )


FULL_WIDTH = {"fc6": 4096, "conv2": 256}  # outputs of AlexNet's layers, by which its width is told
ILSVRC_MEAN = (104.00699, 116.66877, 122.67891)  # of B, G, R in BVLC's imagenet_mean.binaryproto
RESNET_MEAN = (103.06262, 115.90288, 123.15163)  # of B, G, R in the authors' ResNet_mean.binaryproto
CAFFE_MODELS = "https://github.com/BVLC/caffe/tree/master/models"


KNOWN = {
    "bvlc_alexnet": Source(
        file="bvlc_alexnet.caffemodel",
        sha1="9116a64c0fbe4459d18f4bb6b56d647b63920377",
        size=243_862_414,
        urls=(
            "https://dl.caffe.berkeleyvision.org/bvlc_alexnet.caffemodel",
            "http://dl.caffe.berkeleyvision.org/bvlc_alexnet.caffemodel",
            "https://nvidia.box.com/shared/static/5j264j7mky11q8emy4q14w3r8hl5v6zh.caffemodel",
            "https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/caffe/models/bvlc_alexnet/bvlc_alexnet.caffemodel",
        ),
        page=f"{CAFFE_MODELS}/bvlc_alexnet",
        mean_value=ILSVRC_MEAN,
        input_size=227,
    ),
    "bvlc_reference_caffenet": Source(
        file="bvlc_reference_caffenet.caffemodel",
        sha1="4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46",
        size=243_862_418,
        urls=(
            "https://dl.caffe.berkeleyvision.org/bvlc_reference_caffenet.caffemodel",
            "http://dl.caffe.berkeleyvision.org/bvlc_reference_caffenet.caffemodel",
        ),
        page=f"{CAFFE_MODELS}/bvlc_reference_caffenet",
        mean_value=ILSVRC_MEAN,
        input_size=227,
        arch="caffenet",
    ),
    "bvlc_googlenet": Source(
        file="bvlc_googlenet.caffemodel",
        sha1="405fc5acd08a3bb12de8ee5e23a96bec22f08204",
        size=53_533_754,
        urls=(
            "https://dl.caffe.berkeleyvision.org/bvlc_googlenet.caffemodel",
            "http://dl.caffe.berkeleyvision.org/bvlc_googlenet.caffemodel",
        ),
        page=f"{CAFFE_MODELS}/bvlc_googlenet",
        arch="googlenet",
    ),
    "vgg_ilsvrc_16_layers": Source(
        file="VGG_ILSVRC_16_layers.caffemodel",
        sha1="9363e1f6d65f7dba68c4f27a1e62105cdf6c4e24",
        size=553_432_081,
        urls=("http://www.robots.ox.ac.uk/~vgg/software/very_deep/caffe/VGG_ILSVRC_16_layers.caffemodel",),
        page="https://www.robots.ox.ac.uk/~vgg/research/very_deep/",
        licence="CC BY 4.0",
        mean_value=(103.939, 116.779, 123.68),
        arch="vgg16",
    ),
    "squeezenet_v1.1": Source(
        file="squeezenet_v1.1.caffemodel",
        sha1="3397f026368a45ae236403ccc81cfcbe8ebe1bd0",
        size=4_950_000,
        urls=(
            "https://github.com/DeepScale/SqueezeNet/raw/master/SqueezeNet_v1.1/squeezenet_v1.1.caffemodel",
            "https://raw.githubusercontent.com/DeepScale/SqueezeNet/b5c3f1a23713c8b3fd7b801d229f6b04c64374a5/"
            "SqueezeNet_v1.1/squeezenet_v1.1.caffemodel",
        ),
        page="https://github.com/DeepScale/SqueezeNet",
        licence="BSD-2-Clause",
        input_size=227,
        arch="squeezenet",
    ),
    "resnet_50": Source(
        file="ResNet-50-model.caffemodel",
        sha1="b7c79ccc21ad0479cddc0dd78b1d20c4d722908d",
        size=102_000_000,
        urls=(
            "https://onedrive.live.com/download?cid=4006CBB8476FF777&resid=4006CBB8476FF777%2117895"
            "&authkey=%21AAFW2%2DFVoxeVRck",
        ),
        page="https://github.com/KaimingHe/deep-residual-networks",
        licence="MIT",
        mean_value=RESNET_MEAN,
        arch="resnet50",
    ),
}


def published(arch: str) -> list[str]:
    """The names of KNOWN whose net is `arch`."""
    return [name for name, source in KNOWN.items() if source.arch == arch]


def resolve(weights: str | os.PathLike[str], folder: Path) -> Path:
    """The file that WEIGHTS= means: an existing .caffemodel (any age), .caffemodel.h5 or bvlc_alexnet.npy (converted
    into `folder`), or a name of KNOWN, downloaded into `folder` unless it is there already."""
    text = os.fspath(weights)
    if text in KNOWN:
        return get(text, folder)
    path = Path(text)
    if not path.is_file():
        if "/" in text or text.endswith(SUFFIXES):
            raise UserError(f"{text}: no such weights file; check WEIGHTS=")
        known(text, KNOWN, "weights")
    if not text.endswith(SUFFIXES):
        raise UserError(f"{text}: weights are a file ending in {', '.join(SUFFIXES)} or one of: {', '.join(KNOWN)}")
    return _converted(path, folder) if path.suffix == ".npy" else path


def get(name: str, folder: Path) -> Path:
    """Download weights of KNOWN into `folder`, once, and write their card beside them unless one is there.

    A file already there must be right.  UserError if it is another one, or if no source delivers the right one.
    """
    source = KNOWN[known(name, KNOWN, "weights")]
    path = folder / source.file
    if not path.exists():
        fetch(source.urls, path, source.sha1, source.size)
    elif (found := digest(path, "sha1")) != source.sha1:
        raise UserError(f"{path}: sha1 is {found}, {name} has {source.sha1}; move the file away and try again")
    if not card_path(path).exists():
        write_card(path, source.card())
    return path


def card_of(weights: str | os.PathLike[str], folder: Path) -> tuple[Card, str] | None:
    """The card of what WEIGHTS= names, and where it comes from in words; None if there is none.

    It lies beside the file; that of a published file is known by its sha1, too.  folder : as in `resolve`.
    """
    path = folder / KNOWN[os.fspath(weights)].file if os.fspath(weights) in KNOWN else Path(weights)
    if card := find_card(path):
        return card, str(card_path(path))
    sha1 = digest(path, "sha1")
    return next(((one.card(), f"that of {name}") for name, one in KNOWN.items() if one.sha1 == sha1), None)


def _converted(path: Path, folder: Path) -> Path:
    out = folder / f"{path.stem}-{digest(path)[:12]}.caffemodel"
    if not out.exists():
        net = proto.caffe_pb2.NetParameter(name=path.stem)
        for name, arrays in npy_weights.read_npy(path).items():
            layer = net.layer.add(name=name, type="Convolution" if arrays[0].ndim == 4 else "InnerProduct")
            layer.blobs.extend(proto.array_to_blob(array) for array in arrays)
        folder.mkdir(parents=True, exist_ok=True)
        proto.write_weights(out, net)
    return out


def fresh_layers(
    donor: Blobs, net: Shapes, heads: Iterable[str], training_only: Iterable[str] = (), patterns: Sequence[str] = ()
) -> set[str]:
    """The layers of `net` that may start from their fillers: `heads`, and which of the others the donor lacks.

    training_only : layers that a donor made for use lacks.   patterns : names as a shell matches them ("loss1/*") of
    what else may be absent.  UserError for a pattern that matches nothing, or a layer that would be transferred.
    """
    heads = set(heads)
    found = heads | {name for name in training_only if name in net and name not in donor}
    for pattern in patterns:
        matched = [name for name in net if fnmatchcase(name, pattern)]
        if not matched:
            absent = listed([name for name in net if name not in donor and name not in heads])
            raise UserError(
                f"FRESH={pattern}: matches no layer that has weights; hidden layers that the donor lacks: {absent}"
            )
        if there := [name for name in matched if name in donor]:
            raise UserError(
                f"FRESH={pattern}: the donor has {listed(there)}, which would be transferred; name only what it lacks"
            )
        found.update(matched)
    return found


def own_blobs(file: Path) -> dict[str, list[np.ndarray]]:
    """Blobs by layer, without those that HDF5 leaves to another layer: no net here shares any, and the transfer proof
    misses them."""
    return {name: [blob for blob in blobs if blob is not None] for name, blobs in proto.read_blobs(file).items()}


def check_transfer(donor: Blobs, net: Shapes, fresh: Iterable[str]) -> None:
    """Prove that exactly the layers `fresh` start from their fillers and every other one from the donor.

    donor : layer name -> blobs; net : layer name -> shapes of its parameters (`nets.shapes.parameter_shapes`).
    Caffe skips a layer that the donor lacks without a word and dies on a shape that differs; here both are a
    UserError with the two lists, and so is a donor that holds NaN or infinity.
    """
    broken = [name for name, blobs in donor.items() if not all(np.isfinite(blob).all() for blob in blobs)]
    if broken:
        raise UserError(f"the donor's weights are not finite in {listed(broken)}; take another donor")
    wanted = sorted(fresh)
    absent = sorted(name for name in net if name not in donor)
    differing = [_mismatch(name, donor[name], net[name]) for name in net if name in donor]
    differing = [text for text in differing if text]
    if absent != wanted or differing:
        raise UserError(
            f"the donor does not fit: layers that would start from their fillers: {listed(absent)}; wanted:"
            f" {listed(wanted)}; shapes that differ: {listed(differing)}; choose another WEIGHTS= or width, or name in"
            " FRESH= the layers that may"
        )


def listed(names: Sequence[str]) -> str:
    """The names in one line; of many, the first and how many there are."""
    more = f", ... ({len(names)} in all)" if len(names) > SHOWN else ""
    return (", ".join(names[:SHOWN]) or "none") + more


def _mismatch(name: str, blobs: Sequence[np.ndarray], shapes: Sequence[tuple[int, ...]]) -> str:
    """What Caffe would refuse about a layer of that name, or nothing."""
    have = [blob.shape for blob in blobs]
    if len(have) == len(shapes) and all(map(_accepted, have, map(tuple, shapes))):
        return ""
    return f"{name} (donor {_text(have)}, net {_text(shapes)})"


def _accepted(donor: tuple[int, ...], net: tuple[int, ...]) -> bool:
    """Equal, or a legacy (num, channels, height, width) shape that is equal but for leading ones."""
    return donor == net or (len(donor) == 4 and donor == (1,) * (4 - len(net)) + net)


def _text(shapes: Sequence[tuple[int, ...]]) -> str:
    return " and ".join("x".join(map(str, shape)) for shape in shapes) or "nothing"


def donor_width(donor: Blobs) -> Fraction:
    """Width multiplier of an AlexNet donor, from its fc6 (4096 outputs at width 1), or from its conv2 (256).

    A donor of the first layers only has no fc6.

    UserError if it has neither, or more outputs; whether all other layers agree, `check_transfer` proves.
    """
    name = next((name for name in FULL_WIDTH if donor.get(name)), None)
    if name is None:
        raise UserError(
            f"the donor is no AlexNet: it has no weights of a layer fc6 or conv2 (layers: {listed(list(donor))})"
        )
    outputs, most = donor[name][-1].size, FULL_WIDTH[name]  # the bias has one value per output
    if not 0 < outputs <= most:
        raise UserError(f"the donor's {name} has {outputs} outputs; AlexNet's has 1 to {most}")
    return Fraction(outputs, most)
