"""Files that are whole or absent: written under a temporary name, then renamed. Paths as users give them."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from pycaffe_ext import parts
from pycaffe_ext.errors import UserError

# Names of files may be any bytes: those that are not UTF-8 go through our texts as Python's surrogates, see os.fsdecode
TEXT: dict[str, Any] = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}


@contextmanager
def writing(path: str | os.PathLike[str], mode: str = "w", sweep: bool = True) -> Iterator[IO[Any]]:
    """Open a temporary file beside `path`; rename it to `path` on success, remove it on any error.

    What killed processes have left in that folder is removed first, see `parts`.   sweep : False leaves it, for a
    folder of so many files that its writer lists them once and not at each file
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if sweep:
        parts.sweep(path.parent)
    with parts.claimed(path) as place:
        with place.part.open(mode, **({} if "b" in mode else TEXT)) as file:
            yield file
        place.part.replace(path)


@contextmanager
def writing_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield an empty temporary folder beside `path`; rename it to `path` on success, remove it on any error.

    An existing folder of that name is put aside, and removed once the new one is in its place.
    What killed processes have left beside it is removed first, see `parts`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    parts.sweep(path.parent)
    with parts.claimed(path) as place:
        place.part.mkdir()
        yield place.part
        if path.exists():
            path.replace(place.old)
        place.part.replace(path)


def reading(path: str | os.PathLike[str]) -> IO[str]:
    """Open a text that may hold names of files, to be read; line ends stay as they are, as csv wants them."""
    return open(path, **TEXT)


def read_words(path: str | os.PathLike[str]) -> list[str]:
    """The words of a text as a C++ stream reads them, divided by ASCII white space only."""
    return [os.fsdecode(word) for word in Path(path).read_bytes().split()]


def copy(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Copy a file, whole or not at all."""
    with open(source, "rb") as original, writing(target, "wb") as file:
        shutil.copyfileobj(original, file)


def digest(path: str | os.PathLike[str], algorithm: str = "sha256") -> str:
    """Hexadecimal digest of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def write_json(path: str | os.PathLike[str], content: Any, sweep: bool = True) -> None:
    """Write JSON with a stable layout; NaN and infinity are refused (ValueError), they are not JSON.

    sweep : as in `writing`
    """
    text = json.dumps(content, indent=2, allow_nan=False)
    with writing(path, sweep=sweep) as file:
        file.write(text + "\n")


def read_json(path: str | os.PathLike[str]) -> Any:
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def write_csv(path: str | os.PathLike[str], header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table with a header line and Unix line ends."""
    with writing(path) as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(header)
        table.writerows(rows)


def expanded(path: str) -> str:
    """A path with the ~ or ~NAME at its start replaced by a home folder: make and options hand it on as it is.

    Raises UserError if there is no such user.
    """
    found = os.path.expanduser(path)
    if path.startswith("~") and found == path:
        name = path.partition("/")[0]
        raise UserError(f"{path}: {name} is not a user's home folder; write ./{path} if something here is called so")
    return found


def user_path(path: str) -> Path:
    return Path(expanded(path))


def check_writable(folder: str | os.PathLike[str], option: str = "RUNS=") -> None:
    """Raise UserError unless files can be written into `folder`, or it can be made; nothing is.

    option : what chooses another folder, named in the message.
    """
    folder = Path(folder)
    whole = Path(os.path.abspath(folder))
    there = next(place for place in (whole, *whole.parents) if os.path.lexists(place))
    if not there.is_dir():
        raise UserError(f"{folder}: {there} is not a folder; choose another one with {option}")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"{folder}: {there} can't be written; check its permissions or choose another {option}")
