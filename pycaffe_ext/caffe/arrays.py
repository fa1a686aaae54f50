"""NumPy arrays that stand for the engine's tensors, kept in step with them for as long as they are referenced.

The engine binds new tensors to a blob whenever that is cheaper than copying.  An array that a script holds has to show
the latest values all the same, and what is written to it has to be what the next pass reads.  On the CPU both are the
same memory; elsewhere (a GPU, another number format) the array is a copy that each call brings up to date both ways.
Arrays that are no longer referenced cost nothing.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.core.transfer import SharedValues

T = TypeVar("T")


class _Mirror:
    """The array handed out for a blob's `data` or `diff`; it holds the blob, arrays may outlive their net."""

    def __init__(self, blob: Blob, field: str) -> None:
        self.key = (id(blob), field)
        self._blob, self._field = blob, field
        tensor = self.tensor
        self.host = tensor if _shareable(tensor) else tensor.to("cpu", torch.float32).contiguous()
        self._unsent: np.ndarray | None = self.host.numpy()  # held until the engine has seen what was written
        self.array = weakref.ref(self._unsent, self._forget)

    @property
    def tensor(self) -> torch.Tensor:
        return getattr(self._blob, self._field)

    @property
    def fits(self) -> bool:
        return self.host.shape == self.tensor.shape

    def hand_out(self) -> np.ndarray:
        array = self.array()
        assert array is not None, "held by _unsent"
        if self.host is self.tensor:
            self._unsent = None
        return array

    def push(self) -> None:
        """Bring what was written to the array to where the engine computes."""
        tensor = self.tensor
        if self.fits and not _shareable(tensor):
            tensor.copy_(self.host)
        elif self._field == "data" and self._blob in _changed_in_place:
            self._blob.data = tensor.clone()
        self._unsent = None

    def pull(self) -> None:
        """Bring what was computed into the array; on the CPU the blob goes on in the array's memory."""
        tensor = self.tensor
        if not self.fits or (tensor.is_cpu and tensor.data_ptr() == self.host.data_ptr()):
            return
        self.host.copy_(tensor)
        if _shareable(tensor):
            setattr(self._blob, self._field, self.host)

    def bring_up_to_date(self) -> None:
        """Show a tensor bound since the last call too; elsewhere the array may hold what is to be pushed."""
        if _shareable(self.tensor):
            self.pull()

    def _forget(self, _: object) -> None:
        if _mirrors.get(self.key) is self:
            del _mirrors[self.key]


def _shareable(tensor: torch.Tensor) -> bool:
    return tensor.is_cpu and tensor.dtype == torch.float32 and tensor.is_contiguous()


_mirrors: dict[tuple[int, str], _Mirror] = {}
_changed_in_place: weakref.WeakSet[Blob] = weakref.WeakSet()


def changes_in_place(blob: Blob) -> None:
    """Say that layers work in place on a blob.

    They may keep the tensor that they found for the backward pass, so it must not be the memory of an array, which
    shows the blob's new values after the forward pass.
    """
    _changed_in_place.add(blob)


def array_of(blob: Blob, field: str) -> np.ndarray:
    """The array of a blob's `data` or `diff`, float32, in the blob's shape."""
    if field == "data" and isinstance(blob, SharedValues):
        blob = blob.source
    known = _mirrors.get((id(blob), field))
    if known is not None and (held := known.array()) is not None and known.fits:
        known.bring_up_to_date()
        return held
    mirror = _Mirror(blob, field)
    _mirrors[mirror.key] = mirror
    return mirror.hand_out()


def push() -> None:
    """Let the engine see what was written to arrays."""
    for mirror in list(_mirrors.values()):
        mirror.push()


def pull() -> None:
    """Show in the arrays what the engine has computed."""
    for mirror in list(_mirrors.values()):
        mirror.pull()


def synchronised(work: Callable[[], T]) -> T:
    """Run `work` in the engine with the arrays' contents, then show its results in them."""
    push()
    try:
        return work()
    finally:
        pull()


def called_back(function: Callable[..., object]) -> Callable[..., None]:
    """A script's function as the engine may call it in the middle of its work."""

    def call(*args: object) -> None:
        pull()
        function(*args)
        push()

    return call
