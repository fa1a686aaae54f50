"""Patches into Caffe's LMDB, with the index that says what each of them is.

FOLDER/SPLIT_lmdb/ has data.mdb and lock.mdb as Caffe's own tools write them; FOLDER/patches_SPLIT.csv has a line for
each key, in key order. Caffe's cursor never shuffles, so the keys count through a random order; the pixels are cut
item by item and put under their keys, so that no picture is read more often than its patches need.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import lmdb
import numpy as np

from pycaffe_ext.data.balance import Selection
from pycaffe_ext.data.items import Material
from pycaffe_ext.data.patches import SIZE
from pycaffe_ext.errors import UserError, known
from pycaffe_ext.files import copy, reading, write_csv, writing_folder
from pycaffe_ext.progress import bar
from pycaffe_ext.records import ENCODINGS
from pycaffe_ext.records.datum import QUALITY, REPACK, to_bytes
from pycaffe_ext.sizes import check_space
from pycaffe_ext.threads import cores, in_order, one_thread_each

FIXED = ("split", "key", "group", "label")  # columns of every index, beside the words and the views' own
BATCH = 256  # patches of one item cut at a time: 40 MB of raw pixels
PAGE = 4096
REMEDY = ", lower PATCHES=, or choose another folder with RUNS="
LONGEST_KEY = 511  # LMDB's limit, in bytes


def database_path(folder: Path, split: str) -> Path:
    return folder / f"{split}_lmdb"


def index_path(folder: Path, split: str) -> Path:
    return folder / f"patches_{split}.csv"


def pack(
    material: Material,
    selection: Selection,
    folder: str | Path,
    split: str,
    *,
    encoding: str = "raw",
    size: int = SIZE,
    seed: int = 0,
    progress: bool = True,
) -> tuple[Path, Path]:
    """Cut the selected patches and write SPLIT_lmdb/ and patches_SPLIT.csv in `folder`; returns both paths.

    The order is shuffled with `seed`; equal arguments give equal bytes of data.mdb and of the index, however many
    threads there are. Memory: about 40 MB (raw) per thread, plus some 60 bytes per patch.
    Both are replaced if they exist. Raises UserError if nothing is selected, a file is missing or cut off, a place
    is degenerate (the item is named), or the disk is full; no half-written database is left then.
    """
    known(encoding, ENCODINGS, "encoding")
    if not len(selection):
        raise UserError(f"no patch selected for {split}: nothing to pack")
    folder = Path(folder)
    place = order_of_keys(len(selection), seed)
    keys = _Keys(material, selection, place)

    def cut_batch(rows: np.ndarray) -> list[tuple[bytes, bytes]]:
        return [
            (os.fsencode(keys(row)), to_bytes(patch, selection.label[row], encoding, QUALITY))
            for row, patch in zip(rows, cut_rows(material, selection, rows, size), strict=True)
        ]

    database, index = database_path(folder, split), index_path(folder, split)
    check_room(folder, len(selection), encoding, size)
    with writing_folder(database) as part:
        shown = bar(title=f"packing {split}", total=len(selection), unit="patch", progress=progress)
        with one_thread_each(), shown:
            batches = in_order(cut_batch, _batches(material.samples.item[selection.sample]), cores())
            _put(part, batches, map_size=2 * len(selection) * _entry(size) + (1 << 24), report=shown.update)
        write_csv(index, header(material), _index_rows(material, selection, place, keys, split))
    return database, index


def link(home: Path, folder: Path, split: str) -> None:
    """Have a split that is packed in the folder `home` in `folder` too: by hard links, or by a copy where the disk
    has none."""
    with writing_folder(database_path(folder, split)) as part:
        for file in database_path(home, split).iterdir():
            _link(file, part / file.name)
    _link(index_path(home, split), index_path(folder, split))


def _link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        copy(source, target)


def header(material: Material) -> tuple[str, ...]:
    """Columns of patches_SPLIT.csv."""
    item, sample = material.words
    return "split", "key", item, "group", sample, *material.views.columns, "label"


def order_of_keys(count: int, seed: int) -> np.ndarray:
    """(count,) int: place of each selected patch in the order of the keys."""
    return np.random.default_rng(seed).permutation(count)


def check_room(folder: Path, patches: int, encoding: str, size: int = SIZE) -> None:
    """Raise UserError unless the patches fit on the disk of `folder`; the size of encoded ones is not known before."""
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
        if not set(FIXED) <= set(rows.fieldnames or ()):
            raise UserError(f"{index}: needs the columns {', '.join(FIXED)}; {REPACK}")
        yield from rows


class _Keys:
    """Key of a selected patch: its place in eight digits, then what it is: 00000042_ITEM_SAMPLE_VIEW."""

    def __init__(self, material: Material, selection: Selection, place: np.ndarray) -> None:
        self.material, self.selection, self.place = material, selection, place
        self.digits = max(8, len(str(len(place) - 1)))  # keys sort as numbers only if all have as many digits

    def __call__(self, row: int) -> str:
        sample, samples = self.selection.sample[row], self.material.samples
        name = self.material.items[samples.item[sample]].name
        tail = f"_{samples.number[sample]}_{self.selection.view[row]}"
        head = f"{self.place[row]:0{self.digits}d}_"
        while len(os.fsencode(name)) > LONGEST_KEY - len(head) - len(tail):
            name = name[:-1]
        return head + name + tail


def _batches(item: np.ndarray) -> Iterator[np.ndarray]:
    """Selected rows by item, at most BATCH at a time; item : (m,) int, item of each row."""
    order = np.argsort(item, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(item[order])) + 1, len(order))
    start = 0
    for end in ends:
        for first in range(start, end, BATCH):
            yield order[first : min(first + BATCH, end)]
        start = end


def cut_rows(material: Material, selection: Selection, rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """The (3, size, size) uint8 patch of each row; the rows share one item and are ordered by sample."""
    chosen = selection.sample[rows]
    item = material.items[material.samples.item[chosen[0]]]
    try:
        yield from material.cut(item, material.samples.place[chosen], selection.view[rows], size)
    except UserError as error:
        raise UserError(f"{material.words[0]} {item.name}: {error}") from None


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
    material: Material, selection: Selection, place: np.ndarray, keys: _Keys, split: str
) -> Iterator[tuple[Any, ...]]:
    samples = material.samples
    for row in np.argsort(place):
        sample = selection.sample[row]
        item, view = material.items[samples.item[sample]], material.views.row(selection.view[row])
        yield split, keys(row), item.name, item.group, samples.number[sample], *view, selection.label[row]
