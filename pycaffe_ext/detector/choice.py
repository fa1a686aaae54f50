"""Whether training is worth it: the trained and the untrained detector compared on training frames they did not see."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from pycaffe_ext.data.frames import Frame, read_frame, read_mask
from pycaffe_ext.detector.candidates import NONE, detect_each
from pycaffe_ext.detector.model import Choice, Model
from pycaffe_ext.detector.truth import lesion_of, lesions
from pycaffe_ext.processes import map_processes


class Compared(NamedTuple):
    """A frame's candidates from a trained and from the untrained model, how many of its `polyps` each of them hits."""

    candidates: tuple[np.ndarray, np.ndarray]
    hits: tuple[int, int]
    polyps: int


NOTHING = Compared((NONE, NONE), (0, 0), 0)


def compare(
    frames: Sequence[Frame], models: tuple[Model, Model], workers: int | None, progress: bool
) -> list[Compared]:
    """The frames, in their order, searched by both models, by `workers` processes (default: one per core)."""
    work = partial(_compare, models=models)
    return list(map_processes(work, frames, "candidates", workers, progress))


def choose(compared: Sequence[Compared]) -> Choice:
    """The choice that these frames make; none make it for training."""
    hits = np.array([frame.hits for frame in compared], np.int64).reshape(-1, 2).sum(axis=0)
    return Choice(int(hits[0]), int(hits[1]), sum(frame.polyps for frame in compared))


def _compare(frame: Frame, models: tuple[Model, Model]) -> Compared:
    trained, plain = detect_each(read_frame(frame), models)
    labels, count = lesions(read_mask(frame))
    hits = [len(np.setdiff1d(lesion_of(boxes, labels), 0)) for boxes in (trained, plain)]
    return Compared((trained, plain), (hits[0], hits[1]), count)
