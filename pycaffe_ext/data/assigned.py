"""Tables that say something of each picture: groups.csv, splits.csv, and labels in a CSV file.

A picture is called by its name (CLASS/NAME), with or without its ending, or without its folders where no other picture
is called so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from pycaffe_ext.data.items import SPLITS
from pycaffe_ext.data.names import check_look, identifier, some
from pycaffe_ext.data.tables import LINE, read_table
from pycaffe_ext.errors import UserError

KEYS = ("frame", "file", "image", "volume")  # the first column, by any of these names
ALSO = {"training": "train", "validation": "val", "valid": "val", "dev": "val", "testing": "test"}
Row = Mapping[str, str]


def rows(table: Path, wanted: Sequence[str]) -> list[tuple[str, Row]]:
    """(picture, row) of each line of a table with a column of KEYS and the columns `wanted`, none of them empty.

    Raises UserError that names the table, and the line if a field is empty.
    """
    whole = f"the header `{','.join((KEYS[0], *wanted))}`, and a line for every picture"
    lines = read_table(table, wanted, whole)
    key = next((name for name in KEYS if name in lines[0]), None)
    if key is None:
        raise UserError(f"{table}: needs {whole}")
    for line in lines:
        if empty := [name for name in (key, *wanted) if not line[name]]:
            raise UserError(f"{table}: line {line[LINE]} lacks its {empty[0]}")
    return [(line[key], line) for line in lines]


def assigned(table: Path, wanted: Sequence[str], names: Mapping[str, Path], every: bool = True) -> dict[str, Row]:
    """The row of each picture.  names : name -> file of the pictures.   every : whether none may be missing.

    Raises UserError for pictures that are missing, not there, or listed twice, and if two groups look alike.
    """
    aliases = _aliases(names)
    found: dict[str, Row] = {}
    unknown = []
    for called, row in rows(table, wanted):
        name = aliases.get(called)
        if name is None:
            unknown.append(called)
        elif name in found:
            raise UserError(f"{table}: line {row[LINE]}: {called!r} is listed twice (line {found[name][LINE]})")
        else:
            found[name] = row
    _check_complete(table, unknown, sorted(names.keys() - found.keys()) if every else [])
    _check_groups(table, found, aliases)
    return found


def split_of(table: Path, row: Row) -> str:
    """The split that a row names; raises UserError for another word."""
    word = row["split"].lower()
    if (split := ALSO.get(word, word)) not in SPLITS:
        raise UserError(f"{table}: line {row[LINE]}: split {row['split']!r} must be one of {', '.join(SPLITS)}")
    return split


def _aliases(names: Mapping[str, Path]) -> dict[str, str]:
    """What a picture may be called -> its name."""
    short = Counter(identifier(alias) for path in names.values() for alias in {path.stem, path.name})
    called: dict[str, str] = {}
    for name, path in names.items():
        alone = (alias for alias in (path.stem, path.name) if short[identifier(alias)] == 1)
        called.update((identifier(alias), name) for alias in alone)
    for name, path in names.items():
        called.update({identifier(name): name, identifier(f"{name}{path.suffix}"): name})
    return called


def _check_complete(table: Path, unknown: Sequence[str], missing: Sequence[str]) -> None:
    if unknown or missing:
        wrong = [f"no line for {some(missing)}"] * bool(missing) + [f"no such picture: {some(unknown)}"] * bool(unknown)
        raise UserError(
            f"{table}: {', and '.join(wrong)}; each is called as in its folder (CLASS/NAME), with or without ending"
        )


def _check_groups(table: Path, found: Mapping[str, Row], aliases: Mapping[str, str]) -> None:
    """Groups that are pictures by themselves may look alike."""
    places = [(row["group"], f"line {row[LINE]}") for row in found.values() if row.get("group")]
    try:
        check_look((group, place) for group, place in places if group not in aliases)
    except UserError as error:
        raise UserError(f"{table}: {error}") from None
