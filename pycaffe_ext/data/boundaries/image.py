"""One image of an artery and, where an expert drew them, the two boundaries of its far wall."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pycaffe_ext.data.boundaries import burned_in, reading
from pycaffe_ext.data.boundaries.burned_in import Grey, Marks
from pycaffe_ext.data.boundaries.curves import Curves, Points, curves_of
from pycaffe_ext.data.items import Picture, fixed_mark
from pycaffe_ext.files import digest

PATCH_MM = 2.8  # the wall, and as much of the lumen
NEAR_MM = 0.1  # about the length of the pulse


@dataclass(frozen=True)
class WallImage:
    """name : unique in its data set.   group : patient or exam; never on two sides of a split.
    source : the data set.   mm_per_pixel : side of a pixel, which is square.
    li, ma : points (x, y) of the two boundaries in pixels, sorted by x; empty where nothing was drawn.
    patch_mm : about the side of the patches that are cut from it.   near_mm : from a boundary within which a pixel is
    of its class.   split : "train", "val" or "test" where the user fixed it, else "".
    """

    name: str
    group: str
    source: str
    path: Path
    mm_per_pixel: float
    li: Points = ()
    ma: Points = ()
    patch_mm: float = PATCH_MM
    near_mm: float = NEAR_MM
    split: str = ""

    def scan(self) -> tuple[Grey, Marks]:
        """(H, W) uint8 grey with burned-in graphics filled from around them, and where these are."""
        found = reading.read(self.path)
        marks = burned_in.marks_of(found.grey, found.coloured)
        return burned_in.cleaned(found.grey, marks.mask), marks

    def picture(self) -> Picture:
        """(H, W, 3) uint8 BGR, three equal channels, with burned-in graphics filled from around them."""
        return np.asarray(cv2.cvtColor(self.scan()[0], cv2.COLOR_GRAY2BGR), np.uint8)

    def highest(self) -> int | None:
        """Of a picture stored with 16 bits a channel, None of any other and of DICOM, which has rules of its own."""
        return reading.highest(self.path)

    def curves(self) -> Curves | None:
        """The boundaries, a depth a column; None where nothing was drawn."""
        return curves_of(self.li, self.ma) if self.li else None

    def content(self) -> str:
        """A line that changes with the name, the group, the spacing, the boundaries, the fixed split or the file."""
        drawn = f"{self.mm_per_pixel!r}\0{self.li!r}\0{self.ma!r}"
        return f"{self.name}\0{self.group}\0{drawn}\0{digest(self.path)}{fixed_mark(self.split)}\n"
