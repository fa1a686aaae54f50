"""Scale and Bias: multiply or add a blob (learned, or the second bottom) along some axes; BatchNorm."""

from __future__ import annotations

import torch

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.layers.base import AutogradLayer, Layer, register
from pycaffe_ext.proto import caffe_pb2

Tensors = list[torch.Tensor]


class _Along(AutogradLayer):
    """A factor or term whose axes match the bottom's from `axis` on."""

    min_bottoms = exact_tops = 1
    max_bottoms = 2
    in_place = True
    neutral = 0.0

    def _param(self) -> caffe_pb2.ScaleParameter | caffe_pb2.BiasParameter:
        raise NotImplementedError

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        param = self._param()
        if len(bottom) == 1:
            axis = self.axis(param.axis, bottom[0])
            self.check(param.num_axes >= -1, f"num_axes must be -1 (all that follow) or more, not {param.num_axes}")
            shape = bottom[0].shape[axis:] if param.num_axes == -1 else bottom[0].shape[axis : axis + param.num_axes]
            self.check(
                param.num_axes <= len(bottom[0].shape) - axis,
                f"num_axes {param.num_axes} from axis {axis} on is more than shape {bottom[0].shape} has",
            )
            default = caffe_pb2.FillerParameter(type="constant", value=self.neutral)
            self.add_blob(shape, param.filler if param.HasField("filler") else default)

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        shape = (bottom[1] if len(bottom) > 1 else self.blobs[0]).shape
        axis = 0 if not shape else self.axis(self._param().axis, bottom[0])
        self.check(
            bottom[0].shape[axis : axis + len(shape)] == shape,
            f"a blob of shape {shape} doesn't fit {bottom[0].shape} from axis {axis} on",
        )
        self._spread = (*[1] * axis, *shape, *[1] * (len(bottom[0].shape) - axis - len(shape)))
        top[0].reshape(bottom[0].shape)

    def _operands(self, bottoms: Tensors, params: Tensors) -> Tensors:
        """The factor or term, then further parameters, shaped to go with the bottom."""
        return [x.view(self._spread) for x in [*bottoms[1:], *params]]


@register("Bias")
class Bias(_Along):
    reads_bottoms = False

    def _param(self) -> caffe_pb2.BiasParameter:
        return self.param.bias_param

    def compute(self, bottoms: Tensors, params: Tensors) -> Tensors:
        return [bottoms[0] + self._operands(bottoms, params)[0]]


@register("Scale")
class Scale(_Along):
    """x * scale, plus a learned bias if bias_term is set."""

    neutral = 1.0

    def _param(self) -> caffe_pb2.ScaleParameter:
        return self.param.scale_param

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        super().setup(bottom, top)
        param = self.param.scale_param
        if param.bias_term:
            shape = self.blobs[0].shape if self.blobs else bottom[1].shape
            self.add_blob(shape, param.bias_filler if param.HasField("bias_filler") else None)

    def compute(self, bottoms: Tensors, params: Tensors) -> Tensors:
        factor, *bias = self._operands(bottoms, params)
        out = bottoms[0] * factor
        return [out + bias[0] if bias else out]


@register("BatchNorm")
class BatchNorm(Layer):
    """Each channel less its mean, over its standard deviation: the batch's in training, else the stored ones.

    Parameters: running sums of mean and variance, and their common weight.  They never learn by gradient.
    """

    exact_bottoms = exact_tops = 1
    in_place = True
    reads_bottoms = False

    @property
    def reads_tops(self) -> bool:
        return not self._stored

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        channels = 1 if len(bottom[0].shape) == 1 else bottom[0].shape[1]
        for shape in ((channels,), (channels,), (1,)):
            self.add_blob(shape)
        for spec in self.param.param:
            self.check(
                spec.lr_mult == 0 or not spec.HasField("lr_mult"),
                "its statistics can't learn: set lr_mult 0 in its param blocks",
            )
        while len(self.param.param) < 3:
            self.param.param.add()
        for spec in self.param.param:
            spec.lr_mult = 0

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        shape = bottom[0].shape
        self.check(
            (1 if len(shape) == 1 else shape[1]) == self.blobs[0].count,
            f"bottom of shape {shape} doesn't have {self.blobs[0].count} channels",
        )
        self._sum_axes = [i for i in range(len(shape)) if i != 1 or len(shape) == 1]
        self._spread = (1, -1, *[1] * (len(shape) - 2)) if len(shape) > 1 else (1,)
        top[0].reshape(shape)

    @property
    def _stored(self) -> bool:
        param = self.param.batch_norm_param
        return param.use_global_stats if param.HasField("use_global_stats") else not self.training

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        x, eps = bottom[0].data, self.param.batch_norm_param.eps
        if self._stored:
            weight = self.blobs[2].data
            factor = torch.where(weight == 0, 0.0, 1 / weight)
            mean, var = self.blobs[0].data * factor, self.blobs[1].data * factor
            centred = x - mean.view(self._spread)
        else:
            mean = x.mean(self._sum_axes)
            centred = x - mean.view(self._spread)
            var = centred.square().mean(self._sum_axes).view(-1)
            self._remember(mean.view(-1), var, x.numel() // max(1, self.blobs[0].count))
        self._std = (var + eps).sqrt().view(self._spread)
        top[0].data = centred / self._std

    def _remember(self, mean: torch.Tensor, var: torch.Tensor, items: int) -> None:
        fraction = self.param.batch_norm_param.moving_average_fraction
        unbiased = items / (items - 1) if items > 1 else 1.0
        for blob, value in zip(self.blobs, (mean, var * unbiased, 1.0), strict=True):
            blob.data.mul_(fraction).add_(value)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if not propagate_down[0]:
            return
        gradient = top[0].diff
        if not self._stored:
            normal = top[0].data
            along = (gradient * normal).mean(self._sum_axes, keepdim=True)
            gradient = gradient - gradient.mean(self._sum_axes, keepdim=True) - along * normal
        bottom[0].diff = gradient / self._std
