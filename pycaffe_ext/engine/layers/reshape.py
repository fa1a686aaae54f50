"""Flatten and Reshape: the same values under another shape."""

from __future__ import annotations

import torch

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.layers.base import register
from pycaffe_ext.engine.layers.same_values import SameValues


@register("Flatten")
class Flatten(SameValues):
    """Axes `axis` to `end_axis` made one."""

    exact_bottoms = exact_tops = 1

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        param, shape = self.param.flatten_param, bottom[0].shape
        first, last = self.axis(param.axis, bottom[0]), self.axis(param.end_axis, bottom[0], "end_axis")
        self.check(first <= last, f"axis {first} lies behind end_axis {last}")
        top[0].reshape((*shape[:first], torch.Size(shape[first : last + 1]).numel(), *shape[last + 1 :]))
        self.share(bottom, top)


@register("Reshape")
class Reshape(SameValues):
    """Another shape: 0 keeps an axis, -1 takes what is left."""

    exact_bottoms = exact_tops = 1

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        param, shape = self.param.reshape_param, bottom[0].shape
        axes = len(shape)
        start = param.axis if param.axis >= 0 else axes + param.axis + 1
        end = axes if param.num_axes == -1 else start + param.num_axes
        self.check(0 <= start <= end <= axes, f"axis {param.axis}, num_axes {param.num_axes} don't fit {shape}")
        dims = list(param.shape.dim)
        self.check(dims.count(-1) <= 1, "at most one dim may be -1")
        for i, dim in enumerate(dims):
            if dim == 0:
                self.check(start + i < axes, f"dim 0 at {i} has no axis to copy from a bottom of shape {shape}")
                dims[i] = shape[start + i]
        new = [*shape[:start], *dims, *shape[end:]]
        total, known = bottom[0].count, torch.Size(n for n in new if n != -1).numel()
        if -1 in new:
            self.check(known > 0 and total % known == 0, f"{shape} can't be given the shape {new}")
            new[new.index(-1)] = total // known
        self.check(torch.Size(new).numel() == total, f"{shape} can't be given the shape {new}")
        top[0].reshape(new)
        self.share(bottom, top)
