"""From the scores of places along an artery's wall to both boundaries, and the choice of how, on validation images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data.boundaries import lattice
from pycaffe_ext.data.items import Floats
from pycaffe_ext.detector.walls import maps, places
from pycaffe_ext.detector.walls.maps import Finder
from pycaffe_ext.evaluation.metrics.base import Metric, PatchScores, TestData
from pycaffe_ext.evaluation.metrics.boundaries import Boundaries, Evaluation, mean_by_sample, measures_of

MM = 4  # column of MEASURES


@dataclass(frozen=True)
class WallBoundaries(Boundaries):
    """finder, net_alone : chosen on the validation images, the second of those without the image's own edges; None =
    the usual one."""

    finder: Finder | None = None
    net_alone: Finder | None = None

    @property
    def chosen(self) -> Mapping[str, Any] | None:
        return None if self.finder is None else self.finder.record()

    def tuned(self, validation: TestData, scores: PatchScores) -> Metric[Evaluation]:
        """With the finders that have the least mean absolute error on the validation images."""
        probability = mean_by_sample(scores, len(validation.samples))

        def pairs(choice: Finder) -> list[tuple[Floats, Floats]]:
            found = _curves(validation, probability, choice)
            return [(rows * lattice.STEP, true * mm) for _, rows, true, mm in found]

        errors = maps.errors(pairs)
        alone = {finder: error for finder, error in errors.items() if not finder.edges}
        return replace(self, finder=maps.best(errors), net_alone=maps.best(alone))

    def curves(
        self, test: TestData, probability: Floats, alone: bool = False
    ) -> tuple[NDArray[np.int64], Floats, Floats]:
        finder = (self.net_alone if alone else self.finder) or Finder()
        found = list(_curves(test, probability, finder))
        image = np.concatenate([np.full(len(rows), i) for (i, _), rows, _, _ in found])
        x = np.concatenate([x for (_, x), _, _, _ in found])
        return image, x, np.concatenate([rows * (lattice.STEP / mm) for _, rows, _, mm in found])


def _curves(
    test: TestData, probability: Floats, finder: Finder
) -> Iterator[tuple[tuple[int, Floats], Floats, Floats, float]]:
    """Of each image with samples: its number and the x of its columns; (K, 2) rows of the lattice as found; the true
    rows in pixels; mm per pixel."""
    samples, measures = test.samples, measures_of(test)
    ends = np.searchsorted(samples.item, np.arange(len(test.items) + 1))
    for image in range(len(test.items)):
        rows = slice(int(ends[image]), int(ends[image + 1]))
        if rows.start == rows.stop:
            continue
        mm = float(measures[rows.start, MM])
        x, y = samples.place[rows].astype(np.float64).T
        column, row = lattice.on_lattice(x, y, mm)
        first = np.unique(column, return_index=True)[1]
        curves = finder.curves(column, row, probability[rows], measures[rows, places.EDGES])
        yield (image, x[first]), curves, measures[rows][first, :2], mm
