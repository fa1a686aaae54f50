"""The primary endpoint of each application: fixed here, before any result, and named first in every report.

Everything else in a report is secondary.  Margins of non-inferiority are fixed here for the same reason.
"""

from __future__ import annotations

from typing import NamedTuple

from pycaffe_ext.errors import UserError


class Endpoint(NamedTuple):
    """name : for readers        rate : false positives per frame at which sensitivity is taken; None for no FROC"""

    name: str
    rate: float | None = None


class Margins(NamedTuple):
    """By how much a figure may be lower and still count as good as another's, in the figure's own unit."""

    sensitivity: float = 0.05
    auc: float = 0.02


MARGINS = Margins()


def checked_margins(sensitivity: float, auc: float) -> Margins:
    """Raises UserError for a margin outside 0 to 1."""
    for name, margin in (("MARGIN", sensitivity), ("AUC_MARGIN", auc)):
        if not 0 < margin < 1:
            raise UserError(f"{name}={margin:g}: a margin must lie between 0 and 1, both excluded")
    return Margins(sensitivity, auc)


PRIMARY = {
    # The middle of the three operating points of Table S1 here (0.5, 1, 2): below it a short test set allows only a
    # handful of false positives and sensitivity is ragged, above it the curves of good nets run together.  By polyp,
    # as a physician counts, and over all polyps, those without a candidate included.
    "polyp": Endpoint("sensitivity by polyp at 1 false positive a frame", 1.0),
    # FROC as well; a rate is counted by volume there.
    "pe": Endpoint("sensitivity by embolus at 1 false positive a volume", 1.0),
    # The paper evaluates these frames by ROC.
    "frames": Endpoint("area under the ROC curve of the frames"),
    # The paper shows box plots of it.
    "imt": Endpoint("mean error of the two interfaces"),
}
