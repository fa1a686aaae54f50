"""Input, Split, Silence, Concat, Slice, Eltwise, Flatten, Reshape: layers that move blobs about."""

from __future__ import annotations

import torch

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.layers.base import AutogradLayer, Layer, register
from pycaffe_ext.proto import caffe_pb2

ELTWISE = caffe_pb2.EltwiseParameter
MOST_AXES = 32  # that a blob of Caffe's has


@register("Input")
class Input(Layer):
    """Tops that the caller fills."""

    exact_bottoms = 0
    min_tops = 1

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        shapes = self.param.input_param.shape
        self.check(len(shapes) in (0, 1, len(top)), f"input_param needs one shape, or one for each of {len(top)} tops")
        self.check(
            all(len(shape.dim) <= MOST_AXES and min(shape.dim, default=0) >= 0 for shape in shapes),
            f"a shape has up to {MOST_AXES} axes and no negative size",
        )
        for i, blob in enumerate(top):
            if shapes:
                blob.reshape(shapes[i if len(shapes) > 1 else 0].dim)

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        """The caller's shapes stay."""

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        """The caller's values stay."""

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        """Nothing lies below."""


@register("Split")
class Split(Layer):
    """The same values for several readers, in the same memory; their gradients add up."""

    exact_bottoms = 1
    min_tops = 1
    reads_bottoms = False

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        for blob in top:
            blob.reshape(bottom[0].shape)
            blob.share_data(bottom[0])

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        """The values are there."""

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if not propagate_down[0]:
            return
        total = top[0].diff.clone() if len(top) == 1 else top[0].diff + top[1].diff
        for blob in top[2:]:
            total += blob.diff
        bottom[0].diff = total


@register("Silence")
class Silence(Layer):
    """Takes blobs that nobody reads, so that they are no outputs of the net."""

    min_bottoms = 1
    exact_tops = 0
    reads_bottoms = False

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        """There is no top."""

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        """There is no top."""

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        for blob, wanted in zip(bottom, propagate_down, strict=True):
            if wanted:
                blob.diff.zero_()


class _SameValues(Layer):
    """Where there is one bottom and one top: the bottom's values under another shape, in the same memory.

    The gradient is shared too, as in Caffe: a layer in place below changes what the top's `diff` shows.  The weight of
    a loss, which a top's `diff` holds all the time, is not.
    """

    reads_bottoms = False

    def share(self, bottom: list[Blob], top: list[Blob]) -> None:
        """For the end of `reshape`."""
        if len(bottom) == len(top) == 1:
            top[0].share_data(bottom[0])

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        """The values are there."""

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if propagate_down[0]:
            gradient = top[0].diff.view(bottom[0].shape)
            bottom[0].diff = gradient.clone() if self.loss_weights[0] else gradient


@register("Concat")
class Concat(_SameValues):
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
class Slice(_SameValues):
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


@register("Eltwise")
class Eltwise(AutogradLayer):
    """Sum (with coefficients), product or maximum of bottoms of one shape; a NaN among them makes the maximum NaN."""

    min_bottoms = 2
    exact_tops = 1
    in_place = True

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        param = self.param.eltwise_param
        self.check(len(param.coeff) in (0, len(bottom)), f"coeff must be given for each of {len(bottom)} bottoms")
        self.check(not (param.operation == ELTWISE.PROD and param.coeff), "coeff goes with SUM only")
        self._coeff = list(param.coeff) or [1.0] * len(bottom)
        self.reads_bottoms = param.operation != ELTWISE.SUM

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        for blob in bottom[1:]:
            self.check(blob.shape == bottom[0].shape, f"bottoms differ in shape: {bottom[0].shape}, {blob.shape}")
        top[0].reshape(bottom[0].shape)

    def compute(self, bottoms: list[torch.Tensor], params: list[torch.Tensor]) -> list[torch.Tensor]:
        operation = self.param.eltwise_param.operation
        if operation == ELTWISE.MAX:
            first, second, *others = bottoms
            out = torch.where((first > second) | first.isnan(), first, second)  # a tie belongs to the second,
            for x in others:
                out = torch.where((x > out) | x.isnan(), x, out)  # with those that follow to the earlier one
            return [out]
        if operation == ELTWISE.PROD:
            out = bottoms[0] * bottoms[1]
            for x in bottoms[2:]:
                out = out * x
            return [out]
        out = bottoms[0] * self._coeff[0]
        for x, coeff in zip(bottoms[1:], self._coeff[1:], strict=True):
            out = torch.add(out, x, alpha=coeff)
        return [out]

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if self.param.eltwise_param.operation != ELTWISE.SUM:
            super().backward(top, propagate_down, bottom)
            return
        gradient = top[0].diff  # read before a bottom in place replaces it
        for blob, wanted, coeff in zip(bottom, propagate_down, self._coeff, strict=True):
            if wanted:
                blob.diff = gradient * coeff


@register("Flatten")
class Flatten(_SameValues):
    """Axes `axis` to `end_axis` made one."""

    exact_bottoms = exact_tops = 1

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        param, shape = self.param.flatten_param, bottom[0].shape
        first, last = self.axis(param.axis, bottom[0]), self.axis(param.end_axis, bottom[0], "end_axis")
        self.check(first <= last, f"axis {first} lies behind end_axis {last}")
        top[0].reshape((*shape[:first], torch.Size(shape[first : last + 1]).numel(), *shape[last + 1 :]))
        self.share(bottom, top)


@register("Reshape")
class Reshape(_SameValues):
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
