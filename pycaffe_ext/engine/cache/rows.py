"""Rows of blobs, one for each record of a database, in memory or in a memory-mapped temporary file."""

from __future__ import annotations

import math
import mmap
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from pycaffe_ext.engine import lanes

Piece = tuple[int, int, int]  # first record, its place in the batch, how many records follow each other


def pieces(position: int, batch: int, records: int) -> list[Piece]:
    """A batch that starts at record `position` of a database walked round and round, cut where it starts over."""
    out, place = [], 0
    while place < batch:
        count = min(batch - place, records - position)
        out.append((position, place, count))
        position, place = 0, place + count
    return out


class Rows:
    """float32 rows of `shapes` for `count` records from record `first` on, without values until they are kept.

    A temporary file, in `folder`, has its space reserved, has no name, and so is gone with the process however that
    ends; without a folder the rows are in memory, which is taken up as they are kept.  Raises OSError without space.
    """

    def __init__(self, first: int, count: int, shapes: Sequence[tuple[int, ...]], folder: str | None = None) -> None:
        self.first, self.count = first, count
        sizes = [math.prod(shape) for shape in shapes]
        self.bytes = 4 * count * sum(sizes)
        self._file = None if folder is None else tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        if self._file is not None:
            os.posix_fallocate(self._file.fileno(), 0, self.bytes)  # a full disk later would kill the process
        self._map = mmap.mmap(-1 if self._file is None else self._file.fileno(), self.bytes)
        self._memory, self._pinned = torch.frombuffer(self._map, dtype=torch.float32), False
        parts = self._memory.split([count * size for size in sizes])
        self._rows = [part.view(count, *shape) for part, shape in zip(parts, shapes, strict=True)]
        self._kept = np.zeros(count, bool)

    @property
    def place(self) -> str:
        return "memory" if self._file is None else "a temporary file"

    def pin_for(self, device: torch.device) -> None:
        """Have a GPU read rows in memory by itself, beside all else; the memory is then taken up at once."""
        if device.type == "cuda" and self._file is None:
            self._pinned = lanes.pin(self._memory)

    def unpin(self) -> None:
        """Undo `pin_for`, for rows that are no longer used."""
        if self._pinned:
            lanes.unpin(self._memory)
            self._pinned = False

    def covers(self, piece: Piece) -> bool:
        return self.first <= piece[0] and piece[0] + piece[2] <= self.first + self.count

    def kept(self, piece: Piece) -> bool:
        """Whether there is a value for each record of the piece."""
        return self.covers(piece) and bool(self._kept[self._span(piece)].all())

    def keep(self, piece: Piece, batch: Sequence[torch.Tensor]) -> None:
        """Copy the piece's part of each of the batch's tensors, as far as it lies within these rows."""
        record, place, count = piece
        start, end = max(record, self.first), min(record + count, self.first + self.count)
        if start >= end:
            return
        inside = self._span((start, 0, end - start))
        for rows, values in zip(self._rows, batch, strict=True):
            rows[inside].copy_(values[place + start - record : place + end - record])
        self._kept[inside] = True

    def read(self, piece: Piece, batch: Sequence[torch.Tensor]) -> None:
        """Copy the piece's rows to their places in the batch's tensors."""
        _, place, count = piece
        for rows, values in zip(self._rows, batch, strict=True):
            values[place : place + count].copy_(rows[self._span(piece)], non_blocking=True)

    def forget(self) -> None:
        """Be without values again."""
        self._kept[:] = False

    def send_to_disk(self) -> None:
        """Have a file's rows read from the disk next time, as they will be when the file outgrows the memory."""
        if self._file is None:
            return
        self._map.flush()
        self._map.madvise(mmap.MADV_DONTNEED)
        os.posix_fadvise(self._file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def _span(self, piece: Piece) -> slice:
        return slice(piece[0] - self.first, piece[0] - self.first + piece[2])


def available_memory() -> int:
    """Bytes that can be used before the system must swap, or this process's control group ends it; 0 off Linux."""
    if not sys.platform.startswith("linux"):
        return 0
    lines = Path("/proc/meminfo").read_text().splitlines()
    free = next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    try:
        group = Path("/sys/fs/cgroup") / Path("/proc/self/cgroup").read_text().split("::")[1].strip().lstrip("/")
        limit, used = ((group / name).read_text().strip() for name in ("memory.max", "memory.current"))
    except (OSError, IndexError):
        return free
    return free if limit == "max" else min(free, max(0, int(limit) - int(used)))
