"""Whether training is worth it: the trained and the untrained detector compared on training frames they did not see."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from pycaffe_ext.data.frames import Frame, read_frame, read_mask
from pycaffe_ext.detector.candidates import NONE, detect_each
from pycaffe_ext.detector.model import FIRST, Choice, Model
from pycaffe_ext.detector.truth import lesion_of, lesions
from pycaffe_ext.processes import map_processes


class Compared(NamedTuple):
    """A frame's candidates from a trained and from the untrained model, and the rank at which each hits each polyp.

    rank : (2, polyps) int, 0 for the first candidate; FIRST or more where none of the first FIRST does.
    """

    candidates: tuple[np.ndarray, np.ndarray]
    rank: np.ndarray


NOTHING = Compared((NONE, NONE), np.zeros((2, 0), np.int64))


def compare(
    frames: Sequence[Frame], models: tuple[Model, Model], workers: int | None, progress: bool
) -> list[Compared]:
    """The frames, in their order, searched by both models, by `workers` processes (default: one per core)."""
    work = partial(_compare, models=models)
    return list(map_processes(work, frames, "candidates", workers, progress))


def choose(compared: Sequence[Compared]) -> Choice:
    """The choice that these frames make; none make it for training."""
    rank = np.concatenate([NOTHING.rank, *(frame.rank for frame in compared)], axis=1)
    hit = rank < FIRST
    early = (FIRST - np.minimum(rank, FIRST)).sum(axis=1)
    with_training, without = hit.sum(axis=1).tolist()
    return Choice(with_training, without, rank.shape[1], int((hit[0] != hit[1]).sum()), *early.tolist())


def _compare(frame: Frame, models: tuple[Model, Model]) -> Compared:
    trained, plain = detect_each(read_frame(frame), models)
    labels, count = lesions(read_mask(frame))
    return Compared((trained, plain), np.stack([_ranks(lesion_of(boxes, labels), count) for boxes in (trained, plain)]))


def _ranks(hits: np.ndarray, count: int) -> np.ndarray:
    """The first place of each lesion, 1 to `count`, among the lesions that the candidates hit, (count,); else FIRST."""
    return np.array([next(iter(np.flatnonzero(hits == lesion)), FIRST) for lesion in range(1, count + 1)], np.int64)
