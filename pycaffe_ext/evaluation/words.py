"""What a detection application calls its items and lesions, and the columns and figures that are named after them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# False positives per item of the primary endpoint: the middle of the three operating points of Table S1 here (0.5, 1,
# 2).  Below it a short test set allows a handful of false positives and sensitivity is ragged; above it the curves of
# good nets run together.  By lesion, as a physician counts, and over all lesions, those without a candidate included.
ENDPOINT_RATE = 1.0
ENDS = ("", "_exact_low", "_exact_high", "_group_low", "_group_high")  # of a sensitivity's columns


@dataclass(frozen=True)
class Words:
    """What is detected in what, in tables and texts.

    item : an item of the data set, by which false positives are counted.   target : a lesion.
    case : by what sensitivity is counted beside lesions: the item, or the group of which items are, such as "patient".
    """

    item: str = "frame"
    target: str = "polyp"
    case: str = "frame"

    @property
    def by(self) -> dict[str, str]:
        """froc.SENSITIVITIES -> what it is called as a key of result.json and in froc.csv."""
        return {"lesion": "lesion", "frame": self.case}

    def columns(self, header: Iterable[str]) -> tuple[str, ...]:
        """Names of columns that speak of frames and polyps, as they are here."""
        return tuple(name.replace("frame", self.item).replace("polyp", self.target) for name in header)

    @property
    def score_header(self) -> tuple[str, ...]:
        """Columns of scores.csv."""
        return self.item, "candidate", "lesion", "probability", "detector"

    @property
    def endpoint(self) -> str:
        return f"sensitivity at {ENDPOINT_RATE:g} false positive a {self.item}"

    def rate(self, rate: float) -> str:
        return f"{rate:g} false positive{'s' * (rate != 1)} a {self.item}"

    def sensitivity(self, by: str) -> str:
        """The axis of a figure; by : one of froc.SENSITIVITIES."""
        return (
            f"sensitivity ({self.target}s found)"
            if by == "lesion"
            else f"sensitivity ({self.case}s with a {self.target} found)"
        )

    @property
    def curve_header(self) -> tuple[str, ...]:
        """Columns of froc.csv."""
        columns = (f"{by}_sensitivity{end}" for by in self.by.values() for end in ENDS)
        return "scores", "threshold", f"false_positives_per_{self.item}", *columns


POLYPS = Words()
