"""A GPU's place taken on a CPU: `meta` tensors, on which nothing can be read back, and stand-ins for streams."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pycaffe_ext.engine import lanes

META = torch.device("meta")
GPU = SimpleNamespace(type="cuda", index=0)
READS = {"aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero", "aten::equal"}


class Strict(TorchDispatchMode):
    """Within it an operation fails that makes a tensor on the CPU, or whose result the program waits for."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name().split(".")[0]
        if name in READS:
            raise AssertionError(f"{name} waits for the device")
        out = func(*args, **(kwargs or {}))
        made = [one for one in tree_leaves(out) if isinstance(one, torch.Tensor)]
        if any(one.is_cpu for one in made):
            raise AssertionError(f"{name} made a tensor on the CPU, not on the net's device")
        return out


class Streams:
    """Stands in for CUDA's streams and events; `log` says what was done, in its order."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.stands_in = {
            "Stream": lambda device: SimpleNamespace(synchronize=lambda: self.log.append("stream waited for")),
            "stream": self._within,
            "current_stream": lambda device: "the net's",
            "Event": self._event,
        }
        self._events = 0

    @contextlib.contextmanager
    def _within(self, stream: object) -> Iterator[None]:
        self.log.append("on the stream")
        yield
        self.log.append("off the stream")

    def _event(self, blocking: bool) -> SimpleNamespace:
        number, self._events = self._events, self._events + 1
        return SimpleNamespace(
            record=lambda stream: self.log.append(f"mark {number} on {stream}"),
            synchronize=lambda: self.log.append(f"mark {number} waited for"),
        )


@pytest.fixture
def streams(monkeypatch) -> Streams:
    """engine/lanes.py with stand-ins for CUDA's streams and events, and without pinned memory."""
    made = Streams()
    for name, stand_in in made.stands_in.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    monkeypatch.setattr(lanes, "_pinned", lambda shape, dtype: torch.zeros(shape, dtype=dtype))
    return made
