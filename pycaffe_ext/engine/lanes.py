"""What runs beside the net on a GPU: batches on their way there, numbers on their way back, and who waits for whom.

A stream is a queue of work; within a step nothing may wait for the net's own.  On a CPU all of this is immediate.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch

from pycaffe_ext.engine.io.prefetch import Arrays

T = TypeVar("T")
AHEAD = 2  # iterations that may be queued: the GPU never runs dry, and batches that it has yet to read are few
MOST_READINGS = 256  # that may be under way


class Lane:
    """The way of a reading thread's batches to `device`: a stream of their own, beside the net's.

    arrays : lends the memory that batches are gathered in; pinned for a GPU, so that copying from it takes no thread
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self.arrays = Arrays() if self._stream is None else Arrays(_pinned_array)

    def carry(self, make: Callable[[], T]) -> T:
        """What `make` makes, once the device has it: this thread waits, so that the net never does and pinned memory
        may be used again."""
        if self._stream is None:
            return make()
        with torch.cuda.stream(self._stream):  # also makes its GPU this thread's, which would else be the first
            made = make()
        self._stream.synchronize()
        return made

    def bring(self, values: torch.Tensor) -> torch.Tensor:
        """The values on the device; call it within `carry`."""
        return values.to(self.device, non_blocking=True)


def hand_over(values: torch.Tensor) -> torch.Tensor:
    """A lane's tensor for the net to use: its memory is not used again before the net has done with it."""
    if values.is_cuda:
        values.record_stream(torch.cuda.current_stream(values.device))
    return values


class Pace:
    """Lets the host be at most AHEAD iterations ahead of the device, and waits for no more than that."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._marks: deque[torch.cuda.Event] = deque()

    def mark(self) -> None:
        """Call it at the end of each iteration."""
        if self._device.type != "cuda":
            return
        self._marks.append(_event(self._device))
        if len(self._marks) > AHEAD:
            self._marks.popleft().synchronize()


@dataclass
class _Reading:
    values: torch.Tensor
    use: Callable[[np.ndarray], None]
    there: torch.cuda.Event | None


class Readings:
    """Numbers that a device has yet to compute, and what is to be done with them; `use` is called in their order.

    On a CPU a number is used at once, elsewhere when it is asked for, without waiting before.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._waiting: deque[_Reading] = deque()

    def add(self, values: torch.Tensor, use: Callable[[np.ndarray], None]) -> None:
        """Have `use` called with the values, one-dimensional, as they are now."""
        if self._device.type == "cpu":
            use(values.numpy())
            return
        if self._device.type == "cuda":
            host = _pinned(tuple(values.shape), values.dtype)
            self._waiting.append(_Reading(host.copy_(values, non_blocking=True), use, _event(self._device)))
        else:
            self._waiting.append(_Reading(values, use, None))
        if len(self._waiting) > MOST_READINGS:
            self.settle(MOST_READINGS // 2)

    def settle(self, but: int = 0) -> None:
        """Use all that was added, but for the latest `but`."""
        while len(self._waiting) > but:
            reading = self._waiting.popleft()
            if reading.there is not None:
                reading.there.synchronize()
            reading.use(reading.values.numpy())


def _event(device: torch.device) -> torch.cuda.Event:
    """A mark behind all that the net's stream was given; who waits for it sleeps, so that threads can read on."""
    mark = torch.cuda.Event(blocking=True)
    mark.record(torch.cuda.current_stream(device))
    return mark


def pin(values: torch.Tensor) -> bool:
    """Lock the values' memory where it lies, so that a GPU copies from it beside all else; whether that worked."""
    return int(torch.cuda.cudart().cudaHostRegister(values.data_ptr(), values.nbytes, 0)) == 0


def unpin(values: torch.Tensor) -> None:
    """Undo `pin`, before the memory is given back."""
    torch.cuda.cudart().cudaHostUnregister(values.data_ptr())


def _pinned_array(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    return _pinned(shape, torch.uint8 if dtype == np.uint8 else torch.float32).numpy()


def _pinned(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, pin_memory=True)
