"""What is known about a data set, and the two questions that its adapter answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pycaffe_ext.data.frames import Frame

Look = Callable[[Path], "str | None"]
Read = Callable[[Path, "Path | None", bool], "list[Frame]"]


@dataclass(frozen=True)
class About:
    """A data set as its authors distribute it.

    slug : its name in DATASET= and in the items' `source`.
    counts, groups, terms, where : sentences for `make data-help`; counts are those that its authors published.
    layout : the folder as a drawing, one line a row.
    """

    slug: str
    title: str
    counts: str
    groups: str
    terms: str
    where: str
    layout: str


@dataclass(frozen=True)
class Source(About):
    """A data set of frames with masks.

    tuning : share of its groups that are for training only, as settings of this project's detector were chosen on it;
    `splits.tuning_items` says which.
    look : (folder) -> "" if the folder has this layout, what is missing if it only resembles it, None if it does not.
    read : (folder, cache for decoded videos, progress) -> its frames in any order; UserError naming a wrong file.
    """

    look: Look
    read: Read
    tuning: float = 0.0
