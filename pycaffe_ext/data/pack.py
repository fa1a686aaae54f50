"""Patches into Caffe's LMDB, with the index that says what each of them is.

FOLDER/SPLIT_lmdb/ has data.mdb and lock.mdb as Caffe's own tools write them; FOLDER/patches_SPLIT.csv has a line for
each key, in key order. Caffe's cursor never shuffles, so the keys count through a random order; the pixels are cut
frame by frame and put under their keys, so that no picture is read more often than its patches need.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import lmdb
import numpy as np

from pycaffe_ext.data.balance import Selection
from pycaffe_ext.data.frames import Frame, read_frame
from pycaffe_ext.data.patches import SIZE, VIEWS, cut
from pycaffe_ext.data.threads import in_order, one_thread_each
from pycaffe_ext.errors import UserError, known
from pycaffe_ext.files import reading, write_csv, writing_folder
from pycaffe_ext.progress import bar
from pycaffe_ext.records import ENCODINGS
from pycaffe_ext.records.datum import QUALITY, to_bytes
from pycaffe_ext.sizes import check_space

HEADER = ("split", "key", "frame", "group", "candidate", "scale", "dx", "dy", "orientation", "label")
BATCH = 256  # patches of one frame cut at a time: 40 MB of raw pixels
PAGE = 4096
REMEDY = ", lower PATCHES=, or choose another folder with RUNS="
LONGEST_KEY = 511  # LMDB's limit, in bytes


@dataclass(frozen=True)
class Candidates:
    """n candidates of a data set, a column each; a Selection's `candidate` counts these rows.

    frame : (n,) int, index into the list of frames.   number : (n,) int, rank within the frame, 0 is the best.
    box : (n, 4) float32, x, y, width, height in pixels of the frame.   label : (n,) int, 1 = polyp.
    """

    frame: np.ndarray
    number: np.ndarray
    box: np.ndarray
    label: np.ndarray

    def __len__(self) -> int:
        return len(self.frame)


def database_path(folder: Path, split: str) -> Path:
    return folder / f"{split}_lmdb"


def index_path(folder: Path, split: str) -> Path:
    return folder / f"patches_{split}.csv"


def pack(
    frames: Sequence[Frame],
    candidates: Candidates,
    selection: Selection,
    folder: str | Path,
    split: str,
    *,
    encoding: str = "raw",
    quality: int = QUALITY,
    size: int = SIZE,
    seed: int = 0,
    workers: int | None = None,
    progress: bool = True,
) -> tuple[Path, Path]:
    """Cut the selected patches and write SPLIT_lmdb/ and patches_SPLIT.csv in `folder`; returns both paths.

    The order is shuffled with `seed`; equal arguments give equal bytes of data.mdb and of the index, whatever
    `workers` (threads; default: one per core) is. Memory: about 40 MB (raw) per worker, plus some 60 bytes per patch.
    Both are replaced if they exist. Raises UserError if nothing is selected, an image is missing or cut off, a box
    is degenerate (the frame is named), or the disk is full; no half-written database is left then.
    """
    known(encoding, ENCODINGS, "encoding")
    if not len(selection):
        raise UserError(f"no patch selected for {split}: nothing to pack")
    folder = Path(folder)
    place = np.random.default_rng(seed).permutation(len(selection))  # of each selected patch, in the order of keys
    keys = _Keys(frames, candidates, selection, place)

    def cut_batch(rows: np.ndarray) -> list[tuple[bytes, bytes]]:
        return [
            (os.fsencode(keys(row)), to_bytes(patch, selection.label[row], encoding, quality))
            for row, patch in zip(rows, cut_rows(frames, candidates, selection, rows, size), strict=True)
        ]

    database, index = database_path(folder, split), index_path(folder, split)
    check_room(folder, len(selection), encoding, size)
    with writing_folder(database) as part:
        workers = workers or os.cpu_count() or 1
        shown = bar(title=f"packing {split}", total=len(selection), unit="patch", progress=progress)
        with one_thread_each(), shown:
            batches = in_order(cut_batch, _batches(candidates.frame[selection.candidate]), workers)
            _put(part, batches, map_size=2 * len(selection) * _entry(size) + (1 << 24), report=shown.update)
        write_csv(index, HEADER, _index_rows(frames, candidates, selection, place, keys, split))
    return database, index


def check_room(folder: Path, patches: int, encoding: str, size: int = SIZE) -> None:
    """Raise UserError unless so many patches fit on the disk of `folder`; encoded ones take what only packing tells."""
    if encoding == "raw":
        check_space(folder, patches * _entry(size), f"packing {patches} patches needs", REMEDY)


def _entry(size: int) -> int:
    """Bytes of a raw patch in an LMDB, at most."""
    return 3 * size * size + PAGE


def read_index(index: str | Path) -> Iterator[dict[str, str]]:
    """The lines of a patches_SPLIT.csv one by one, by column; raises UserError if it is missing or no such file."""
    index = Path(index)
    if not index.is_file():
        raise UserError(f"{index}: no such index; pack the patches first")
    with reading(index) as file:
        rows = csv.DictReader(file)
        if tuple(rows.fieldnames or ()) != HEADER:
            raise UserError(f"{index}: needs the header {','.join(HEADER)}; pack the patches again")
        yield from rows


class _Keys:
    """Key of a selected patch: its place in eight digits, then what it is: 00000042_FRAME_CANDIDATE_VIEW."""

    def __init__(
        self, frames: Sequence[Frame], candidates: Candidates, selection: Selection, place: np.ndarray
    ) -> None:
        self.frames, self.candidates, self.selection, self.place = frames, candidates, selection, place
        self.digits = max(8, len(str(len(place) - 1)))  # keys sort as numbers only if all have as many digits

    def __call__(self, row: int) -> str:
        candidate = self.selection.candidate[row]
        frame = self.frames[self.candidates.frame[candidate]].name
        tail = f"_{self.candidates.number[candidate]}_{self.selection.view[row]}"
        head = f"{self.place[row]:0{self.digits}d}_"
        while len(os.fsencode(frame)) > LONGEST_KEY - len(head) - len(tail):
            frame = frame[:-1]
        return head + frame + tail


def _batches(frame: np.ndarray) -> Iterator[np.ndarray]:
    """Selected rows by frame, at most BATCH at a time; frame : (m,) int, frame of each row."""
    order = np.argsort(frame, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(frame[order])) + 1, len(order))
    start = 0
    for end in ends:
        for first in range(start, end, BATCH):
            yield order[first : min(first + BATCH, end)]
        start = end


def cut_rows(
    frames: Sequence[Frame], candidates: Candidates, selection: Selection, rows: np.ndarray, size: int
) -> Iterator[np.ndarray]:
    """The (3, size, size) uint8 patch of each row; the rows share one frame and are ordered by candidate."""
    chosen = selection.candidate[rows]
    frame = frames[candidates.frame[chosen[0]]]
    image = read_frame(frame)
    try:
        for candidate in np.unique(chosen):
            views = [VIEWS[view] for view in selection.view[rows[chosen == candidate]]]
            yield from cut(image, candidates.box[candidate], views, size)
    except UserError as error:
        raise UserError(f"frame {frame.name}: {error}") from None


def _put(
    folder: Path, batches: Iterable[list[tuple[bytes, bytes]]], map_size: int, report: Callable[[int], object]
) -> None:
    """Write batches into a new LMDB in `folder`; the same batches in the same order give the same bytes.

    Each batch is a transaction of its own: larger ones take more memory and, in new pages, more time.

    `map_size` is an upper bound of the file's size: the file grows only as it is filled.
    """
    try:
        with lmdb.open(os.fsencode(folder), map_size=map_size, sync=False) as database:
            for batch in batches:
                with database.begin(write=True) as transaction:
                    for key, value in batch:
                        transaction.put(key, value)
                report(len(batch))
    except lmdb.Error as error:
        raise UserError(
            f"{folder.parent}: can't write the LMDB ({error}); free some space, lower PATCHES=, or choose another"
            " folder with RUNS="
        ) from None


def _index_rows(
    frames: Sequence[Frame],
    candidates: Candidates,
    selection: Selection,
    place: np.ndarray,
    keys: _Keys,
    split: str,
) -> Iterator[tuple]:
    for row in np.argsort(place):
        candidate = selection.candidate[row]
        frame, view = frames[candidates.frame[candidate]], VIEWS[selection.view[row]]
        yield (
            split,
            keys(row),
            frame.name,
            frame.group,
            candidates.number[candidate],
            *(view.scale, view.dx, view.dy, view.orientation),
            selection.label[row],
        )
