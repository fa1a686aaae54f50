"""The test patches, scored slice by slice: however many there are, one slice at a time is on the disk and in memory."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pycaffe_ext.applications.packed import TestSet
from pycaffe_ext.data.pack import database_path, index_path, read_index
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import digest, writing
from pycaffe_ext.progress import bar

STORE = "test_scores"  # folder of the finished slices, in the run's

Score = Callable[[int], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class PatchScores:
    """n scored patches.  candidate : (n,) int32, place in TestSet.names.   label : (n,) int8, 1 = polyp.
    probability : (n,) float64, of being positive."""

    candidate: np.ndarray
    label: np.ndarray
    probability: np.ndarray


def score_slices(tests: TestSet, data: Path, run: Path, weights: Path, score: Score) -> PatchScores:
    """Scores of all test patches, ordered by candidate, then view: in whatever slices, the same sums come out.

    data : folder of the packed data, where a single slice lies for good; several are packed in the folder `run`, one
    after the other, and removed.   score : count -> (positive probability (count,), labels (count,)) of the test_lmdb
    that lies there.   What a slice came to is kept in `run`/test_scores, so that an interrupted run goes on with the
    next one; it counts as long as the `weights` are the same.
    """
    store, mark = run / STORE, digest(weights)
    place = {name: i for i, name in enumerate(tests.names)}
    folder = data if tests.slices == 1 else run
    for number in bar(range(tests.slices), "test slices", unit="slice", progress=tests.slices > 1):
        if _load(store, number, mark) is None:
            tests.pack(number, folder)
            _save(store, number, mark, _scored(index_path(folder, "test"), place, score))
            if folder == run:
                shutil.rmtree(database_path(run, "test"))
                index_path(run, "test").unlink()
    parts = [_load(store, number, mark) for number in range(tests.slices)]
    return PatchScores(*(np.concatenate([getattr(part, name) for part in parts]) for name in _FIELDS))


def forget(run: Path) -> None:
    """Remove what was kept of the slices."""
    shutil.rmtree(run / STORE, ignore_errors=True)


_FIELDS = ("candidate", "label", "probability")


def _scored(index: Path, place: dict[tuple[str, int], int], score: Score) -> PatchScores:
    """One slice; UserError if what Caffe says of the labels is not what the index says."""
    rows = [
        (place[row["frame"], int(row["candidate"])], int(row["label"]), int(row["key"].rpartition("_")[2]))
        for row in read_index(index)
    ]
    candidate, label, view = np.array(rows).T
    probability, found = score(len(rows))
    if not np.array_equal(found, label):
        raise UserError(f"{index}: Caffe read other labels than it lists; remove {index.parent} and run again")
    order = np.lexsort((view, candidate))
    return PatchScores(candidate[order].astype(np.int32), label[order].astype(np.int8), probability[order])


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
