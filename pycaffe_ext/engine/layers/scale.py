"""Scale and Bias: multiply or add a blob (learned, or the second bottom) along some axes."""

from __future__ import annotations

import torch

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.layers.base import AutogradLayer, register
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
