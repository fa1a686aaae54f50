"""Margins of non-inferiority, fixed before any result."""

from __future__ import annotations

from typing import NamedTuple

from pycaffe_ext.errors import UserError


class Margins(NamedTuple):
    """By how much a figure may be worse and still count as good as another's, in the figure's own unit.

    auc : about the error of an AUC from a hundred test groups, and a third of what the paper's depths differ by
    millimetres : of the mean error of a thickness; half of the standard deviation of 0.04 mm between two readers of one
    picture (Faita et al. 2008)
    """

    sensitivity: float = 0.05
    auc: float = 0.02
    millimetres: float = 0.02


MARGINS = Margins()


def checked_margins(sensitivity: float, auc: float) -> Margins:
    """Raises UserError for a margin outside 0 to 1."""
    return Margins(checked_margin(sensitivity), checked_margin(auc, "AUC_MARGIN"))


def checked_margin(margin: float, name: str = "MARGIN") -> float:
    """The margin itself; UserError unless it lies between 0 and 1."""
    if not 0 < margin < 1:
        raise UserError(f"{name}={margin:g}: a margin must lie between 0 and 1, both excluded")
    return margin
