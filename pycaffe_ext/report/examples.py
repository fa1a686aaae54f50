"""Which items and candidates a report shows: chosen by rule, from the scores of one net on the test items."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pycaffe_ext.applications.detecting import Detecting
from pycaffe_ext.data.items import Item
from pycaffe_ext.errors import UserError
from pycaffe_ext.report.montage import CloseUp, Scene
from pycaffe_ext.runs.finished import RunFiles

SCENES, BARE = 6, 2  # items that are shown, and how many of them without a lesion
SHOWN = 6  # candidates in an item, or of a kind
KINDS = {
    "hits": "hits that score highest",
    "missed": "hits that score lowest",
    "false": "false positives that score highest",
}


@dataclass(frozen=True)
class Example:
    """A test candidate: its item and rank there, whether it hits a lesion, the net's and the detector's scores."""

    frame: str
    candidate: int
    hit: bool
    score: float
    detector: float


def extremes(run: RunFiles, count: int = SHOWN) -> dict[str, list[Example]]:
    """KINDS -> the `count` most extreme test candidates by the net's score, at most one of each group.

    One of each group: frames of a video are alike, and one lesion would fill the page.
    """
    own = run.evaluation
    score, hit = own.cases.score, own.cases.lesion > 0
    chosen = {
        "hits": _one_of_each_group(np.flatnonzero(hit), -score, own.candidate_group, count),
        "missed": _one_of_each_group(np.flatnonzero(hit), score, own.candidate_group, count),
        "false": _one_of_each_group(np.flatnonzero(~hit), -score, own.candidate_group, count),
    }
    return {kind: [_example(run, i) for i in rows] for kind, rows in chosen.items()}


def _one_of_each_group(rows: np.ndarray, key: np.ndarray, group: np.ndarray, count: int) -> list[int]:
    """The `count` rows with the lowest keys, the best of each group; in that order."""
    ordered = rows[np.argsort(key[rows], kind="stable")]
    first = np.sort(np.unique(group[ordered], return_index=True)[1])
    return ordered[first][:count].tolist()


def _example(run: RunFiles, row: int) -> Example:
    own = run.evaluation
    return Example(
        *own.name(row), bool(own.cases.lesion[row]), float(own.cases.score[row]), float(own.baseline.score[row])
    )


def shown_frames(run: RunFiles, count: int = SCENES, bare: int = BARE) -> list[str]:
    """Names of test items spread evenly over the test set, `bare` of them without lesions if there are such."""
    names, lesions = np.array(run.test.items), run.test.samples.targets
    without = _spread(np.flatnonzero(lesions == 0), bare)
    return names[[*_spread(np.flatnonzero(lesions), count - len(without)), *without]].tolist()


def _spread(rows: np.ndarray, count: int) -> list[int]:
    """`count` of the rows, or all, evenly spaced: the middle of each part."""
    count = min(count, len(rows))
    return [int(rows[(2 * i + 1) * len(rows) // (2 * count)]) for i in range(count)]


class Pictures:
    """Items and places of a run's test candidates, as pictures.

    items : name -> item, of the data set that was packed; those that are shown are compared with what was packed.
    """

    def __init__(self, run: RunFiles, items: Mapping[str, Item], names: Collection[str]) -> None:
        self.items, self.run = items, run
        self.application: Detecting[Any] = run.application
        place = {name: i for i, name in enumerate(run.test.items)}
        self.rows = {name: np.flatnonzero(run.test.samples.item == place[name]) for name in names}
        for name in names:
            self._check(name)

    def _check(self, name: str) -> None:
        """The ground truth must say of the places what it said when these were packed."""
        folder, samples = self.run.packed.found, self.run.test.samples
        word = self.application.words[0]
        if name not in self.items:
            raise UserError(f"{folder}: {word} {name} is no longer in the data set; the report shows it")
        rows = self.rows[name]
        if not np.array_equal(self.application.hits(self.items[name], samples.place[rows]), samples.target[rows] > 0):
            raise UserError(f"the ground truth of {word} {name} has changed since {folder} was packed; run again")

    def scene(self, run: RunFiles, name: str, count: int = SHOWN) -> Scene:
        """An item and the `count` candidates that the net scores highest, as far as the best one's sight has them."""
        own = run.evaluation
        rows = self.rows[name]
        rows = rows[np.argsort(-own.cases.score[rows], kind="stable")]
        best = rows[:count]
        sight = self.application.sight(self.items[name], self.run.test.samples.place[best])
        seen = best[sight.shown]
        title = f"{_short(name)}\nbest {len(best)} of {len(rows)} candidates"
        if len(seen) < len(best):
            title += f", {len(seen)} in this slice"
        scores = own.cases.score[seen], own.cases.lesion[seen] > 0, np.flatnonzero(sight.shown) + 1
        return Scene(sight.image, sight.mask, sight.boxes[sight.shown], *scores, title)

    def place(self, one: Example) -> np.ndarray:
        """(1, k) where a candidate lies."""
        return self.run.test.samples.place[self.rows[one.frame][[one.candidate]]]

    def close_up(self, one: Example) -> CloseUp:
        sight = self.application.sight(self.items[one.frame], self.place(one))
        return CloseUp(sight.image, sight.mask, sight.boxes[0], one.hit, f"{one.score:.3f}")


def example_rows(found: Mapping[str, Sequence[Example]]) -> list[tuple]:
    """Rows of extreme_candidates.csv."""
    return [
        (KINDS[kind], i + 1, one.frame, one.candidate, repr(one.score), repr(one.detector))
        for kind, examples in found.items()
        for i, one in enumerate(examples)
    ]


EXAMPLE_HEADER = ("kind", "rank", "frame", "candidate", "score", "detector")


def _short(name: str, most: int = 24) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
