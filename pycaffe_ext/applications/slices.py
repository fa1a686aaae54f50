"""Samples scored slice by slice: however many patches there are, one slice at a time is on the disk and in memory."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pycaffe_ext.applications.packed import TestSlices
from pycaffe_ext.data.pack import database_path, index_path
from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.metrics.base import PatchScores
from pycaffe_ext.files import digest, writing
from pycaffe_ext.progress import bar

Score = Callable[[int], tuple[np.ndarray, np.ndarray]]


def score_slices(tests: TestSlices, data: Path, run: Path, weights: Path, score: Score) -> PatchScores:
    """Scores of all patches, ordered by sample, then view: in whatever slices, the same sums come out.

    data : folder of the packed data, where a single slice of the test lies for good; others are packed in the folder
    `run`, one after the other, and removed.   score : count -> (probabilities (count, classes), labels (count,)) of
    the SPLIT_lmdb that lies there.   What a slice came to is kept in `run`/SPLIT_scores, so that an interrupted run
    goes on with the next one; it counts as long as the `weights` are the same.
    """
    split, mark, count = tests.split, digest(weights), len(tests.selections)
    store, folder = store_of(run, split), data if count == 1 and split == "test" else run
    for number in bar(range(count), f"{split} slices", unit="slice", progress=count > 1):
        if _load(store, number, mark) is None:
            tests.pack(number, folder)
            _save(store, number, mark, _scored(index_path(folder, split), tests, number, score))
            if folder == run:
                shutil.rmtree(database_path(run, split))
                index_path(run, split).unlink()
    parts = [_load(store, number, mark) for number in range(count)]
    return PatchScores(*(np.concatenate([getattr(part, name) for part in parts]) for name in _FIELDS))


def forget(run: Path) -> None:
    """Remove what was kept of the slices."""
    for split in ("test", "val"):
        shutil.rmtree(store_of(run, split), ignore_errors=True)


def store_of(run: Path, split: str) -> Path:
    """Folder of a split's finished slices, in the run's."""
    return run / f"{split}_scores"


_FIELDS = ("sample", "label", "probability")


def _scored(index: Path, tests: TestSlices, number: int, score: Score) -> PatchScores:
    """One slice; UserError if Caffe read other labels than were packed."""
    selection, place = tests.selections[number], tests.order(number)
    probability, labels = score(len(selection))
    if not np.array_equal(labels[place], selection.label):
        raise UserError(f"{index}: Caffe read other labels than it lists; remove {index.parent} and run again")
    return PatchScores(selection.sample.astype(np.int32), selection.label.astype(np.int8), probability[place])


def _save(store: Path, number: int, mark: str, part: PatchScores) -> None:
    with writing(_path(store, number), "wb") as file:
        np.savez(file, weights=mark, **{name: getattr(part, name) for name in _FIELDS})


def _load(store: Path, number: int, mark: str) -> PatchScores | None:
    """A finished slice; None if it is not there or of other weights."""
    path = _path(store, number)
    if not path.exists():
        return None
    with np.load(path) as kept:
        return PatchScores(*(kept[name] for name in _FIELDS)) if str(kept["weights"]) == mark else None


def _path(store: Path, number: int) -> Path:
    return store / f"{number:05d}.npz"
