"""Packed patches checked again from their files: LMDB against index, index against splits, pixels against frames."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, zip_longest
from pathlib import Path

import numpy as np

from pycaffe_ext.data.balance import Selection
from pycaffe_ext.data.frames import Frame
from pycaffe_ext.data.pack import Candidates, cut_rows, read_index
from pycaffe_ext.data.patches import VIEWS
from pycaffe_ext.errors import UserError
from pycaffe_ext.records.database import window
from pycaffe_ext.records.datum import open_database, parse, to_bytes
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
                " pack the patches again"
            )
        count += 1
    return count


def check_splits(index: str | Path, split: str, parts: Mapping[str, Sequence[Frame]]) -> None:
    """Check that every line of an index is about a frame of `split`, and names its group; parts : split -> frames.

    Raises UserError that names the first line that is not.
    """
    groups = {frame.name: frame.group for frame in parts[split]}
    for number, row in enumerate(read_index(index), 2):
        if row["split"] != split or groups.get(row["frame"]) != row["group"]:
            raise UserError(
                f"{index}, line {number}: frame {row['frame']} of group {row['group']} is packed for {row['split']};"
                f" splits.csv does not have it so in {split}; remove {Path(index).parent} to pack anew"
            )


def check_index(indexes: Mapping[str, str | Path]) -> None:
    """Check that no frame and no group occurs in two splits; indexes : split -> its patches_SPLIT.csv.

    Raises UserError naming some of those that do.
    """
    found = {split: _frames_and_groups(index) for split, index in indexes.items()}
    for one, other in combinations(found, 2):
        for kind, here, there in zip(("frame", "group"), found[one], found[other], strict=True):
            if both := sorted(here & there):
                names = ", ".join(both[:3])
                raise UserError(
                    f"{kind}s in both {one} and {other}: {names} ({len(both)} in all); split by group again"
                )


def check_pixels(
    database: str | Path, index: str | Path, frames: Sequence[Frame], candidates: Candidates, encoding: str, size: int
) -> None:
    """Cut SAMPLE patches again, spread evenly over the database, and compare them with what is stored, byte by byte.

    Raises UserError that names the first one that differs.  It is meant for a database that was exchanged as a whole.
    """
    place = {frame.name: i for i, frame in enumerate(frames)}
    row_of = {key: i for i, key in enumerate(zip(candidates.frame.tolist(), candidates.number.tolist(), strict=True))}
    view_of = {tuple(map(str, (v.scale, v.dx, v.dy, v.orientation))): i for i, v in enumerate(VIEWS)}
    with open_database(database) as transaction:
        step = max(1, transaction.stat()["entries"] // SAMPLE)
        for row in (row for number, row in enumerate(read_index(index)) if number % step == 0):
            candidate = row_of.get((place.get(row["frame"]), int(row["candidate"])))
            view = view_of.get(tuple(row[name] for name in ("scale", "dx", "dy", "orientation")))
            same = False
            if candidate is not None and view is not None:
                one = Selection(np.array([candidate]), np.array([view]), candidates.label[[candidate]])
                (patch,) = cut_rows(frames, candidates, one, np.zeros(1, int), size)
                wanted = to_bytes(patch, candidates.label[candidate], encoding)
                same = transaction.get(os.fsencode(row["key"])) == wanted
            if not same:
                raise UserError(
                    f"patch {row['key']} is not what its frame shows there; remove {Path(index).parent} to pack anew"
                )


def _labels(database: str | Path) -> Iterator[tuple[str, int]]:
    """(key, label) of every entry in key order."""
    raw, last, more = RawDatums(), None, True
    while more:
        with window(database, after=last) as entries:
            more = False
            for key, content in entries:
                last, more = bytes(key), True
                yield os.fsdecode(last), _label(raw, content)


def _label(raw: RawDatums, content: memoryview) -> int:
    """Of a raw Datum only the first and the last page are read."""
    if found := raw.look(content):
        return found[0]
    datum = parse(bytes(content))
    if not datum.encoded and datum.data:
        raw.learn(datum, np.empty((datum.channels, datum.height, datum.width), np.bool_))
    return datum.label


def _frames_and_groups(index: str | Path) -> tuple[set[str], set[str]]:
    frames, groups = set(), set()
    for row in read_index(index):
        frames.add(row["frame"])
        groups.add(row["group"])
    return frames, groups
