"""Which frames belong together: groups.csv as people make it, and the names of groups whatever they come from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

from pycaffe_ext.data.frames import Frame
from pycaffe_ext.data.names import by_identifier, check_look, identifier, some
from pycaffe_ext.data.sources.listing import broken, left_by_system
from pycaffe_ext.data.tables import LINE, read_table
from pycaffe_ext.errors import UserError

GROUPS, SPLITS_TABLE = "groups.csv", "splits.csv"
UNDECODED = re.compile("[\udc80-\udcff]")  # a byte that is not UTF-8, see os.fsdecode
TABLES = {  # name of a table -> what seems to be meant for it
    name: re.compile(rf"{kind}s?(\.csv)?\.(csv|tsv|txt|tab|xlsx?|xlsm|ods|numbers)", re.IGNORECASE)
    for name, kind in ((GROUPS, "group"), (SPLITS_TABLE, "split"))
}


def groups_table(folder: Path) -> Path | None:
    """groups.csv in `folder`; raises UserError if only something is there that seems to be meant for it."""
    return _table(folder, GROUPS)


def splits_table(folder: Path) -> Path | None:
    """splits.csv in `folder`, as `groups_table`."""
    return _table(folder, SPLITS_TABLE)


def _table(folder: Path, name: str) -> Path | None:
    table = folder / name
    meant = [path for path in sorted(folder.iterdir()) if TABLES[name].fullmatch(path.name) and path != table]
    if meant:
        remedy = "keep one of the two" if table.exists() else f"save it as {name}, a CSV file in UTF-8"
        raise UserError(f"{meant[0]}: only {name} is read; {remedy}")
    if table.is_symlink() and not table.exists():
        raise UserError(broken(table))
    return table if table.exists() else None


def grouped(frames: list[Frame], folder: Path) -> list[Frame]:
    """The frames with the groups of `folder`/groups.csv, where there is one: the user's word wins in every layout."""
    table = groups_table(folder)
    if table is None:
        return frames
    groups = read_groups(table, [frame.name for frame in frames])
    return [replace(frame, group=groups[frame.name]) for frame in frames]


def with_identifiers(frames: Sequence[Frame]) -> list[Frame]:
    """The frames with the names of their groups as `identifier` makes them, which joins groups that look the same.

    Raises UserError if two groups that are not frames by themselves look alike, or two frames look the same.
    """
    found = [replace(frame, group=identifier(frame.group)) for frame in frames]
    alone = by_identifier((frame.name for frame in frames), "frame")
    check_look((frame.group, f"frame {frame.name}") for frame in found if frame.group not in alone)
    return found


def check_no_other_table(home: Path, files: Iterable[Path], given: Path) -> None:
    """Raise UserError if a groups.csv or splits.csv lies where it is not read: in `given`, the folder that DATA= names,
    or anywhere between `home` and one of `files`."""
    folders = {path.parent for path in files}
    below = {place for folder in folders for place in (folder, *folder.parents) if place.is_relative_to(home)}
    for place, name in product([given, *sorted(below)], TABLES):
        if place == home or not place.is_dir() or left_by_system(place.name):
            continue
        if table := _table(place, name):
            raise UserError(f"{table}: is not read there; move it to {home / name}")


def read_groups(table: str | Path, names: Iterable[str], kind: str = "frame") -> dict[str, str]:
    """Group of each frame from a CSV file with the header `frame,group`; it lists exactly `names`, once each.

    kind : "frame" or "video", the name of the first column. Names of frames and groups are compared as `identifier`
    makes them. Raises UserError naming what is missing, unknown, doubled or empty, and two groups that look alike.
    """
    groups: dict[str, str] = {}
    places: list[tuple[str, str]] = []
    for row in read_table(table, (kind, "group")):
        if not row[kind] or not row["group"]:
            raise UserError(f"{table}: a line lacks its {kind} or its group: {[row[kind], row['group']]}")
        if row[kind] in groups:
            other = "" if groups[row[kind]] == row["group"] else f", in {groups[row[kind]]!r} and in {row['group']!r}"
            raise UserError(f"{table}: {kind} {row[kind]!r} is listed twice{other}")
        groups[row[kind]] = row["group"]
        places.append((row["group"], f"line {row[LINE]}"))
    return _of_names(table, groups, places, by_identifier(names, kind), kind)


def _of_names(
    table: str | Path, groups: dict[str, str], places: list[tuple[str, str]], known: dict[str, str], kind: str
) -> dict[str, str]:
    missing, unknown = sorted(known.keys() - groups.keys()), sorted(groups.keys() - known.keys())
    if missing or unknown:
        wrong = [f"no group for {some(missing)}"] * bool(missing) + [f"no such {kind}: {some(unknown)}"] * bool(unknown)
        bytewise = any(UNDECODED.search(name) for name in unknown)
        remedy = "save it as CSV UTF-8" if bytewise else f"a {kind} is named without suffix"
        raise UserError(f"{table}: {', and '.join(wrong)}; {remedy}")
    try:
        check_look(places)
    except UserError as error:
        raise UserError(f"{table}: {error}") from None
    return {name: groups[key] for key, name in known.items()}
