"""Candidates of all frames with what the masks say of them, and the counts of a data set at each stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pycaffe_ext import detector
from pycaffe_ext.applications.packed import read_columns
from pycaffe_ext.applications.results import LESION_KINDS
from pycaffe_ext.data import frames as frame_files
from pycaffe_ext.data.frames import Frame
from pycaffe_ext.data.pack import Candidates
from pycaffe_ext.data.patches import VIEWS
from pycaffe_ext.data.threads import one_thread_each
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import write_csv

LABEL_KINDS = {"frame": str, "candidate": int, "lesion": int}  # lesion: number of the polyp that is hit, 0 = none


@dataclass(frozen=True)
class Cases:
    """n candidates, a row each, in the order of the frames.

    frames : those of the first split, then those of the next.   split : (frames,) str.   table : see Candidates.
    score : (n,) the detector's.   lesion : (n,) int, number of the polyp in the frame that holds the candidate's
    centre, 0 = none.   lesions : (frames,) int, polyps in each frame.
    """

    frames: list[Frame]
    split: np.ndarray
    table: Candidates
    score: np.ndarray
    lesion: np.ndarray
    lesions: np.ndarray

    @property
    def parts(self) -> dict[str, list[Frame]]:
        """Frames of each split."""
        ends = np.flatnonzero(np.r_[self.split[1:] != self.split[:-1], True]) + 1
        starts = np.r_[0, ends[:-1]]
        return {str(self.split[start]): self.frames[start:end] for start, end in zip(starts, ends, strict=True)}

    def of(self, split: str) -> np.ndarray:
        """Rows of the candidates in the frames of a split."""
        return np.flatnonzero(self.split[self.table.frame] == split)

    def names(self, rows: np.ndarray) -> tuple[tuple[str, int], ...]:
        """(frame, rank) of the candidates in `rows`."""
        pairs = zip(self.table.frame[rows].tolist(), self.table.number[rows].tolist(), strict=True)
        return tuple((self.frames[frame].name, number) for frame, number in pairs)


def label(parts: Mapping[str, Sequence[Frame]], found: Sequence[np.ndarray], folder: Path) -> Cases:
    """Hold candidates against the masks: positive if its centre lies inside the ground truth [S].

    parts : split -> frames.   found : candidates (m, 5) of each frame of all splits, in order.
    What the masks say is written to labels.csv and lesions.csv in `folder`, or read from there.
    """
    frames = [frame for part in parts.values() for frame in part]
    split = np.repeat(list(parts), [len(part) for part in parts.values()])
    if not (folder / "lesions.csv").exists():
        _write(frames, split, found, folder)
    lesions = read_columns(folder / "lesions.csv", LESION_KINDS)
    labels = read_columns(folder / "labels.csv", LABEL_KINDS)
    frame = np.repeat(np.arange(len(frames)), [len(boxes) for boxes in found])
    number = np.concatenate([np.arange(len(boxes)) for boxes in found])
    boxes = np.concatenate(found)
    known = np.array([frame.name for frame in frames])
    if not (
        np.array_equal(lesions["frame"], known)
        and np.array_equal(lesions["split"], split)
        and np.array_equal(labels["frame"], known[frame])
        and np.array_equal(labels["candidate"], number)
    ):
        raise UserError(
            f"{folder}: splits.csv, candidates.csv, labels.csv and lesions.csv do not belong together;"
            " remove the folder and run again"
        )
    table = Candidates(frame, number, boxes[:, :4], (labels["lesion"] > 0).astype(np.int32))
    return Cases(frames, split, table, boxes[:, 4], labels["lesion"], lesions["lesions"])


def _write(frames: Sequence[Frame], split: np.ndarray, found: Sequence[np.ndarray], folder: Path) -> None:
    """Write labels.csv and, last, lesions.csv; a mask is held only while its own candidates are looked at."""
    boxes_of = {frame.name: boxes for frame, boxes in zip(frames, found, strict=True)}

    def hold(frame: Frame) -> tuple[np.ndarray, int]:
        mask, count = detector.lesions(frame_files.read_mask(frame))
        return detector.lesion_of(boxes_of[frame.name], mask), count

    with one_thread_each():
        marked = frame_files.map_frames(hold, frames, "labelling")
    rows = ((f.name, n, hit) for f, (hits, _) in zip(frames, marked, strict=True) for n, hit in enumerate(hits))
    write_csv(folder / "labels.csv", tuple(LABEL_KINDS), rows)
    lesions = ((f.name, f.group, part, n) for f, part, (_, n) in zip(frames, split, marked, strict=True))
    write_csv(folder / "lesions.csv", tuple(LESION_KINDS), lesions)


def check(cases: Cases) -> None:
    """Raise UserError if a split has no candidate that hits a polyp, or none that misses."""
    for split in dict.fromkeys(cases.split.tolist()):
        labels = cases.table.label[cases.of(split)]
        hits, count = int(labels.sum()), len(labels)
        if not 0 < hits < count:
            frames = int((cases.split == split).sum())
            raise UserError(
                f"{split}: {hits} of {count} candidates in {frames} frames hit a polyp; both hits and misses are needed"
                ", to learn and to measure: add frames, or check that the masks show the polyps"
            )


def facts(cases: Cases, patches: np.ndarray) -> dict[str, Any]:
    """Counts at each stage: split -> count -> number, and under "sources" the same for each data set in the split.

    patches : (n,) int, how many patches of each candidate are packed.
    """
    source = np.array([frame.source for frame in cases.frames])
    found = {}
    for split in dict.fromkeys(cases.split.tolist()):
        own = cases.split == split
        found[split] = _counts(cases, own, patches)
        parts = np.unique(source[own]).tolist()
        found[split]["sources"] = {name: _counts(cases, own & (source == name), patches) for name in parts}
    return found


def _counts(cases: Cases, inside: np.ndarray, patches: np.ndarray) -> dict[str, Any]:
    """Of the frames that are `inside`, (frames,) bool; `covered` is the share of polyps that some candidate hits."""
    own = inside[cases.table.frame]
    polyps, frames = int(cases.lesions[inside].sum()), int(inside.sum())
    with_polyps, labels = int((cases.lesions[inside] > 0).sum()), cases.table.label[own]
    negative, positive = (int(count) for count in np.bincount(labels, minlength=2))
    packed = np.bincount(labels, weights=patches[own], minlength=2).astype(int)
    hits = own & (cases.lesion > 0)
    covered = len(set(zip(cases.table.frame[hits].tolist(), cases.lesion[hits].tolist(), strict=True)))
    return {
        "frames": frames,
        "groups": len({cases.frames[i].group for i in np.flatnonzero(inside)}),
        "frames_with_polyps": with_polyps,
        "frames_without_polyps": frames - with_polyps,
        "polyps": polyps,
        "candidates": positive + negative,
        "positive_candidates": positive,
        "negative_candidates": negative,
        "candidates_per_frame": (positive + negative) / frames,
        "covered": covered / polyps if polyps else None,
        "patches_before_balancing": {"positive": positive * len(VIEWS), "negative": negative * len(VIEWS)},
        "patches": {"positive": int(packed[1]), "negative": int(packed[0])},
    }
