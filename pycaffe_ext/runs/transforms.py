"""What is subtracted from a net's patches, and what they are multiplied by: the donor's, the data's or the user's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pycaffe_ext.donor.cards import Card, card_path, numbers, read_mean_image
from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import write_mean
from pycaffe_ext.runs.settings import DATA_MEAN, DONOR_MEAN, Training, mean_values
from pycaffe_ext.schemes import is_fine_tuning

MEAN_FILE = "mean.binaryproto"  # in the run's folder, where the mean is neither values nor the data's own image


@dataclass(frozen=True)
class Transform:
    """(patch - mean) * scale, for patches B G R of 0 to 255.

    mean_value : of B, G and R, or one for all.   mean_image : or an image (3, side, side), the patches' side.
    Neither: the mean image of the training patches.   about : mean and scale and where they come from, in one line.
    of_data : whether the mean is that of the training patches, and so another one with each seed and share of them
    """

    scale: float
    about: str
    mean_value: tuple[float, ...] = ()
    mean_image: np.ndarray | None = None
    of_data: bool = False

    def mean_file(self, folder: Path, data: Path) -> Path | None:
        """The mean image that is subtracted, for a run in `folder` on packed data with the mean image `data`."""
        if self.mean_value:
            return None
        return data if self.of_data else folder / MEAN_FILE

    def write(self, folder: Path) -> None:
        """Put the mean image into the run's folder, if it has one of its own."""
        if self.mean_image is not None:
            folder.mkdir(parents=True, exist_ok=True)
            write_mean(folder / MEAN_FILE, self.mean_image)

    def record(self) -> dict[str, Any]:
        """For run.json: mean is a list of values, "data" for its mean image, or the name of a file in the folder."""
        mean: object = list(self.mean_value) or ("data" if self.of_data else MEAN_FILE)
        return {"mean": mean, "of_data": self.of_data, "scale": self.scale, "about": self.about}


def choose(training: Training, card: Card | None, whose: str, side: int, scale: float) -> Transform:
    """What MEAN= and SCALE= ask for; where they are not given, what the donor's card says, for a fine-tuning.

    card : the donor's, None if it has none.   whose : the card in words.   side : rows and columns of the patches.
    scale : the net's own, taken where neither SCALE= nor a card says another.
    Raises UserError for MEAN=donor without a card that has a mean, and for a mean file that can't be used.
    """
    card = card if is_fine_tuning(training.scheme, training.arch) else None
    if card and card.arch not in ("", training.arch):
        raise UserError(f"the donor's card ({whose}) says ARCH={card.arch}, not {training.arch}; check ARCH=")
    mean = _mean(training, card, whose, side)
    factor, origin = (scale, NETS_OWN) if card is None else (card.scale, f"the donor's card, {whose}")
    if training.scale is not None:
        factor, origin = training.scale, "SCALE="
    first, second = mean.origin, origin
    if origin in (first, NETS_OWN):  # named once, at the end
        first, second = "", first
    about = f"B G R minus {mean.words}{_bracket(first)}, times {factor:.7g}{_bracket(second)}"
    return Transform(factor, about, mean.values, mean.image, not mean.values and mean.image is None)


def by_channel(transform: Transform, data: Path) -> Transform:
    """The same with the means of the mean image's channels in its place; data : the mean image of the training patches.

    For nets that see whole regions: a mean image has another value at each pixel of a patch, and a region has no such.
    """
    if transform.mean_value:
        return transform
    image = read_mean_image(data) if transform.mean_image is None else transform.mean_image
    values = _means(image)
    about = f"{transform.about}; with DENSE=1 the means of its channels, {numbers(values)}"
    return replace(transform, about=about, mean_value=values, mean_image=None)


def _means(image: np.ndarray) -> tuple[float, ...]:
    """Of the channels of a mean image (channels, rows, columns)."""
    return tuple(float(f"{value:.7g}") for value in image.mean(axis=(1, 2), dtype=np.float64))


def _bracket(origin: str) -> str:
    return origin and f" ({origin})"


class _Mean(NamedTuple):
    """At most one of values and image is there; words and origin ("" = the words say it) are for a person."""

    words: str
    origin: str
    values: tuple[float, ...] = ()
    image: np.ndarray | None = None


def _mean(training: Training, card: Card | None, whose: str, side: int) -> _Mean:
    given, origin = training.mean, f"the donor's card, {whose}"
    if given == DONOR_MEAN and not (card and (card.mean_value or card.mean_file)):
        raise UserError(f"MEAN=donor: {f'the card {whose} names no mean' if card else NO_CARD}; give MEAN=B,G,R")
    if given is None or given == DONOR_MEAN:
        if card and card.mean_value:
            return _Mean(numbers(card.mean_value), origin, card.mean_value)
        if card and card.mean_file:
            return _of_file(card.mean_file, origin, side)
    elif values := mean_values(given):
        return _Mean(numbers(values), "MEAN=", values)
    elif given != DATA_MEAN:
        if not Path(given).is_file():
            raise UserError(f"MEAN={given}: no such file; allowed are donor, data, B,G,R and a mean.binaryproto")
        return _of_file(Path(given), "MEAN=", side)
    return _Mean("the mean image of the training patches", "")


NETS_OWN = "the net's own"
NO_CARD = "the donor has no card that says what it was trained on"


def _of_file(path: Path, origin: str, side: int) -> _Mean:
    """A mean image fitted to the patches."""
    image = read_mean_image(path)
    mean = fitted(image, side)
    if mean is None:
        values = _means(image)
        return _Mean(f"{numbers(values)}, the means of {path}, which is smaller than the patches", origin, values)
    return _Mean(f"the middle {side}x{side} of the mean image {path}", origin, image=mean)


def fitted(mean: np.ndarray, side: int) -> np.ndarray | None:
    """The (3, side, side) of a mean image (3, H, W) that Caffe subtracts from a centre crop; None where the image is
    smaller than the patches, which Caffe refuses."""
    _, height, width = mean.shape
    if min(height, width) < side:
        return None
    top, left = (height - side) // 2, (width - side) // 2
    return np.ascontiguousarray(mean[:, top : top + side, left : left + side])


def without_card(weights: str | Path) -> str:
    """What a user should know of a fine-tuning from a donor without a card, where MEAN= and SCALE= are not given."""
    return (
        f"{NO_CARD}, so the data's mean and the net's own scale are taken where MEAN= and SCALE= say no others; to take"
        f" the donor's, write {card_path(weights)}: make card WEIGHTS={weights} MEAN=B,G,R SCALE=s"
    )
