"""Cards: what a donor's weights were trained on, as a small prototxt beside them.

NAME.card.prototxt belongs to NAME.caffemodel (or .caffemodel.h5, or .npy).  What Caffe's Data layer did to the images
stands in Caffe's own `transform_param`; every line may be left out:

    weights: "squeezenet_v1.1.caffemodel"
    sha1: "3397f026368a45ae236403ccc81cfcbe8ebe1bd0"
    arch: "squeezenet"
    channels: "BGR"
    input_size: 227
    transform_param { scale: 1 mean_value: 104 mean_value: 117 mean_value: 123 }
    source: "https://github.com/DeepScale/SqueezeNet"
    licence: "BSD-2-Clause"
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from pycaffe_ext.errors import UserError
from pycaffe_ext.files import digest
from pycaffe_ext.proto import caffe_pb2, read_mean, write_text
from pycaffe_ext.proto.text import read_text
from pycaffe_ext.strings import native, portable

ENDING = ".card.prototxt"
WEIGHTS = (".caffemodel.h5", ".caffemodel", ".npy")  # endings that a card's name replaces
ORDER = "BGR"  # of the channels of every patch, as in Caffe's own programs
CHANNELS = len(ORDER)
WHITE = 255


@dataclass(frozen=True)
class Card:
    """What weights were trained on; what is not known is left at its default.

    mean_value : of B, G and R, or one for all, in grey levels of 0 to 255.   mean_file : or the mean image, a
    binaryproto.  Neither: the card does not say which mean was subtracted (0 says that none was).
    scale : what (value - mean) was multiplied by.   channels : their order, "BGR" or "RGB".
    input_size : rows and columns of the net's input, 0 = not known.   weights : the file's name.   sha1 : of the file.
    arch : the net, as ARCH= calls it.   source, licence : for a person.
    """

    mean_value: tuple[float, ...] = ()
    mean_file: Path | None = None
    scale: float = 1.0
    channels: str = ORDER
    input_size: int = 0
    weights: str = ""
    sha1: str = ""
    arch: str = ""
    source: str = ""
    licence: str = ""


def card_path(weights: str | os.PathLike[str]) -> Path:
    """Where the card of a weights file lies: beside it."""
    path = Path(weights)
    ending = next((one for one in WEIGHTS if path.name.endswith(one)), "")
    return path.with_name(path.name.removesuffix(ending) + ENDING)


def read_card(path: str | os.PathLike[str], weights: str | os.PathLike[str] | None = None) -> Card:
    """A card, its mean_file found from the card's folder.

    weights : the file that it must belong to.  Raises UserError, with the line where there is one, for a text that is
    no card, a sha1 that is not that of `weights`, a mean_file that is missing or no mean image of three channels, and
    for whatever else a fine-tuning could not use.
    """
    message: Any = read_text(path, _Message())
    transform = message.transform_param
    card = Card(
        mean_value=tuple(transform.mean_value),
        mean_file=Path(path).parent / native(transform.mean_file) if transform.HasField("mean_file") else None,
        scale=_shortest(transform.scale),
        channels=message.channels if message.HasField("channels") else ORDER,
        input_size=message.input_size or transform.crop_size,
        **{name: native(getattr(message, name)) for name in TEXTS if name != "channels"},
    )
    try:
        if transform.force_gray:
            raise UserError("the weights were trained on grey images (force_gray), patches have three channels")
        if 0 < transform.crop_size != card.input_size:
            raise UserError(f"crop_size {transform.crop_size} and input_size {card.input_size} contradict each other")
        _check(card)
        if weights is not None:
            _check_sha1(card, Path(weights))
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return replace(card, mean_value=tuple(map(_shortest, card.mean_value)))


def find_card(weights: str | os.PathLike[str]) -> Card | None:
    """The card beside a weights file, checked as `read_card` does; None if there is none."""
    path = card_path(weights)
    return read_card(path, weights) if path.exists() else None


def write_card(weights: str | os.PathLike[str], card: Card) -> Path:
    """Write the card of an existing weights file beside it, with the file's name and sha1, and return its path.

    A card that is there is replaced.  Raises UserError for values that `read_card` would refuse.
    """
    path, file = card_path(weights), Path(weights)
    if not file.is_file():
        raise UserError(f"{file}: no such weights file; a card lies beside its weights")
    _check(card)
    known = replace(card, weights=file.name, sha1=digest(file, "sha1"))
    write_text(path, _message(known, path.parent))
    return path


def text_of(card: Card) -> str:
    """What the card says of the input, in one line."""
    mean = f"mean image {card.mean_file}" if card.mean_file else numbers(card.mean_value)
    return f"{card.channels} minus {mean or 'an unknown mean'}, times {card.scale:g}"


def numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.7g}" for value in values)


def check_mean_values(values: Sequence[float]) -> None:
    """UserError unless there is one value for all channels, or one for each, of pixels from 0 to 255."""
    if len(values) not in (1, CHANNELS):
        raise UserError(f"{len(values)} mean values; give one for all channels or {CHANNELS}, in the order B,G,R")
    if not all(0 <= value <= WHITE for value in values):  # NaN is refused too
        raise UserError(f"mean values {numbers(values)}: must be those of pixels, 0 to {WHITE}")


def read_mean_image(path: Path) -> np.ndarray:
    """A mean image (3, H, W) float32, B G R; UserError if the file is missing or another one."""
    if not path.is_file():
        raise UserError(f"the mean file {path} is missing")
    mean = read_mean(path)
    if len(mean) != CHANNELS:
        raise UserError(f"the mean file {path} has {len(mean)} channels; patches have {CHANNELS}")
    return mean


def check_scale(scale: float) -> None:
    if not (math.isfinite(scale) and scale > 0):
        raise UserError(f"scale {scale:g} must be a finite number above 0")


def _check(card: Card) -> None:
    if card.channels != ORDER:
        raise UserError(
            f"channels {card.channels!r}: patches are {ORDER}, as Caffe reads pictures; swap the input channels of the"
            f" first layer, and the mean values, and write channels: {ORDER!r}"
        )
    if card.mean_value and card.mean_file:
        raise UserError("has both mean_value and mean_file; keep one of them")
    if card.mean_value:
        check_mean_values(card.mean_value)
    if card.mean_file:
        read_mean_image(card.mean_file)
    check_scale(card.scale)
    if card.sha1 and not re.fullmatch("[0-9a-f]{40}", card.sha1):
        raise UserError(f"sha1 {card.sha1!r} is not 40 hexadecimal digits; `sha1sum FILE` prints it")


def _check_sha1(card: Card, weights: Path) -> None:
    if card.sha1 and (found := digest(weights, "sha1")) != card.sha1:
        raise UserError(
            f"is of weights with sha1 {card.sha1}, {weights} has {found}; use its own card, or remove this one"
        )


def _shortest(value: float) -> float:
    """The shortest decimal number that is the same float32: what a person wrote."""
    return float(str(np.float32(value)))


_FIELDS = ("weights", "sha1", "arch", "channels", "input_size", "transform_param", "source", "licence")
TEXTS = tuple(name for name in _FIELDS if name not in ("input_size", "transform_param"))


def _message_class() -> type[Any]:
    """The message of a card.  It is built here, so that caffe.proto stays Caffe's own."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="pycaffe_ext/card.proto", package="pycaffe_ext", syntax="proto2")
    file.dependency.append(caffe_pb2.DESCRIPTOR.name)
    card = file.message_type.add(name="Card")
    for number, name in enumerate(_FIELDS, 1):
        kind = {"input_size": field.TYPE_UINT32, "transform_param": field.TYPE_MESSAGE}.get(name, field.TYPE_STRING)
        card.field.add(name=name, number=number, label=field.LABEL_OPTIONAL, type=kind)
    (transform,) = (one for one in card.field if one.type == field.TYPE_MESSAGE)
    transform.type_name = f".{caffe_pb2.TransformationParameter.DESCRIPTOR.full_name}"
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("pycaffe_ext.Card"))


_Message = _message_class()


def _message(card: Card, folder: Path) -> Any:
    """The message of a card that is written into `folder`; a mean_file below it is named from there."""
    texts = {name: portable(value) for name in TEXTS if (value := getattr(card, name))}
    message = _Message(**texts)
    if card.input_size:
        message.input_size = card.input_size
    message.transform_param.scale = card.scale
    message.transform_param.mean_value.extend(card.mean_value)
    if card.mean_file:
        file, above = card.mean_file.absolute(), folder.absolute()
        message.transform_param.mean_file = portable(str(file.relative_to(above) if above in file.parents else file))
    return message
