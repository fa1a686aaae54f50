"""Near-duplicates between two data sets: which items of one resemble which of the other, by the hashes of `groups`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

from pycaffe_ext.data.columns import read_columns
from pycaffe_ext.data.groups import Hashed, bits, near_pairs_between
from pycaffe_ext.data.items import Item
from pycaffe_ext.files import write_csv

KNOWN = ("train", "val")  # parts that a net, its detector or its thresholds have seen


@dataclass(frozen=True)
class Similar:
    """An item that resembles items in a part of another data set.

    pairs : how many it resembles there.   nearest : the name of the nearest, which differs in `bits` of 256.
    """

    item: str
    part: str
    pairs: int
    nearest: str
    bits: int


HEADER = tuple(field.name for field in fields(Similar))
KINDS = {"item": str, "part": str, "pairs": int, "nearest": str, "bits": int}


def similar(
    first: Sequence[Item], first_hashed: Hashed, second: Sequence[Item], second_hashed: Hashed, part: np.ndarray
) -> list[Similar]:
    """A row for each item of `first` and each part of `second` in which it has near-duplicates, in that order.

    hashed : what `groups.hash_frames` gives of each set.   part : (second,) str, the split of each item.
    """
    (shown, hashes), (others, other_hashes) = first_hashed, second_hashed
    found: dict[tuple[int, str], tuple[int, int, int]] = {}  # -> pairs, bits, the nearest
    for pairs in near_pairs_between(hashes, other_hashes):
        apart = bits(hashes[pairs[:, 0]], other_hashes[pairs[:, 1]])
        for i, j, distance in zip(
            shown[pairs[:, 0]].tolist(), others[pairs[:, 1]].tolist(), apart.tolist(), strict=True
        ):
            key = i, str(part[j])
            count, least, nearest = found.get(key, (0, distance, j))
            found[key] = count + 1, *min((least, nearest), (distance, j))
    return [
        Similar(first[i].name, where, count, second[nearest].name, least)
        for (i, where), (count, least, nearest) in sorted(found.items())
    ]


def write(path: Path, rows: Sequence[Similar]) -> None:
    write_csv(path, HEADER, map(astuple, rows))


def read(path: Path) -> list[Similar]:
    """The rows as `write` got them; UserError if that is no such table."""
    columns = read_columns(path, KINDS)
    return [Similar(*row) for row in zip(*(columns[name].tolist() for name in HEADER), strict=True)]
