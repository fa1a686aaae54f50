"""Concat and Slice: blobs joined and cut along an axis."""

from __future__ import annotations

import torch

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.layers.base import register
from pycaffe_ext.engine.layers.same_values import SameValues


@register("Concat")
class Concat(SameValues):
    """Bottoms one after another along an axis."""

    min_bottoms = exact_tops = 1

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        param = self.param.concat_param
        self.check(not (param.HasField("axis") and param.HasField("concat_dim")), "give either axis or concat_dim")
        self._axis = self.axis(param.concat_dim if param.HasField("concat_dim") else param.axis, bottom[0])

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        shape = list(bottom[0].shape)
        shape[self._axis] = 0
        for blob in bottom:
            rest = list(blob.shape)
            self.check(len(rest) == len(shape), f"bottoms have shapes {bottom[0].shape} and {blob.shape}")
            rest[self._axis] = shape[self._axis]
            self.check(rest == shape, f"all axes but {self._axis} must agree: {bottom[0].shape} and {blob.shape}")
            shape[self._axis] += blob.shape[self._axis]
        top[0].reshape(shape)
        self.share(bottom, top)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        if len(bottom) > 1:
            top[0].data = torch.cat([blob.data for blob in bottom], self._axis)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if len(bottom) == 1:
            super().backward(top, propagate_down, bottom)
            return
        parts = top[0].diff.split([blob.shape[self._axis] for blob in bottom], self._axis)
        for blob, wanted, part in zip(bottom, propagate_down, parts, strict=True):
            if wanted:
                blob.diff = part.clone(memory_format=torch.contiguous_format)


@register("Slice")
class Slice(SameValues):
    """One bottom cut along an axis, equally or at the given points."""

    exact_bottoms = min_tops = 1

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        param = self.param.slice_param
        self.check(not (param.HasField("axis") and param.HasField("slice_dim")), "give either axis or slice_dim")
        self._axis = self.axis(param.slice_dim if param.HasField("slice_dim") else param.axis, bottom[0])

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        points, size = list(self.param.slice_param.slice_point), bottom[0].shape[self._axis]
        if points:
            self.check(len(points) == len(top) - 1, f"{len(points)} slice points don't make {len(top)} tops")
            ends = [*points, size]
            self._sizes = [b - a for a, b in zip([0, *points], ends, strict=True)]
            self.check(min(self._sizes) > 0, f"slice points {points} must rise and lie inside axis of size {size}")
        else:
            self.check(size % len(top) == 0, f"axis of size {size} can't be cut into {len(top)} equal parts")
            self._sizes = [size // len(top)] * len(top)
        for blob, part in zip(top, self._sizes, strict=True):
            blob.reshape((*bottom[0].shape[: self._axis], part, *bottom[0].shape[self._axis + 1 :]))
        self.share(bottom, top)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        if len(top) == 1:
            return
        for blob, part in zip(top, bottom[0].data.split(self._sizes, self._axis), strict=True):
            blob.data = part.clone(memory_format=torch.contiguous_format)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if len(top) == 1:
            super().backward(top, propagate_down, bottom)
        elif propagate_down[0]:
            bottom[0].diff = torch.cat([blob.diff for blob in top], self._axis)
