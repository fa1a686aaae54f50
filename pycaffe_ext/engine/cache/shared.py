"""A folder of rows that processes of one machine share: what one has computed of frozen layers, others read back.

`KEY/FUNCTION/RECORDS.rows` holds the rows of a boundary: KEY is of all that may change a bit of them (engine, threads,
precision, the machine since it was started), FUNCTION of the layers and their weights, RECORDS of the database and the
batch. After the rows, a file has a byte for each, written after the row itself, and a byte that says that reading
pays. It is in use as long as a process holds a lock on it; when the folder is full, the files that were opened longest
ago and are not in use go. Everything in the folder may be deleted at any time.
"""

from __future__ import annotations

import fcntl
import hashlib
import math
import mmap
import os
import platform
import secrets
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path

import numpy as np
import torch

from pycaffe_ext import __version__, glog
from pycaffe_ext.engine import options
from pycaffe_ext.engine.cache import content
from pycaffe_ext.engine.cache.rows import Piece, Rows
from pycaffe_ext.engine.layers.data import DataLayer
from pycaffe_ext.sizes import size_text
from pycaffe_ext.strings import native

BOOT = Path("/proc/sys/kernel/random/boot_id")
SUFFIX = ".rows"


class SharedRows(Rows):
    """Rows in a file that has a name.  What is there already is not written again, as others may be reading it.

    shapes : of the blobs, as this net has them.   order : their numbers in the file's order, which all nets agree on.
    make : the file, where it is not there.
    Raises OSError without space, without a file that may not be made, or where the file cannot be locked.
    """

    def __init__(
        self, path: Path, count: int, shapes: Sequence[tuple[int, ...]], order: Sequence[int], make: bool = True
    ) -> None:
        self.first, self.count, self._order = 0, count, order
        shapes = [shapes[i] for i in order]
        sizes = [math.prod(shape) for shape in shapes]
        self.bytes = 4 * count * sum(sizes)
        self._pinned = False
        self._file = _opened(path, self.bytes + count + 1, make)
        self._map = mmap.mmap(self._file.fileno(), self.bytes + count + 1)
        self._memory = torch.frombuffer(self._map, dtype=torch.float32, count=self.bytes // 4)
        parts = self._memory.split([count * size for size in sizes])
        self._rows = [part.view(count, *shape) for part, shape in zip(parts, shapes, strict=True)]
        self._kept = np.frombuffer(self._map, np.bool_, count, self.bytes)
        self._verdict = np.frombuffer(self._map, np.uint8, 1, self.bytes + count)

    @property
    def place(self) -> str:
        return "a shared file"

    @property
    def pays(self) -> bool:
        """Whether a process has measured that reading pays; where one has not, the next measures again."""
        return bool(self._verdict[0])

    @property
    def full(self) -> bool:
        return bool(self._kept.all())

    def confirm(self) -> None:
        self._verdict[0] = True

    def keep(self, piece: Piece, batch: Sequence[torch.Tensor]) -> None:
        record, place, count = piece
        for at in range(record, record + count):
            if not self._kept[at]:
                super().keep((at, place + at - record, 1), [batch[i] for i in self._order])

    def read(self, piece: Piece, batch: Sequence[torch.Tensor]) -> None:
        super().read(piece, [batch[i] for i in self._order])

    def send_to_disk(self) -> None:
        """It is no larger than the memory that there is for it."""


@dataclass(frozen=True)
class Shared:
    """The folder, and the most bytes in it."""

    folder: Path
    bound: int

    @property
    def place(self) -> Path:
        """Where what this process may read lies."""
        return self.folder / _key()

    def has(self, function: bytes) -> bool:
        """Whether a training has stored rows of these layers, of whatever records."""
        return (self.place / function.hex()).is_dir()

    def open(
        self,
        function: bytes,
        source: DataLayer,
        count: int,
        shapes: Sequence[tuple[int, ...]],
        order: Sequence[int],
        make: bool = True,
    ) -> SharedRows | None:
        """The rows of a boundary for all `count` records of an LMDB; None if they are too many, or the disk is full.

        shapes, order, make : see SharedRows; where rows may not be made and are not there, None.
        """
        batch = source.param.data_param.batch_size
        size = 4 * count * sum(map(math.prod, shapes)) + count + 1
        path = self.place / function.hex() / f"{self._records(source)}-{batch}{SUFFIX}"
        try:
            if not path.exists() and not (make and self._make_room(size)):
                return None
            path.parent.mkdir(parents=True, exist_ok=True)
            return SharedRows(path, count, shapes, order, make)
        except FileNotFoundError:
            return None  # deleted meanwhile
        except OSError as error:
            glog.warning("data_layer.cpp:102", f"Frozen prefix: nothing is shared in {self.folder}: {error}")
            return None

    def _records(self, source: DataLayer) -> str:
        """The digest of an LMDB's records, in hexadecimal; remembered for a file that has not changed."""
        state = os.stat(os.path.join(native(source.param.data_param.source), "data.mdb"))
        name = "-".join(f"{value:x}" for value in (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns))
        known = self.place / "records" / name
        with suppress(OSError):
            return known.read_text()
        digest = content.records_digest(source.database).hex()
        known.parent.mkdir(parents=True, exist_ok=True)
        part = known.with_name(f".{secrets.token_hex(6)}")
        part.write_text(digest)
        part.replace(known)
        return digest

    def _make_room(self, size: int) -> bool:
        """Delete files that are not in use until `size` bytes more are within the bound; whether they are, and take no
        more than half of what is free on the disk."""
        files = sorted(self.folder.glob(f"*/*/*{SUFFIX}"), key=_opened_at)
        taken = sum(map(_size, files))
        for file in files:
            if taken + size <= self.bound:
                break
            taken -= _delete(file)
        fits = taken + size <= self.bound and 2 * size <= _free(self.folder)
        if not fits:
            glog.info(
                "data_layer.cpp:102",
                f"Frozen prefix: {size_text(size)} are too much to share: at most {size_text(self.bound)}, and"
                f" half of the {size_text(_free(self.folder))} that are free on the disk",
            )
        return fits


def _key() -> str:
    """Of what may change a bit of a row: program, threads, precision; and of the machine since its start, as
    pages of a file that was not closed in order may be lost with the power."""
    boot = BOOT.read_text() if BOOT.exists() else ""
    chosen = (options.precision(), options.tf32(), torch.get_num_threads())
    parts = (__version__, torch.__version__, platform.node(), boot, *chosen)
    return hashlib.blake2b(repr(parts).encode(), digest_size=8).hexdigest()


def _opened(path: Path, size: int, make: bool) -> BufferedRandom:
    """The file, of that size, locked against deletion; made whole where it is not there and may be."""
    while True:
        if make and not path.exists():
            _make(path, size)
        file = path.open("r+b")
        fcntl.flock(file, fcntl.LOCK_SH)
        if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
            break
        file.close()  # deleted before it was locked
    if os.fstat(file.fileno()).st_size != size:
        file.close()
        raise OSError(f"{path} has another size")
    os.utime(path)
    return file


def _make(path: Path, size: int) -> None:
    part = path.with_name(f".{secrets.token_hex(6)}")
    try:
        with part.open("xb") as file:
            os.posix_fallocate(file.fileno(), 0, size)  # a full disk later would kill the process
        with suppress(FileExistsError):
            os.link(part, path)
    finally:
        part.unlink(missing_ok=True)


def _free(folder: Path) -> int:
    """Bytes that are free on the disk of a folder, which need not be there yet."""
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    return shutil.disk_usage(there).free


def _opened_at(path: Path) -> float:
    with suppress(OSError):
        return path.stat().st_mtime
    return 0.0


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0


def _delete(path: Path) -> int:
    """Delete a file that is not in use; the bytes that are free then."""
    with suppress(OSError), path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        size = _size(path)
        path.unlink()
        return size
    return 0
