"""What an adapter answers about a data set of walls, and how its images become items."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pycaffe_ext.data.boundaries.image import WallImage
from pycaffe_ext.data.sources.source import About


@dataclass(frozen=True)
class WallSource(About):
    """look : whether a folder has this layout.   read : (folder) -> its images in any order; UserError for one that
    does not fit."""

    look: Callable[[Path], bool]
    read: Callable[[Path], list[WallImage]]
