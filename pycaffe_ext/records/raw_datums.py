"""Raw Datums looked at where they lie: to parse them copies their pixels twice."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from google.protobuf.message import DecodeError

from pycaffe_ext.proto import caffe_pb2

LONGEST_TAIL = 16  # bytes of a label and of `encoded` behind the pixels


class RawDatums:
    """Knows how raw Datums of one shape are serialised, from the first one that it was shown."""

    def __init__(self) -> None:
        self.shape: tuple[int, ...] = ()
        self._head = b""  # what stands before the pixels
        self._start = self._end = 0  # of the pixels

    @property
    def known(self) -> bool:
        """Whether a raw Datum was met."""
        return bool(self._head)

    def learn(self, datum: caffe_pb2.Datum, image: np.ndarray) -> None:
        """Remember how `datum` begins if its `image`, (C, H, W), is held as raw bytes and it is the first such one."""
        if self._head or datum.encoded or datum.float_data or not datum.data:
            return
        plain = caffe_pb2.Datum()
        plain.CopyFrom(datum)
        plain.ClearField("label")
        plain.ClearField("encoded")
        self.shape, self._head = image.shape, plain.SerializeToString()[: -image.size]
        self._start, self._end = len(self._head), len(self._head) + image.size

    def look(self, content: bytes | memoryview) -> tuple[int, np.ndarray] | None:
        """(label, pixels (C * H * W,) uint8, a view of `content`) of a serialised Datum of `shape`; None if it must be
        parsed."""
        start, end = self._start, self._end
        if not end <= len(content) <= end + LONGEST_TAIL or not start or content[:start] != self._head:
            return None
        label = _label(bytes(content[end:]))
        return None if label is None else (label, np.frombuffer(content, np.uint8, end - start, start))


@lru_cache(maxsize=4096)
def _label(tail: bytes) -> int | None:
    """The label of a Datum that ends so behind its pixels; None if there is more to it than a label."""
    try:
        datum = caffe_pb2.Datum.FromString(tail)
    except DecodeError:
        return None
    plain = all(field.name in ("label", "encoded") for field, _ in datum.ListFields()) and not datum.encoded
    return datum.label if plain else None
