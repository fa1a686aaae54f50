"""Which frames and candidates a report shows: chosen by rule, from the scores of one net on the test frames."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pycaffe_ext import detector
from pycaffe_ext.applications import packed
from pycaffe_ext.applications.results import LESION_KINDS
from pycaffe_ext.data.frames import Frame, read_frame, read_mask
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import reading
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
        *own.names[row], bool(own.cases.lesion[row]), float(own.cases.score[row]), float(own.baseline.score[row])
    )


def shown_frames(run: RunFiles, count: int = SCENES, bare: int = BARE) -> list[str]:
    """Names of test frames spread evenly over the test set, `bare` of them without polyps if there are such."""
    table = packed.read_columns(run.packed.folder / "lesions.csv", LESION_KINDS)
    test = table["split"] == "test"
    names, lesions = np.array(table["frame"])[test], table["lesions"][test]
    without = _spread(np.flatnonzero(lesions == 0), bare)
    return names[[*_spread(np.flatnonzero(lesions), count - len(without)), *without]].tolist()


def _spread(rows: np.ndarray, count: int) -> list[int]:
    """`count` of the rows, or all, evenly spaced: the middle of each part."""
    count = min(count, len(rows))
    return [int(rows[(2 * i + 1) * len(rows) // (2 * count)]) for i in range(count)]


class Pictures:
    """Frames, masks and boxes of a run's test candidates.

    frames : name -> Frame, of the data set that was packed; those that are shown are held against what was packed.
    """

    def __init__(self, run: RunFiles, frames: Mapping[str, Frame], names: Collection[str]) -> None:
        self.frames = frames
        self.boxes = read_boxes(run.packed.folder / "candidates.csv", names)
        hits: dict[str, dict[int, bool]] = {name: {} for name in names}
        for (name, rank), lesion in zip(run.evaluation.names, run.evaluation.cases.lesion, strict=True):
            if name in hits:
                hits[name][rank] = bool(lesion)
        for name, own in hits.items():
            self._check(run.packed.folder, name, own)

    def _check(self, folder: Path, name: str, hits: Mapping[int, bool]) -> None:
        """The masks must say of the boxes what they said when these were packed."""
        if name not in self.frames:
            raise UserError(f"{folder}: frame {name} is no longer in the data set; the report shows it")
        boxes = np.array([self.boxes[name, rank] for rank in hits], np.float32).reshape(-1, 4)
        if detector.inside(boxes, self.mask(name)).tolist() != list(hits.values()):
            raise UserError(f"{self.frames[name].mask}: the mask has changed since {folder} was packed; run again")

    def image(self, name: str) -> np.ndarray:
        return read_frame(self.frames[name])

    def mask(self, name: str) -> np.ndarray:
        return read_mask(self.frames[name])

    def scene(self, run: RunFiles, name: str, count: int = SHOWN) -> Scene:
        """A frame with its `count` candidates that the net scores highest."""
        own = run.evaluation
        rows = np.array([i for i, (frame, _) in enumerate(own.names) if frame == name], int)
        rows = rows[np.argsort(-own.cases.score[rows], kind="stable")]
        best = rows[:count]
        boxes = np.array([self.boxes[own.names[i]] for i in best]).reshape(-1, 4)
        title = f"{_short(name)}\nbest {len(best)} of {len(rows)} candidates"
        return Scene(self.image(name), self.mask(name), boxes, own.cases.score[best], own.cases.lesion[best] > 0, title)

    def close_up(self, one: Example) -> CloseUp:
        box = np.array(self.boxes[one.frame, one.candidate])
        return CloseUp(self.image(one.frame), self.mask(one.frame), box, one.hit, f"{one.score:.3f}")


def read_boxes(table: Path, names: Collection[str]) -> dict[tuple[str, int], tuple[float, ...]]:
    """(frame, candidate) -> x, y, width, height in pixels, of the frames in `names`; UserError if it is no such table.

    Read line by line: a data set may have a million candidates.
    """
    try:
        with reading(table) as file:
            return dict(_boxes(csv.DictReader(file), set(names)))
    except (OSError, KeyError, TypeError, ValueError):
        columns = ", ".join(detector.KINDS)
        raise UserError(f"{table} is missing or lacks the columns {columns}; remove the folder and run again") from None


def _boxes(rows: csv.DictReader, names: Collection[str]) -> Iterator[tuple[tuple[str, int], tuple[float, ...]]]:
    for row in rows:
        if row["frame"] in names:
            yield (row["frame"], int(row["candidate"])), tuple(float(row[key]) for key in "xywh")


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
