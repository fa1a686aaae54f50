"""What the shared stages (splits, duplicates, packing) need to know of a data set, whatever it shows.

An item is a frame, a CT volume or an image of a class folder; samples are the places in it where patches are cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.integer[Any]]
Floats = NDArray[np.floating[Any]]
Picture = NDArray[np.uint8]

SPLITS = ("train", "val", "test")


def fixed_mark(split: str) -> str:
    """What a split that the user fixed adds to an item's `content`; nothing where splits are drawn."""
    return f"\0{split}" if split else ""


class Item(Protocol):
    """One item of a data set: a frozen dataclass, so that `replace` can give it another group."""

    @property
    def name(self) -> str:
        """Unique in its data set; it stands in every table and in the keys of the LMDBs."""

    @property
    def group(self) -> str:
        """Video or patient: never on two sides of a split."""

    @property
    def source(self) -> str:
        """The data set that the item comes from."""

    def picture(self) -> Picture:
        """(H, W, 3) uint8, BGR: what near-duplicates are recognised by."""

    def highest(self) -> int | None:
        """The highest value of a picture stored with 16 bits a channel, see `data.depths`; None of any other."""

    def content(self) -> str:
        """A line that changes with the name, the group or the bytes of any file of the item."""


@dataclass(frozen=True)
class Samples:
    """n places where patches are cut, a column each; a Selection's `sample` counts these rows.

    item : (n,) index into the list of items.   number : (n,) rank within the item, from 0.
    place : (n, k) float32, what the application cuts by: a box, a centre with an axis, nothing at all.
    label : (n,) int32, 0 .. classes - 1.   target : (n,) number of the object in the item that is hit, 0 = none.
    targets : (items,) objects in each item.   score : (n,) of whatever proposed the sample, higher = more
    lesion-like; None where nothing did.   measures : (n, m) float64, what a metric needs of each sample beside its
    label, such as the depth of a boundary there, NaN where it is not known; None where the label is all.
    """

    item: Ints
    number: Ints
    place: NDArray[np.float32]
    label: Ints
    target: Ints
    targets: Ints
    score: Floats | None = None
    measures: Floats | None = None

    def __len__(self) -> int:
        return len(self.item)

    def chosen(self, rows: Ints | slice) -> Samples:
        """The samples in `rows`, of the same items."""
        return Samples(
            self.item[rows],
            self.number[rows],
            self.place[rows],
            self.label[rows],
            self.target[rows],
            self.targets,
            None if self.score is None else self.score[rows],
            None if self.measures is None else self.measures[rows],
        )


class Views(Protocol):
    """The ways to cut a sample: polyp's 120, imt's single one."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of what `row` returns: columns of patches_SPLIT.csv."""

    def __len__(self) -> int: ...

    def row(self, view: int) -> tuple[Any, ...]:
        """What the index says of a view."""


# (item, places (m, k), views (m,), size) -> m patches (3, size, size) uint8 BGR, in the order asked for
Cut = Callable[[Any, NDArray[np.float32], Ints, int], Iterator[Picture]]


@dataclass(frozen=True)
class Material:
    """What patches are cut from.  words : what an item and a sample are called in tables and messages."""

    items: Sequence[Item]
    samples: Samples
    views: Views
    cut: Cut
    words: tuple[str, str] = ("frame", "candidate")


Parts = Mapping[str, Sequence[Any]]  # split -> its items
