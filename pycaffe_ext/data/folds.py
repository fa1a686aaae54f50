"""One fold of several, as settings name it and splits are drawn."""

from __future__ import annotations

from typing import NamedTuple


class Fold(NamedTuple):
    """number : 1 .. of"""

    number: int
    of: int
