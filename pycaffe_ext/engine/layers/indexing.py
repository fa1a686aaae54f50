"""BatchReindex and Filter: items picked by the values of a blob."""

from __future__ import annotations

import torch

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.layers.base import Layer, register


def indices_in(layer: Layer, blob: Blob, size: int, meaning: str) -> torch.Tensor:
    """The blob's values as one row of indices (int64), their fractions dropped.

    A value outside 0..size-1 is refused in the layer's name; on a GPU torch itself stops there.
    """
    values = blob.data.reshape(-1)
    if values.is_cpu and values.numel():
        least, most = float(values.min()), float(values.max())
        layer.check(0 <= least <= most < size, f"{meaning} must lie in 0..{size - 1}, there are {least:g} to {most:g}")
    return values.long()


@register("BatchReindex")
class BatchReindex(Layer):
    """Items of the first bottom in the order that the second one gives; left out, or repeated, as it says."""

    exact_bottoms = 2
    exact_tops = 1
    reads_bottoms = False

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.check(len(bottom[1].shape) == 1, f"indices must have 1 axis, not shape {bottom[1].shape}")
        self.check(len(bottom[0].shape) > 0, "the first bottom has no axis of items")
        top[0].reshape((bottom[1].shape[0], *bottom[0].shape[1:]))

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self._indices = indices_in(self, bottom[1], bottom[0].shape[0], "indices")
        top[0].data = bottom[0].data[self._indices]

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        self.check(not propagate_down[1], "can't send a gradient to its indices")
        if propagate_down[0]:
            bottom[0].diff = torch.zeros_like(bottom[0].data).index_add_(0, self._indices, top[0].diff)


@register("Filter")
class Filter(Layer):
    """Items of all bottoms but the last for which the last one, the selector, is not zero.

    The tops' number of items follows the selector's values at each pass; while the net is built it is the bottom's.
    """

    min_bottoms = 2
    min_tops = 1
    reads_bottoms = False

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.check(
            len(top) == len(bottom) - 1,
            f"{len(bottom)} bottoms (the last selects) make {len(bottom) - 1} top(s), not {len(top)}",
        )
        self._built = False

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        *filtered, selector = bottom
        items = selector.shape[:1]
        self.check(
            bool(items) and selector.count == items[0], f"the selector needs one value an item, not {selector.shape}"
        )
        for blob in filtered:
            self.check(blob.shape[:1] == items, f"the selector has {items[0]} items, a bottom has shape {blob.shape}")
        self._chosen = selector.data.reshape(-1).nonzero().reshape(-1)
        count = self._chosen.numel() if self._built else items[0]
        self._built = True
        for low, high in zip(filtered, top, strict=True):
            high.reshape((count, *low.shape[1:]))

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        for low, high in zip(bottom, top, strict=False):
            high.data = low.data[self._chosen]

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        self.check(not propagate_down[-1], "can't send a gradient to its selector")
        for low, high, wanted in zip(bottom, top, propagate_down, strict=False):
            if wanted:
                low.diff = torch.zeros_like(low.data).index_copy_(0, self._chosen, high.diff)
