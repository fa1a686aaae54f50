"""Margins of non-inferiority, fixed before any result."""

from __future__ import annotations

from typing import NamedTuple

from pycaffe_ext.errors import UserError


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
