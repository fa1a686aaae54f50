"""What a detector reaches: the share of polyps hit against candidates per frame, and against false positives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pycaffe_ext.data.frames import Frame, map_frames, read_mask
from pycaffe_ext.detector.truth import lesion_of, lesions
from pycaffe_ext.evaluation import froc
from pycaffe_ext.evaluation.intervals import exact_intervals

MOST = 20  # candidates of a frame


class Point(NamedTuple):
    """`hits` of `polyps` are hit by some candidate; low, high: exact binomial 95 % interval of their share."""

    detector: str
    part: str
    sweep: str  # "number": the first candidates of every frame; "threshold": those whose score reaches it
    at: float  # that number or that score
    candidates_per_frame: float
    hits: int
    polyps: int
    share: float
    low: float
    high: float


def judge(frames: Sequence[Frame], found: Sequence[np.ndarray], progress: bool = True) -> froc.Cases:
    """Candidates (n, 5) of each frame, best first, compared with its mask."""

    def held(job: tuple[Frame, np.ndarray]) -> tuple[np.ndarray, int]:
        labels, count = lesions(read_mask(job[0]))
        return lesion_of(job[1], labels), count

    jobs = list(zip(frames, found, strict=True))
    hits, counts = zip(*map_frames(held, jobs, "judging", progress), strict=True)
    frame = np.repeat(np.arange(len(frames)), [len(boxes) for boxes in found])
    return froc.Cases(frame, np.concatenate(found)[:, 4], np.concatenate(hits), np.array(counts))


def points(detector: str, part: str, cases: froc.Cases, most: int = MOST) -> list[Point]:
    """The curve of a part by number, 1 to `most` candidates of a frame, and by threshold, where it rises.

    cases: candidates best first within a frame, at least `most` of each frame if it has as many.
    """
    by_number = [(k, *_of_first(cases, k)) for k in range(1, most + 1)]
    curve = froc.curve(cases)
    rises = np.flatnonzero(np.diff(curve.lesion_hits)) + 1
    reached = np.searchsorted(np.sort(-cases.score), -curve.threshold[rises], side="right") / curve.frames
    by_threshold = zip(curve.threshold[rises], reached, curve.lesion_hits[rises], strict=True)
    rows = [("number", *row) for row in by_number] + [("threshold", *row) for row in by_threshold]
    polyps = curve.lesions
    low, high = exact_intervals(np.array([hits for *_, hits in rows]), polyps)
    return [
        Point(detector, part, sweep, float(at), float(rate), int(hits), polyps, hits / polyps, float(a), float(b))
        for (sweep, at, rate, hits), a, b in zip(rows, low, high, strict=True)
    ]


def _of_first(cases: froc.Cases, number: int) -> tuple[float, int]:
    """Candidates per frame and polyps hit, of the first `number` candidates of every frame."""
    start = np.searchsorted(cases.frame, np.arange(cases.lesions.size))
    first = np.arange(cases.frame.size) - start[cases.frame] < number
    hit = first & (cases.lesion > 0)
    return np.count_nonzero(first) / cases.lesions.size, len(set(zip(cases.frame[hit], cases.lesion[hit], strict=True)))
