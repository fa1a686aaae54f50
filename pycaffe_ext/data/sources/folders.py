"""Folders as they come out of archives: what is a file of the data set, what pairs with what, and in which group."""

from __future__ import annotations

import csv
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pycaffe_ext.data.frames import SUFFIXES, Frame
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import TEXT

GROUPS = "groups.csv"
DEEP = 20


def hidden(name: str) -> bool:
    """Whether an operating system left it there: .DS_Store, ._picture.png, __MACOSX."""
    return name.startswith(".") or name == "__MACOSX"


def walk(
    folder: Path, suffixes: Sequence[str] = SUFFIXES, depth: int = DEEP, above: tuple[str, ...] = ()
) -> Iterator[Path]:
    """Files in `folder` with one of `suffixes` in any case, and below it down to `depth` sub-folders.

    Links are followed, but never back into a folder that the way led through, the real paths in `above`.
    """
    above = (*above, os.path.realpath(folder))
    for path in sorted(folder.iterdir()):
        if hidden(path.name):
            continue
        if not path.is_dir():
            if path.suffix.lower() in suffixes:
                yield path
        elif depth and os.path.realpath(path) not in above:
            yield from walk(path, suffixes, depth - 1, above)


def subfolders(folder: Path) -> list[Path]:
    """Folders in `folder`, sorted; none if it is none itself."""
    inside = folder.iterdir() if folder.is_dir() else []
    return sorted(path for path in inside if path.is_dir() and not hidden(path.name))


def plain_name(name: str) -> str:
    """A name without case, spaces, hyphens and underscores: what copies of a data set differ in."""
    return re.sub(r"[\s_-]+", "", name).lower()


def child(folder: Path, *names: str) -> Path | None:
    """The sub-folder called one of `names`, which may differ as in `plain_name`; None if there is none."""
    wanted = {plain_name(name) for name in names}
    return next((path for path in subfolders(folder) if plain_name(path.name) in wanted), None)


def files(folder: Path, suffixes: Sequence[str] = SUFFIXES) -> dict[str, Path]:
    """Files below `folder` by name: path in it, without suffix, in one Unicode form. UserError if two share a name."""
    found: dict[str, Path] = {}
    for path in walk(folder, suffixes):
        name = unicodedata.normalize("NFC", path.relative_to(folder).with_suffix("").as_posix())
        if name in found:
            raise UserError(f"{path}: same name as {found[name].name}; keep one of the two")
        found[name] = path
    return found


def images(folder: Path) -> dict[str, Path]:
    """Images below `folder` by name; raises UserError if there is none."""
    found = files(folder)
    if not found:
        raise UserError(f"{folder}: no image in it ({', '.join(s[1:] for s in SUFFIXES)})")
    return found


def same_name(name: str) -> tuple[str, ...]:
    return (name,)


def pair(
    frames: Path, masks: Path, names: Callable[[str], Iterable[str]] = same_name
) -> dict[str, tuple[Path, Path]]:
    """(image, mask) of every frame by name; `names` gives what its mask may be called, best first.

    Raises UserError if a frame has no mask or a mask no frame: one of them is missing, and a frame without polyps
    has a black mask in such folders.
    """
    pictures, drawn = images(frames), files(masks)
    mask_of = {name: next((m for m in names(name) if m in drawn), None) for name in pictures}
    if bare := [name for name, mask in mask_of.items() if mask is None]:
        raise UserError(f"{masks}: no mask for {some(bare)}; a frame without polyps needs an all-black mask")
    if stray := sorted(drawn.keys() - set(mask_of.values())):
        raise UserError(f"{frames}: no frame for masks {some(stray)}; add it or remove the mask")
    if len(set(mask_of.values())) < len(mask_of):
        raise UserError(f"{masks}: two frames of {frames} have the same mask; name each mask as its frame")
    return {name: (pictures[name], drawn[mask]) for name, mask in mask_of.items()}


def numbered(folder: Path, hints: Sequence[str], sizes: Sequence[int]) -> str | None:
    """Whether images/ and masks/ in `folder` hold a data set whose frames are called by their numbers.

    It is if the folder's name has one of `hints` in it, or the numbers are exactly 1 to one of `sizes`. Answers as
    `Source.look`.
    """
    pictures = child(folder, "images", "image")
    if pictures is None or child(folder, "masks", "mask") is None:
        return None
    names = [path.stem for path in walk(pictures)]
    numbers = {int(name) for name in names if name.isdecimal()}
    if any(hint in plain_name(folder.name) for hint in hints):
        known = len(numbers) == len(names) or (folder / GROUPS).exists()
        return "" if known else "its frames are not called by their numbers; say which belong together in groups.csv"
    return "" if len(numbers) == len(names) and any(numbers == set(range(1, n + 1)) for n in sizes) else None


def number(name: str, path: Path, last: int) -> int:
    """The frame's number; raises UserError if `name` is none of 1 to `last`."""
    if not name.isdecimal() or not 1 <= int(name) <= last:
        raise UserError(f"{path}: frames of this data set are called by their numbers, 1 to {last}")
    return int(name)


def grouped(frames: list[Frame], folder: Path) -> list[Frame]:
    """The frames with the groups of `folder`/groups.csv, where there is one: the user's word wins in every layout."""
    table = folder / GROUPS
    if not table.exists():
        return frames
    groups = read_groups(table, [frame.name for frame in frames])
    return [replace(frame, group=groups[frame.name]) for frame in frames]


def read_groups(table: str | Path, names: Iterable[str], kind: str = "frame") -> dict[str, str]:
    """Group of each frame from a CSV file with the header `frame,group`; it lists exactly `names`, once each.

    kind : "frame" or "video", the name of the first column. Raises UserError naming what is missing, unknown,
    doubled or empty.
    """
    groups: dict[str, str] = {}
    for row in read_table(table, (kind, "group")):
        if not row[kind] or not row["group"]:
            raise UserError(f"{table}: a line lacks its {kind} or its group: {list(row.values())}")
        if row[kind] in groups:
            raise UserError(f"{table}: {kind} {row[kind]!r} is listed twice")
        groups[unicodedata.normalize("NFC", row[kind])] = row["group"]
    known = set(names)
    if missing := sorted(known - groups.keys()):
        raise UserError(f"{table}: no group for {some(missing)}; a {kind} is named without suffix")
    if unknown := sorted(groups.keys() - known):
        raise UserError(f"{table}: no such {kind}: {some(unknown)}; a {kind} is named without suffix")
    return groups


def read_table(table: str | Path, header: Sequence[str]) -> list[Mapping[str, str]]:
    """Lines of a CSV file, see `files.TEXT`, with at least the columns of `header`; raises UserError if it is none."""
    try:
        with open(table, **TEXT | {"encoding": "utf-8-sig"}) as file:
            rows = list(csv.DictReader(file))
    except csv.Error as error:
        raise UserError(f"{table}: not a CSV file ({error})") from None
    if not rows or not set(header) <= rows[0].keys():
        raise UserError(
            f"{table}: needs the header `{','.join(header)}` and a line for every {header[0]}, in UTF-8 but for names"
            " of files that are not"
        )
    return rows


def some(names: Sequence[str], most: int = 3) -> str:
    """The first few names and how many more there are."""
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
