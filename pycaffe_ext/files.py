"""Files that are whole or absent: written under a temporary name, then renamed."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

# Names of files may be any bytes: those that are not UTF-8 go through our texts as Python's surrogates, see os.fsdecode
TEXT: dict[str, Any] = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}


@contextmanager
def writing(path: str | os.PathLike[str], mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary file beside `path`; rename it to `path` on success, remove it on any error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open(mode, **({} if "b" in mode else TEXT)) as file:
            yield file
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


@contextmanager
def writing_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield an empty temporary folder beside `path`; rename it to `path` on success, remove it on any error.

    An existing folder of that name is put aside, and removed once the new one is in its place.
    """
    path = Path(path)
    part, old = (path.with_name(f".{path.name}.{os.getpid()}.{state}") for state in ("part", "old"))
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        if path.exists():
            path.replace(old)
        part.replace(path)
        shutil.rmtree(old, ignore_errors=True)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


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


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """Write JSON with a stable layout; NaN and infinity are refused (ValueError), they are not JSON."""
    text = json.dumps(content, indent=2, allow_nan=False)
    with writing(path) as file:
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
