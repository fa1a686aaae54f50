"""What an adapter answers about a data set of CT volumes, and how its volumes become items."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pycaffe_ext.data.sources.source import About
from pycaffe_ext.data.volumes.volume import Volume


@dataclass(frozen=True)
class VolumeSource(About):
    """look : whether a folder has this layout.   read : (folder) -> its volumes in any order; UserError for one that
    does not fit."""

    look: Callable[[Path], bool]
    read: Callable[[Path], list[Volume]]
