"""How the files of a data set are read where that is not clear from the files: the settings MASK and DAMAGED."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pycaffe_ext.errors import UserError, known

MASKS = ("auto", "threshold", "nonzero", "inverted", "value:N")
DAMAGED = ("refuse", "keep")


@dataclass(frozen=True)
class Reading:
    """mask : which greys are polyp, one of MASKS; `data.masks.polyps` says what they mean.

    damaged : "keep" takes what can be decoded of a damaged frame, "refuse" is an error that names it.
    Raises UserError for another word.
    """

    mask: str = "auto"
    damaged: str = "refuse"

    def __post_init__(self) -> None:
        known(self.damaged, DAMAGED, "DAMAGED")
        if re.fullmatch(r"value:[1-9]\d*", self.mask):
            return
        if self.mask.startswith("value"):
            raise UserError(f"MASK={self.mask}: write value:N with the grey of the polyps, 1 or more, as in value:1")
        known(self.mask, MASKS, "MASK")

    @property
    def value(self) -> int | None:
        """The grey that value:N names."""
        return int(self.mask[6:]) if self.mask.startswith("value:") else None

    @property
    def keeps_damaged(self) -> bool:
        return self.damaged == "keep"
