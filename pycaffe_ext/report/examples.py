"""Which frames and candidates a report shows: chosen by rule, from the scores of one net on the test frames."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pycaffe_ext import detector
from pycaffe_ext.data.frames import Frame, read_frame, read_mask
from pycaffe_ext.errors import UserError
from pycaffe_ext.report.montage import CloseUp, Scene
from pycaffe_ext.runs.finished import RunFiles

SCENES, BARE = 6, 2  # frames that are shown, and how many of them without a polyp
SHOWN = 6  # candidates in a frame, or of a kind
KINDS = {
    "hits": "hits that score highest",
    "missed": "hits that score lowest",
    "false": "false positives that score highest",
}


@dataclass(frozen=True)
class Example:
    """A test candidate: its frame and rank there, whether it hits a polyp, the net's and the detector's scores."""

    frame: str
    candidate: int
    hit: bool
    score: float
    detector: float


def extremes(run: RunFiles, count: int = SHOWN) -> dict[str, list[Example]]:
    """KINDS -> the `count` most extreme test candidates by the net's score, at most one of each group.

    One of each video: its frames are alike, and one polyp would fill the page.
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
    """Names of test frames spread evenly over the test set, `bare` of them without polyps if there are such."""
    names, lesions = np.array(run.test.items), run.test.samples.targets
    without = _spread(np.flatnonzero(lesions == 0), bare)
    return names[[*_spread(np.flatnonzero(lesions), count - len(without)), *without]].tolist()


def _spread(rows: np.ndarray, count: int) -> list[int]:
    """`count` of the rows, or all, evenly spaced: the middle of each part."""
    count = min(count, len(rows))
    return [int(rows[(2 * i + 1) * len(rows) // (2 * count)]) for i in range(count)]


class Pictures:
    """Frames, masks and boxes of a run's test candidates.

    frames : name -> Frame, of the data set that was packed; those that are shown are compared with what was packed.
    """

    def __init__(self, run: RunFiles, frames: Mapping[str, Frame], names: Collection[str]) -> None:
        self.frames, self.run = frames, run
        place = {name: i for i, name in enumerate(run.test.items)}
        self.rows = {name: np.flatnonzero(run.test.samples.item == place[name]) for name in names}
        for name in names:
            self._check(name)

    def _check(self, name: str) -> None:
        """The masks must say of the boxes what they said when these were packed."""
        folder, samples = self.run.packed.found, self.run.test.samples
        if name not in self.frames:
            raise UserError(f"{folder}: frame {name} is no longer in the data set; the report shows it")
        rows = self.rows[name]
        if not np.array_equal(detector.inside(samples.place[rows], self.mask(name)), samples.target[rows] > 0):
            raise UserError(f"{self.frames[name].mask}: the mask has changed since {folder} was packed; run again")

    def image(self, name: str) -> np.ndarray:
        return read_frame(self.frames[name])

    def mask(self, name: str) -> np.ndarray:
        return read_mask(self.frames[name])

    def scene(self, run: RunFiles, name: str, count: int = SHOWN) -> Scene:
        """A frame with its `count` candidates that the net scores highest."""
        own = run.evaluation
        rows = self.rows[name]
        rows = rows[np.argsort(-own.cases.score[rows], kind="stable")]
        best = rows[:count]
        boxes = self.run.test.samples.place[best]
        title = f"{_short(name)}\nbest {len(best)} of {len(rows)} candidates"
        return Scene(self.image(name), self.mask(name), boxes, own.cases.score[best], own.cases.lesion[best] > 0, title)

    def close_up(self, one: Example) -> CloseUp:
        box = self.run.test.samples.place[self.rows[one.frame][one.candidate]]
        return CloseUp(self.image(one.frame), self.mask(one.frame), box, one.hit, f"{one.score:.3f}")


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
