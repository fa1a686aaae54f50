"""What an application answers beside `base.Application` if its nets find lesions: what a report counts and shows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.applications import candidates
from pycaffe_ext.applications.base import Application
from pycaffe_ext.data.fixed import fixed_splits
from pycaffe_ext.data.items import Floats, Ints, Item, Parts, Picture, Samples
from pycaffe_ext.evaluation.metrics.detection import Evaluation

I = TypeVar("I", bound=Item)  # noqa: E741 (an item)
Places = NDArray[np.float32]


@dataclass(frozen=True)
class Sight:
    """Where a reader sees samples of an item.

    image : (H, W, 3) uint8 BGR.   mask : (H, W) bool, the lesions there.   boxes : (m, 4) x, y, width, height in pixels
    of the m samples asked for.   shown : (m,) bool, which of them lie in the picture.
    """

    image: Picture
    mask: NDArray[np.bool_]
    boxes: Places
    shown: NDArray[np.bool_]


@dataclass(frozen=True)
class Sheet:
    """All patches of a sample in rows and columns, for a reader.

    patches : (rows, columns, 3, S, S) uint8.   rows, columns : names.   blocks : names of equal shares of the columns.
    planes : (n, S, S) uint8 channels of the plain patches, one by one, and their names.
    """

    patches: NDArray[np.uint8]
    rows: Sequence[str]
    columns: Sequence[str]
    blocks: Sequence[str]
    planes: Sequence[tuple[str, NDArray[np.uint8]]]


class Detecting(Application[I, Evaluation]):
    """An application whose samples are candidates, positive where they hit a target of their item."""

    rule: ClassVar[str]  # when a candidate is positive, and how many patches it can give; a sentence or two
    size: ClassVar[tuple[str, str]]  # of lesions: its name for a reader, and in the columns of tables

    def fixed_splits(self, items: Sequence[I]) -> Mapping[str, Sequence[I]] | None:
        return fixed_splits(items)

    def facts(self, items: Parts, samples: Samples, patches: Ints) -> dict[str, Any]:
        return candidates.facts(items, samples, patches, (self.words[0], self.target), len(self.views))

    def data_text(self, facts: Mapping[str, Any], patches: Mapping[str, int]) -> list[str]:
        return candidates.text(facts, patches, (self.words[0], self.target))

    @abstractmethod
    def hits(self, item: I, places: Places) -> NDArray[np.bool_]:
        """(m,) whether a target of the item, as it is marked now, is hit at each of the places."""

    @abstractmethod
    def sight(self, item: I, places: Places) -> Sight:
        """The picture that shows the first of the places."""

    @abstractmethod
    def sizes(self, items: Sequence[I]) -> list[Floats]:
        """Of each item the sizes of its targets, in the order of their numbers; UserError where they have none."""

    def sheet(self, item: I, place: Places, side: int) -> Sheet | None:
        """Patches of `side` pixels of one sample; None where they are parts of the sample's sight."""
        return None
