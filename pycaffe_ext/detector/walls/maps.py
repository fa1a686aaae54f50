"""From the class probabilities of places on the lattice to both boundaries, and what is chosen for that.

The maps are logarithms of the probabilities of the two interface classes on a square grid of one step; between the
lattice's columns they lie on straight lines, and where nothing was scored they are as low as can be.  As an active
contour is, the curves may be drawn to the edges of the image, too: these count with a weight, which may be 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from typing import Any

import numpy as np

from pycaffe_ext.data.boundaries.lattice import ACROSS, STEP
from pycaffe_ext.data.items import Floats, Ints
from pycaffe_ext.detector.walls.regulariser import Regulariser, boundaries_of
from pycaffe_ext.errors import UserError
from pycaffe_ext.progress import bar

LEAST = 1e-4  # probability that counts as none
REGULARISERS = tuple(
    Regulariser(slope=cost, parallel=cost, smooth=smooth)
    for cost, smooth in product((0.1, 0.5, 3.0, 10.0), (0.3, 0.8, 1.6))
)
WEIGHTS = (0.0, 0.3, 1.0, 3.0, 10.0)  # of the image's edges beside the logarithm of a probability


@dataclass(frozen=True)
class Finder:
    """From probabilities to both boundaries; both parts are chosen on validation images.

    edges : weight of the image's own edges; 0: the net's maps alone.
    """

    regulariser: Regulariser = field(default_factory=Regulariser)
    edges: float = 0.0

    def curves(self, column: Ints, row: Ints, probability: Floats, edges: Floats) -> Floats:
        """(K, 2) rows of the lattice, as `curves_from` gives them.

        probability : (n, 3), class 0 the background.   edges : (n, 2) as `places.Wall` has them.
        """
        evidence = np.log(np.maximum(probability[:, 1:], LEAST)) + self.edges * edges
        return curves_from(column, row, evidence, self.regulariser)

    def record(self) -> dict[str, Any]:
        """JSON-able."""
        return {**asdict(self.regulariser), "edges": self.edges}

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Finder:
        """What `record` gave.   Raises UserError for that of an earlier version, which had offsets of its own."""
        given = dict(record)
        if "offsets_mm" in given or "edges" not in given:
            raise UserError("an earlier version found boundaries in another way; remove the run and run it again")
        edges = given.pop("edges")
        return cls(Regulariser(**{**given, "thickness": tuple(given["thickness"])}), edges)


CHOICES = tuple(Finder(one, edges=weight) for one, weight in product(REGULARISERS, WEIGHTS))
Pairs = Sequence[tuple[Floats, Floats]]  # (found, true) curves of images, (K, 2) each, in mm; NaN where one is unknown


def curves_from(column: Ints, row: Ints, evidence: Floats, regulariser: Regulariser) -> Floats:
    """(K, 2) rows of the lattice, lumen-intima and media-adventitia, in each of its K columns, ascending.

    column, row : (n,) of the scored places.   evidence : (n, 2) of both boundaries, logarithms of probabilities.
    """
    columns, place = np.unique(column, return_inverse=True)
    top, height = int(row.min()), int(row.max() - row.min()) + 1
    scored = np.full((2, height, columns.size), np.log(LEAST))
    scored[:, row - top, place] = evidence.T
    at = np.arange(columns[0] * ACROSS, columns[-1] * ACROSS + 1)
    li_map, ma_map = (_between(one, columns * ACROSS, at) for one in scored)
    li, ma = boundaries_of(li_map, ma_map, STEP, regulariser)
    chosen = columns * ACROSS - at[0]
    return np.column_stack([li[chosen], ma[chosen]]) + top


def errors(curves: Callable[[Finder], Pairs], choices: Sequence[Finder] = CHOICES) -> dict[Finder, float]:
    """Of every choice the mean absolute error on the validation images, in mm.

    curves : by a finder.   Raises ValueError if nothing is known.
    """
    return {choice: mean_error(curves(choice)) for choice in bar(choices, "choosing curves", unit="choice")}


def best(found: Mapping[Finder, float]) -> Finder:
    """The one with the least error; the first of equals."""
    return min(found, key=found.__getitem__)


def mean_error(pairs: Pairs) -> float:
    """Mean over images of the mean absolute difference of (found, true) curves where both are known."""
    away = [np.abs(found - true) for found, true in pairs]
    known = [one[np.isfinite(one)].mean() for one in away if np.isfinite(one).any()]
    if not known:
        raise ValueError("no column of an image has a known boundary")
    return float(np.mean(known))


def _between(values: Floats, at: Ints, wanted: Ints) -> Floats:
    """(H, len(wanted)) of (H, len(at)), on straight lines; at : ascending."""
    right = np.clip(np.searchsorted(at, wanted), 1, max(len(at) - 1, 1)) if len(at) > 1 else np.zeros(len(wanted), int)
    left = np.maximum(right - 1, 0)
    width = np.maximum(at[right] - at[left], 1)
    part = np.where(right > left, (wanted - at[left]) / width, 0.0)
    return np.asarray(values[:, left] * (1 - part) + values[:, right] * part)
