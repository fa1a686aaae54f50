"""Names for what is being written, and the removal of what killed processes have left under such names.

Whoever writes TARGET holds a lock (flock) on .TARGET.MARK.lock beside it; the kernel lets go of it with the process,
whatever ends that, and NFS tells it to other machines. A process number would not do: it is used again, in a container
at once, and says nothing about the processes of another machine or container that shares the folder.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pycaffe_ext.sizes import size_text

NAME = re.compile(r"\.(?P<target>.+)\.(?P<mark>\d+(-[0-9a-f]{6})?)\.(part|old|lock)", re.DOTALL)


@dataclass(frozen=True)
class Place:
    """Where one writing of `target` happens."""

    target: Path
    mark: str  # the process's number, for people, and something random

    def _beside(self, kind: str) -> Path:
        return self.target.with_name(f".{self.target.name}.{self.mark}.{kind}")

    @property
    def part(self) -> Path:
        """What is written, file or folder."""
        return self._beside("part")

    @property
    def old(self) -> Path:
        """The folder that `part` replaces, while it does so."""
        return self._beside("old")

    @property
    def lock(self) -> Path:
        return self._beside("lock")

    def settle(self) -> int:
        """Remove what was not finished; an old folder whose successor did not come is put back. Returns the bytes."""
        if self.old.exists() and not self.target.exists():
            self.old.replace(self.target)
        return sum(map(_remove, (self.part, self.old)))


@contextmanager
def claimed(target: Path) -> Iterator[Place]:
    """A place to write `target`, in a folder that exists; what is left there at the end is removed."""
    place = Place(target, f"{os.getpid()}-{secrets.token_hex(3)}")
    descriptor = _hold(place.lock)
    try:
        yield place
    finally:
        place.settle()
        place.lock.unlink(missing_ok=True)
        os.close(descriptor)


def sweep(folder: Path) -> None:
    """Remove from `folder` what dead processes were writing, and say so in one line on standard error."""
    with suppress(OSError):
        found = [NAME.fullmatch(entry.name) for entry in os.scandir(folder)]
        places = {Place(folder / match["target"], match["mark"]) for match in found if match}
        swept = {place.target.name: freed for place in places if (freed := _sweep(place)) is not None}
        if swept:
            size = size_text(sum(swept.values()))
            print(
                f"{folder}: removed what processes that were killed had half written ({size}): "
                + ", ".join(sorted(swept)),
                file=sys.stderr,
                flush=True,
            )


def sweep_all(folder: Path, depth: int = 2) -> None:
    """`sweep` of a folder and of those in it, `depth` levels deep."""
    for level in range(depth + 1):
        for each in folder.glob("/".join("*" * level) + "/") if level else [folder]:
            if each.is_dir():
                sweep(each)


def _sweep(place: Place) -> int | None:
    """The bytes that were freed; None if nothing was left, its writer lives, or it is unknown."""
    try:
        descriptor = os.open(place.lock, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not _is_at(descriptor, place.lock):
            return None
        left = place.part.exists() or place.old.exists()
        freed = place.settle()
        place.lock.unlink(missing_ok=True)
        return freed if left else None
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _hold(lock: Path) -> int:
    """Create and lock a file; returns the descriptor that holds the lock, which no child inherits."""
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        with suppress(OSError):  # a file system without locks: then `sweep` can't lock either, and leaves it
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if _is_at(descriptor, lock):
            return descriptor
        os.close(descriptor)  # a `sweep` took it for left behind before it was locked


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _remove(path: Path) -> int:
    """Remove a file or a folder if it is there; returns the bytes that it took on the disk."""
    if not os.path.lexists(path):
        return 0
    files = [path, *path.rglob("*")]
    taken = sum(file.lstat().st_blocks * 512 for file in files)
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
    return taken
