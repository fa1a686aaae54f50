"""Im2col: the windows of a convolution laid out as channels."""

from __future__ import annotations

import torch
from torch.nn.functional import pad

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.layers.base import AutogradLayer, Layer, register
from pycaffe_ext.engine.layers.conv import _Conv


@register("Im2col")
class Im2col(AutogradLayer, _Conv):
    """(..., C, size...) to (..., C * places in the window, windows along each axis...), zeros where it is padded.

    Windows are set as for Convolution, in any number of spatial axes.
    """

    exact_bottoms = exact_tops = 1
    reads_bottoms = False
    operations = Layer.operations  # it multiplies nothing

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        self._axis = self.axis(self.param.convolution_param.axis, bottom[0])
        spatial = len(bottom[0].shape) - self._axis - 1
        self.check(spatial > 0, f"a bottom of shape {bottom[0].shape} has no spatial axis behind axis {self._axis}")
        self._kernel = self._sizes("kernel_size", ("kernel_h", "kernel_w"), spatial, None)
        self._stride = self._sizes("stride", ("stride_h", "stride_w"), spatial, 1)
        self._pad = self._sizes("pad", ("pad_h", "pad_w"), spatial, 0)
        self._dilation = self._sizes("dilation", (), spatial, 1)
        for name, sizes in (("kernel_size", self._kernel), ("stride", self._stride), ("dilation", self._dilation)):
            self.check(min(sizes) > 0, f"{name} {sizes} must be positive")

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        shape, axis = bottom[0].shape, self._axis
        self.check(len(shape) == axis + 1 + len(self._kernel), f"bottom changed its number of axes: {shape}")
        sizes = [self._out(size, i) for i, size in enumerate(shape[axis + 1 :])]
        self.check(min(sizes) > 0, f"kernel {self._kernel} is larger than the bottom of shape {shape}")
        top[0].reshape((*shape[:axis], shape[axis] * torch.Size(self._kernel).numel(), *sizes))

    def compute(self, bottoms: list[torch.Tensor], params: list[torch.Tensor]) -> list[torch.Tensor]:
        spatial, first = len(self._kernel), self._axis + 1
        windows = pad(bottoms[0], [n for size in reversed(self._pad) for n in (size, size)])
        for i, (kernel, stride, step) in enumerate(zip(self._kernel, self._stride, self._dilation, strict=True)):
            windows = windows.unfold(first + i, step * (kernel - 1) + 1, stride)[..., ::step]
        places = range(first + spatial, first + 2 * spatial)
        return [windows.permute(*range(first), *places, *range(first, first + spatial))]
