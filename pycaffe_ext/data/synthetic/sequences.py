"""Sequences of frames of which half are degraded, in runs as in real videos: semi-synthetic data for `frames`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data.images import Image
from pycaffe_ext.data.names import identifier
from pycaffe_ext.data.synthetic.degrade import KINDS, LIMIT, degrade
from pycaffe_ext.data.tables import read_table
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import write_csv, writing_folder
from pycaffe_ext.pictures.shown import shown
from pycaffe_ext.processes import map_processes

HEADER = ("frame", "label", "group", "degradation", "severity")
LABELS = ("uninformative", "informative")
TABLE = "frames.csv"
LONGEST = 12  # frames of a run
TRACES, BAD = (0.0, LIMIT - 0.1), (LIMIT + 0.1, 1.0)  # severities of informative and of uninformative frames


@dataclass(frozen=True)
class Shot:
    """A sharp frame.  name : unique.   path : its picture.   group : its video; its shots are given in their order.
    keep_damaged : take what is left of a damaged JPEG."""

    name: str
    path: Path
    group: str
    keep_damaged: bool = False


@dataclass(frozen=True)
class Fate:
    """What happens to a frame: one of KINDS at a severity of 0..1, or "" for none."""

    kind: str = ""
    severity: float = 0.0

    @property
    def label(self) -> int:
        """As LABELS."""
        return int(not self.kind or self.severity < LIMIT)


def fates(groups: Sequence[str], rng: np.random.Generator) -> list[Fate]:
    """What happens to each frame; frames of a group, equal neighbours in `groups`, are in the order of their video.

    Half of the frames of each group are made uninformative, in runs of one kind whose severity swells and fades; a
    group with an odd number of frames, also a single one, gets the larger half at random. So every group of two or more
    has both. Of the others half have a trace of something, as real good frames do.
    """
    starts = np.flatnonzero(np.r_[True, np.array(groups[1:], str) != np.array(groups[:-1], str)])
    ends = np.r_[starts[1:], len(groups)]
    return [fate for n in (ends - starts).tolist() for fate in _video(n, rng)]


def write(folder: Path, shots: Sequence[Shot], seed: int, workers: int | None = None, progress: bool = True) -> None:
    """Write the frames, degraded as `fates` says, and frames.csv, whole or not at all; the same seed, the same bytes.

    FOLDER/NAME.png; frames.csv has the columns of HEADER.   Raises UserError for a frame that can't be read, and if
    there are fewer than two.
    """
    if len(shots) < 2:
        raise UserError(f"{len(shots)} frames to degrade; at least 2 are needed, one of each class")
    found = fates([shot.group for shot in shots], np.random.default_rng(seed))
    with writing_folder(folder) as part:
        jobs = [(shot, fate, number) for number, (shot, fate) in enumerate(zip(shots, found, strict=True))]
        work = partial(_write_one, part, seed)
        list(map_processes(work, jobs, "semi-synthetic frames", workers, progress, unit="frame", chunk=8))
        rows = [(s.name, LABELS[f.label], s.group, f.kind, f"{f.severity:.3f}") for s, f, _ in jobs]
        write_csv(part / TABLE, HEADER, rows)


def read(folder: Path, shots: Sequence[Shot], source: str) -> list[Image]:
    """The frames that `write` left in `folder` for the same `shots`, sorted by name; `source` names the data set."""
    labels = {row["frame"]: LABELS.index(row["label"]) for row in read_table(folder / TABLE, HEADER)}
    images = [
        Image(
            shot.name,
            shot.group,
            source,
            folder / f"{shot.name}.png",
            label,
            LABELS[label],
            keep_damaged=shot.keep_damaged,
            pristine=shot.path,
        )
        for shot in shots
        for label in (labels[identifier(shot.name)],)
    ]
    return sorted(images, key=lambda image: image.name)


def _video(count: int, rng: np.random.Generator) -> list[Fate]:
    bad = count // 2 + (int(rng.integers(2)) if count % 2 else 0)
    runs = _parts(bad, rng)
    gaps = _gaps(count - bad, len(runs), rng)
    found = _run(gaps[0], TRACES, rng)
    for run, gap in zip(runs, gaps[1:], strict=True):
        found += _run(run, BAD, rng) + _run(gap, TRACES, rng)
    return found


def _parts(total: int, rng: np.random.Generator) -> list[int]:
    """Lengths of runs that together have `total` frames."""
    parts = []
    while total:
        parts.append(min(int(rng.integers(2, LONGEST + 1)), total))
        total -= parts[-1]
    return parts


def _gaps(total: int, runs: int, rng: np.random.Generator) -> list[int]:
    """Sharp frames before, between and after the runs."""
    cuts = np.sort(rng.integers(0, total + 1, runs))
    return np.diff(np.r_[0, cuts, total]).tolist() if runs else [total]


def _run(length: int, span: tuple[float, float], rng: np.random.Generator) -> list[Fate]:
    """One kind of a severity in `span`, the most severe in the middle; traces are left out of every other run."""
    if span == TRACES and rng.uniform() < 0.5:
        return [Fate()] * length
    kind = str(rng.choice(list(KINDS)))
    low, high = np.sort(rng.uniform(*span, 2))
    swell = np.sin(np.pi * (np.arange(length) + 0.5) / length)
    return [Fate(kind, float(low + (high - low) * s)) for s in swell]


def _write_one(folder: Path, seed: int, job: tuple[Shot, Fate, int]) -> None:
    shot, fate, number = job
    image: NDArray[np.uint8] = shown(shot.path, shot.keep_damaged)
    rng = np.random.default_rng([seed, number])
    picture = degrade(image, fate.kind, fate.severity, rng)
    path = folder / f"{shot.name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 3])[1].tobytes())
