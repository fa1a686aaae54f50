"""Packed patches checked again from their files: LMDB against index, index against splits, pixels against frames."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, zip_longest
from pathlib import Path

import numpy as np

from pycaffe_ext.data.balance import Selection
from pycaffe_ext.data.items import Item, Material
from pycaffe_ext.data.pack import cut_rows, read_index
from pycaffe_ext.errors import UserError
from pycaffe_ext.records import Value
from pycaffe_ext.records.database import window
from pycaffe_ext.records.datum import REPACK, open_database, parse, to_bytes
from pycaffe_ext.records.raw_datums import RawDatums

SAMPLE = 50  # patches of a database that are cut again


def verify(database: str | Path, index: str | Path) -> int:
    """Check that an LMDB and its index have the same keys and labels in the same order; returns their number.

    Raises UserError that names the first difference.  Memory stays bounded; of raw patches little is read.
    """
    count = 0
    for found, row in zip_longest(_labels(database), read_index(index)):
        wanted = None if row is None else (row["key"], int(row["label"]))
        if found != wanted:
            raise UserError(
                f"{database}: patch {count} is {found or 'missing'}, {index} says {wanted or 'nothing'} (key, label);"
                f" {REPACK}"
            )
        count += 1
    return count


def check_splits(index: str | Path, split: str, items: Sequence[Item], word: str = "frame") -> None:
    """Check that every line of an index is about one of the `items`, those of `split`, and names its group.

    word : what an item is called.   Raises UserError that names the first line that is not.
    """
    groups = {item.name: item.group for item in items}
    for number, row in enumerate(read_index(index), 2):
        if row["split"] != split or groups.get(row[word]) != row["group"]:
            raise UserError(
                f"{index}, line {number}: {word} {row[word]} of group {row['group']} is packed for {row['split']};"
                f" splits.csv does not have it so in {split}; remove {Path(index).parent} to pack it again"
            )


def check_index(indexes: Mapping[str, str | Path], word: str = "frame") -> None:
    """Check that no item and no group occurs in two splits; indexes : split -> its patches_SPLIT.csv.

    Raises UserError naming some of those that do.
    """
    found = {split: _items_and_groups(index, word) for split, index in indexes.items()}
    for one, other in combinations(found, 2):
        for kind, here, there in zip((word, "group"), found[one], found[other], strict=True):
            if both := sorted(here & there):
                names = ", ".join(both[:3])
                raise UserError(
                    f"{kind}s in both {one} and {other}: {names} ({len(both)} in all); split by group again"
                )


def check_pixels(database: str | Path, index: str | Path, material: Material, encoding: str, size: int) -> None:
    """Cut SAMPLE patches again, spread evenly over the database, and compare them with what is stored, byte by byte.

    Raises UserError that names the first one that differs.  It is meant for a database that was exchanged as a whole.
    """
    place_of = _Places(material)
    with open_database(database) as transaction:
        step = max(1, transaction.stat()["entries"] // SAMPLE)
        for row in (row for number, row in enumerate(read_index(index)) if number % step == 0):
            place, same = place_of(row), False
            if place is not None:
                label = material.samples.label[place[0]]
                one = Selection(np.array([place[0]]), np.array([place[1]]), np.array([label]))
                (patch,) = cut_rows(material, one, np.zeros(1, int), size)
                same = transaction.get(os.fsencode(row["key"])) == to_bytes(patch, label, encoding)
            if not same:
                raise UserError(
                    f"patch {row['key']} is not what its {material.words[0]} shows there; remove"
                    f" {Path(index).parent} to pack it again"
                )


class _Places:
    """(sample, view) of a line of an index; None where the material has no such place."""

    def __init__(self, material: Material) -> None:
        self.words, self.samples = material.words, material.samples
        self.item = {item.name: i for i, item in enumerate(material.items)}
        self.columns = material.views.columns
        self.view = {tuple(map(str, material.views.row(i))): i for i in range(len(material.views))}

    def __call__(self, row: Mapping[str, str]) -> tuple[int, int] | None:
        item, view = self.item.get(row[self.words[0]]), self.view.get(tuple(row[name] for name in self.columns))
        start, end = np.searchsorted(self.samples.item, (item, item + 1)) if item is not None else (0, 0)
        same = np.flatnonzero(self.samples.number[start:end] == int(row[self.words[1]]))
        return (int(start + same[0]), view) if len(same) and view is not None else None


def _labels(database: str | Path) -> Iterator[tuple[str, int]]:
    """(key, label) of every entry in key order."""
    raw, last, more = RawDatums(), None, True
    while more:
        with window(database, after=last) as entries:
            more = False
            for key, content in entries:
                last, more = bytes(key), True
                yield os.fsdecode(last), _label(raw, content)


def _label(raw: RawDatums, content: Value) -> int:
    """Of a raw Datum only the first and the last page are read."""
    if found := raw.look(content):
        return found[0]
    datum = parse(bytes(content))
    if not datum.encoded and datum.data:
        raw.learn(datum, np.empty((datum.channels, datum.height, datum.width), np.bool_))
    return datum.label


def _items_and_groups(index: str | Path, word: str) -> tuple[set[str], set[str]]:
    items, groups = set(), set()
    for row in read_index(index):
        items.add(row[word])
        groups.add(row["group"])
    return items, groups
