"""Patches of synthetic data from which the embedded donor learns: colons, arteries and chests that no run draws.

They go the way of an application's own data, items -> samples -> patches, and each class is one that the donor tells
apart.  SEED lies beyond those that a run may have, so that no run tests on what its donor has seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.applications import imt, pe, polyp
from pycaffe_ext.applications.base import Application
from pycaffe_ext.data.items import Ints, Picture, Samples
from pycaffe_ext.errors import UserError
from pycaffe_ext.runs.settings import LARGEST_SEED, DataRequest

SEED = LARGEST_SEED + 1
Items = Sequence[Any]


@dataclass(frozen=True)
class World:
    """application : whose data they are.   draw : its synthetic items, kept below a folder.

    finding : share of the groups from which what proposes the samples learns.   val : share that the donor does not
    learn from.   per_class, val_per_class : patches of each class.
    """

    application: Application[Any, Any]
    draw: Callable[[Path], Items]
    finding: float
    val: float
    per_class: int
    val_per_class: int

    @property
    def request(self) -> DataRequest:
        return DataRequest(self.application.slug)

    @property
    def classes(self) -> int:
        return len(self.application.classes(self.request))


def _arteries(folder: Path) -> Items:
    return imt.measured(imt.phantom(folder, SEED, patients=96, frames=2), DataRequest("imt"))


WORLDS = (
    World(polyp.APPLICATION, lambda folder: polyp.synthetic_frames(folder, SEED, 700, 2), 0.2, 0.1, 10240, 256),
    World(imt.APPLICATION, _arteries, 0.5, 0.1, 1536, 64),
    World(pe.APPLICATION, lambda folder: pe.phantom(folder, SEED, 40), 0.5, 0.1, 1536, 64),
)


@dataclass(frozen=True)
class Lesson:
    """The patches of a world, once its samples are found: what `donor.recipe` learns from."""

    world: World
    items: Items
    samples: Samples
    val: NDArray[np.bool_]  # of the items, those that are not learnt from

    @property
    def classes(self) -> int:
        return self.world.classes

    def count(self, split: str) -> int:
        return self.classes * self._per_class(split)

    def images(self, split: str, side: int) -> Iterator[tuple[int, Picture]]:
        """(label, (3, side, side) uint8 BGR) of `count` patches, each class as often as another.

        A sample is drawn as often as its class needs it, each time in a view drawn at random.
        """
        rows, views = self._drawn(split)
        item = self.samples.item[rows]
        for number in np.unique(item).tolist():
            own = item == number
            places = self.samples.place[rows[own]]
            patches = self.world.application.cut(self.items[number], places, views[own], side)
            yield from zip(self.samples.label[rows[own]].tolist(), patches, strict=True)

    def _drawn(self, split: str) -> tuple[Ints, Ints]:
        """Rows of the samples, by item and place, and a view of each."""
        rng = np.random.default_rng([SEED, split == "val"])
        in_split = self.val[self.samples.item] == (split == "val")
        chosen = []
        for label in range(self.classes):
            of_class = np.flatnonzero(in_split & (self.samples.label == label))
            if not len(of_class):
                raise UserError(f"the donor's {self.world.application.slug} images have no {split} sample of a class")
            chosen.append(rng.choice(of_class, self._per_class(split)))
        rows = np.sort(np.concatenate(chosen))
        return rows, rng.integers(0, len(self.world.application.views), len(rows))

    def _per_class(self, split: str) -> int:
        return self.world.per_class if split == "train" else self.world.val_per_class


def lesson(world: World, folder: Path) -> Lesson:
    """Draw the items of a world into `folder`, find their samples and keep whole groups for validation."""
    items = world.draw(folder)
    groups = list(dict.fromkeys(item.group for item in items))
    finding = set(islice(groups, round(world.finding * len(groups))))
    kept = set(groups[len(groups) - round(world.val * len(groups)) :])
    parts: Mapping[str, Items] = {
        "train": [item for item in items if item.group in finding],
        "val": [item for item in items if item.group not in finding],
    }
    workspace = folder / f"samples-{world.application.slug}"
    workspace.mkdir(parents=True, exist_ok=True)
    samples = world.application.propose(parts, workspace, world.request)
    ordered = [item for part in parts.values() for item in part]
    return Lesson(world, ordered, samples, np.array([item.group in kept for item in ordered]))
