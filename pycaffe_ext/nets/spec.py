"""The record that a net is generated from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from pycaffe_ext.errors import UserError
from pycaffe_ext.schemes import STAGES, links

SCALABLE = "alexnet"  # whose width can be chosen: the embedded donor is a narrow one, the other nets are as published
CLASSIFIERS = dict.fromkeys(
    ("googlenet", "googlenet_112", "googlenet_torch"), "loss3/classifier"
)  # published name of the last layer, where the head's stage has another


@dataclass(frozen=True)
class NetSpec:
    """One net; UserError if a value cannot make one. The paths are written into the prototxt as they are.

    `width` multiplies every hidden layer's outputs (see `channels`); 1 is the paper's net, and only AlexNet has others.
    `dropout_ratio` of every Dropout layer; None = each layer's published one.
    `mean_value` of B, G and R, or one for all, in the place of `mean_file`; `scale` None = the architecture's own.
    `fresh` : hidden layers that the donor lacks: they learn as the new head does, at whatever depth.
    """

    app: str
    scheme: str
    classes: int
    width: Fraction = Fraction(1)
    train_source: str = ""
    val_source: str = ""
    mean_file: str = ""
    mean_value: tuple[float, ...] = ()
    scale: float | None = None
    batch_size: int = 256
    val_batch_size: int = 50
    dropout_ratio: float | None = None
    arch: str = "alexnet"
    fresh: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if len(links(self.scheme, self.arch)) > 1:
            raise UserError(f"{self.scheme} is a chain of trainings; a net has the rates of one of its links")
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.app):
            raise UserError(f"application {self.app!r}: a name is small letters, digits and _ (it names a layer)")
        if self.classes < 2:
            raise UserError(f"classes = {self.classes}: a classifier needs at least 2")
        for name in ("batch_size", "val_batch_size"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} = {getattr(self, name)}: at least 1 patch makes a batch")
        if self.dropout_ratio is not None and not 0 <= self.dropout_ratio < 1:
            raise UserError(f"dropout_ratio = {self.dropout_ratio}: allowed is 0 up to, but not including, 1")
        object.__setattr__(self, "width", parse_width(self.width))
        check_width(self.width, self.arch)

    @property
    def head(self) -> str:
        """The last layer's name."""
        return self.renewed(CLASSIFIERS.get(self.arch, STAGES[self.arch][-1]))

    def renewed(self, published: str) -> str:
        """A classifier's name: new for each application, so that no donor's layer is copied into it."""
        return f"{published}_{self.app}"

    def dropout(self, published: float) -> float:
        return published if self.dropout_ratio is None else self.dropout_ratio

    def channels(self, paper: int) -> int:
        """Outputs of a hidden layer that has `paper` outputs at width 1: paper * width to the nearest even number
        (halfway goes up), at least 2, because conv2, conv4 and conv5 work in two groups."""
        return max(2, 2 * int(paper * self.width / 2 + Fraction(1, 2)))


def parse_width(text: str | int | float | Fraction) -> Fraction:
    """A width multiplier such as "1/8", "0.25" or 1; UserError unless it is above 0 and at most 1."""
    try:
        width = Fraction(text)
    except (ValueError, ZeroDivisionError, OverflowError, TypeError):
        width = Fraction(0)
    if not 0 < width <= 1:
        raise UserError(f"width {text!r}: allowed is a fraction above 0 and at most 1, such as 1/8 or 1")
    return width


def check_width(width: Fraction, arch: str) -> None:
    """UserError if a net that has one width only is asked for another."""
    if width != 1 and arch != SCALABLE:
        raise UserError(f"width {width}: only {SCALABLE} can be narrowed; leave WIDTH= out for {arch}")
