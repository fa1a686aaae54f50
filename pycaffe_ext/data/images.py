"""One labelled picture of a data set, for the applications that ask which class a whole picture is of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.files import digest
from pycaffe_ext.pictures import shown, stored


@dataclass(frozen=True)
class Image:
    """name : unique in its data set.   group : patient or video; never on two sides of a split.
    source : the data set.   label : class, from 0, called `kind`.
    split : "train", "val" or "test" where the user fixed it, else "".
    keep_damaged : take what is left of a damaged JPEG.   resize : how it is made square, see `pictures.resize`.
    pristine : of a semi-synthetic picture, the one that it was made from: two of one place are near-duplicates
    whatever was done to them.
    """

    name: str
    group: str
    source: str
    path: Path
    label: int
    kind: str
    split: str = ""
    keep_damaged: bool = False
    resize: str = "squash"
    pristine: Path | None = None

    def picture(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 BGR, by which near-duplicates are recognised."""
        return shown.shown(self.pristine or self.path, self.keep_damaged)

    def pixels(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 BGR, from which patches are cut."""
        return shown.shown(self.path, self.keep_damaged)

    def highest(self) -> int | None:
        """Of a picture stored with 16 bits a channel; that of `pristine`, as the made ones have 8."""
        return shown.highest(self.pristine or self.path, self.keep_damaged)

    def content(self) -> str:
        """A line that changes with the name, the group, the class, the fixed split or the bytes of the file."""
        return f"{self.name}\0{self.group}\0{self.label}\0{self.split}\0{digest(self.path)}\n"


def damaged(images: Sequence[Image]) -> list[str]:
    """Names of the damaged pictures that are kept; decodes all of them if there can be any."""
    kept = [image for image in images if image.keep_damaged]
    return [image.name for image in kept if stored.read(image.path, keep_damaged=True, first=True).damage]
