"""Crop: a blob cut to the size of another."""

from __future__ import annotations

import torch

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.layers.base import Layer, register


@register("Crop")
class Crop(Layer):
    """The first bottom cut to the second one's size from `axis` on, starting at `offset` (one for all, or for each).

    The second bottom gives nothing but its shape and gets no gradient.
    """

    exact_bottoms = 2
    exact_tops = 1
    reads_bottoms = False

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        shape, size, offset = bottom[0].shape, bottom[1].shape, list(self.param.crop_param.offset)
        axis = self.axis(self.param.crop_param.axis, bottom[0])
        cropped = len(shape) - axis
        self.check(
            len(offset) in (0, 1, cropped),
            f"offset must be given once or for each of the {cropped} cropped axes, not {len(offset)} times",
        )
        self.check(len(size) >= len(shape), f"the bottom that gives the size needs {len(shape)} axes, it has {size}")
        starts = offset if len(offset) == cropped else (offset or [0]) * cropped
        for i, start in enumerate(starts, axis):
            self.check(
                start + size[i] <= shape[i],
                f"{size[i]} values from {start} on reach beyond axis {i} of a bottom of shape {shape}",
            )
        self._window = (slice(None),) * axis + tuple(
            slice(start, start + size[i]) for i, start in enumerate(starts, axis)
        )
        top[0].reshape((*shape[:axis], *size[axis : len(shape)]))

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        top[0].data = bottom[0].data[self._window].clone(memory_format=torch.contiguous_format)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if propagate_down[0]:
            bottom[0].diff = torch.zeros_like(bottom[0].data)
            bottom[0].diff[self._window] = top[0].diff
