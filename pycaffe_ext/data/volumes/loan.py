"""Voxels lent to threads: few volumes are in memory at any time, however many there are and threads ask for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, Lock

from pycaffe_ext.data.volumes.geometry import Hounsfield
from pycaffe_ext.data.volumes.volume import Volume

AT_ONCE = 2  # volumes that are worked on
KEPT = 2  # that stay in memory, because patches of one are cut in several batches

Key = tuple[tuple[str, int], ...]
_room = BoundedSemaphore(AT_ONCE)
_reading = Lock()  # one is read at a time, and none twice side by side
_kept: OrderedDict[Key, Hounsfield] = OrderedDict()


@contextmanager
def on_loan(volume: Volume) -> Iterator[Hounsfield]:
    """(z, y, x) int16 HU of a volume, read at most once while it is among the last KEPT; do not write into it.

    Waits while AT_ONCE others are worked on.
    """
    with _room:
        yield _values(volume)


def _values(volume: Volume) -> Hounsfield:
    key = tuple((str(path), path.stat().st_mtime_ns) for path in volume.files)
    with _reading:
        values = _kept.pop(key, None)
        while values is None and len(_kept) >= KEPT:
            _kept.popitem(last=False)  # before another is read, not after
        _kept[key] = volume.hounsfield() if values is None else values
        return _kept[key]
