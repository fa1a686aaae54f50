"""Any number of items through a net of fixed batch size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import zip_longest
from typing import Any, Protocol

import numpy as np

from pycaffe_ext.caffe.mistakes import BadValue, RunError

Arrays = dict[str, np.ndarray]
Cut = Callable[[Arrays], Iterable[Arrays]]  # arrays of any number of items -> batches of the net's size


class Passes(Protocol):
    """What is needed of a net."""

    inputs: list[str]
    outputs: list[str]

    def forward(self, blobs: Iterable[str] | None = None, **inputs: Any) -> Arrays: ...

    def backward(self, diffs: Iterable[str] | None = None, **gradients: Any) -> Arrays: ...


def batches(blobs: Arrays, size: int) -> Iterator[Arrays]:
    """Cut arrays of equally many items into batches of `size`, the last one filled up with zeros."""
    for first in range(0, _items(blobs), size):
        yield {name: _filled(np.asarray(array[first : first + size]), size) for name, array in blobs.items()}


def forward_all(net: Passes, cut: Cut, blobs: list[str], inputs: Arrays) -> Arrays:
    """See `Net.forward_all`."""
    parts = _Parts()
    for batch in cut(inputs):
        parts.add(net.forward(blobs, **batch))
    return parts.joined(_items(inputs))


def forward_backward_all(
    net: Passes, cut: Cut, blobs: list[str], diffs: list[str], given: Arrays
) -> tuple[Arrays, Arrays]:
    """See `Net.forward_backward_all`."""
    strange = set(given) - set(net.inputs) - set(net.outputs)
    if strange:
        raise BadValue(
            f"{', '.join(sorted(strange))}: neither input nor output of the net"
            f" (inputs: {', '.join(net.inputs)}; outputs: {', '.join(net.outputs)})"
        )
    values, gradients = _Parts(), _Parts()
    ahead, back = ({name: given[name] for name in names if name in given} for names in (net.inputs, net.outputs))
    nothing: Arrays = {}
    pairs = (iter(cut(arrays)) if arrays else iter(()) for arrays in (ahead, back))
    for batch, batch_back in zip_longest(*pairs, fillvalue=nothing):
        values.add(net.forward(blobs, **batch))
        gradients.add(net.backward(diffs, **batch_back))
    return values.joined(_items(given)), gradients.joined(_items(given))


def check_memory(data: np.ndarray, labels: np.ndarray, param: Any) -> None:
    """Raise RunError unless the arrays are what a MemoryData layer takes."""
    image = (param.channels, param.height, param.width)
    for name, array, shape in (("data", data, image), ("labels", labels, (1, 1, 1))):
        if array.dtype != np.float32 or not array.flags.c_contiguous:
            raise RunError(
                f"{name} array must be float32 and C contiguous; use numpy.ascontiguousarray({name}, numpy.float32)"
            )
        if array.ndim != 4 or array.shape[1:] != shape:
            raise RunError(f"{name} array must have shape (n, {', '.join(map(str, shape))}), not {array.shape}")
    if len(data) != len(labels) or not len(data) or len(data) % param.batch_size:
        raise RunError(
            f"{len(data)} images and {len(labels)} labels: give equally many, a multiple of batch_size"
            f" {param.batch_size}"
        )


class _Parts:
    """Results of batches, by name."""

    def __init__(self) -> None:
        self._parts: dict[str, list[np.ndarray]] = {}

    def add(self, results: Arrays) -> None:
        for name, array in results.items():
            self._parts.setdefault(name, []).append(np.atleast_1d(array).copy())

    def joined(self, items: int) -> Arrays:
        return {name: np.concatenate(parts)[:items] for name, parts in self._parts.items()}


def _items(arrays: Arrays) -> int:
    if not arrays:
        raise BadValue("give the inputs of the net, by name")
    counts = {name: len(array) for name, array in arrays.items()}
    if len(set(counts.values())) > 1:
        raise BadValue(f"the arrays hold different numbers of items: {counts}; give equally many")
    return next(iter(counts.values()))


def _filled(array: np.ndarray, size: int) -> np.ndarray:
    return np.concatenate([array, np.zeros((size - len(array), *array.shape[1:]), array.dtype)])
