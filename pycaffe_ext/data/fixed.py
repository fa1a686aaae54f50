"""Splits that the user fixes, by a splits.csv in the data set: the same table whatever the items are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from pycaffe_ext.data.assigned import assigned, split_of
from pycaffe_ext.data.items import SPLITS
from pycaffe_ext.data.sources.grouping import GROUPS, check_no_other_table, groups_table, splits_table
from pycaffe_ext.errors import UserError

I = TypeVar("I", bound=Any)  # noqa: E741 (an item)


def with_splits(items: Sequence[I], files: Sequence[Path], home: Path, given: Path) -> list[I]:
    """The items with the splits of splits.csv in `home`, and the groups of its column `group` if there is no
    groups.csv; as they are where there is no such table.

    files : of each item the one that it may be called by.   given : DATA=, where a table is refused if it is not home.
    Raises UserError that names the table which lies elsewhere, misses an item, names an unknown one or another word
    than a split, leaves a split empty, or has a group in two splits.
    """
    check_no_other_table(home, files, given)
    table = splits_table(home)
    if table is None:
        return list(items)
    rows = assigned(table, ("split",), {item.name: path for item, path in zip(items, files, strict=True)})
    found = [replace(item, split=split_of(table, rows[item.name])) for item in items]
    check_every_split(table, found)
    if not groups_table(home):
        found = [replace(item, group=rows[item.name].get("group") or item.group) for item in found]
    check_one_split(table, found)
    return found


def check_every_split(table: Path, items: Sequence[Any]) -> None:
    """Raise UserError if a split has no item."""
    if empty := [split for split in SPLITS if split not in {item.split for item in items}]:
        raise UserError(f"{table}: no picture in {empty[0]}; training, validation and test need some each")


def check_one_split(table: Path, items: Sequence[Any]) -> None:
    """Raise UserError if a group is in two splits, which names an item of it in each."""
    first: dict[str, Any] = {}
    for item in items:
        other = first.setdefault(item.group, item)
        if other.split != item.split:
            raise UserError(
                f"{table}: group {item.group!r} is both in {other.split} ({other.name}) and in {item.split}"
                f" ({item.name}); give all of it one split there, or other groups in {GROUPS}"
            )


def fixed_splits(items: Sequence[I]) -> dict[str, list[I]] | None:
    """split -> its items where the user fixed the splits; None where they are to be drawn."""
    if not any(item.split for item in items):
        return None
    return {split: [item for item in items if item.split == split] for split in SPLITS}
