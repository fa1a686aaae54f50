"""Convolution and Deconvolution in one, two or three spatial dimensions."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from pycaffe_ext.engine import options
from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.layers.base import Layer, register

aten = torch.ops.aten


class _Conv(Layer):
    """Kernels slid over the axes behind `axis`; each bottom has its top and they share the parameters."""

    min_bottoms = min_tops = 1
    equal_bottoms_tops = True
    transposed = False

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        param = self.param.convolution_param
        self._axis = self.axis(param.axis, bottom[0])
        spatial = len(bottom[0].shape) - self._axis - 1
        self.check(1 <= spatial <= 3, f"needs 1 to 3 spatial axes, a bottom of shape {bottom[0].shape} has {spatial}")
        self._kernel = self._sizes("kernel_size", ("kernel_h", "kernel_w"), spatial, None)
        self._stride = self._sizes("stride", ("stride_h", "stride_w"), spatial, 1)
        self._pad = self._sizes("pad", ("pad_h", "pad_w"), spatial, 0)
        self._dilation = self._sizes("dilation", (), spatial, 1)
        self.check(min(self._kernel) > 0, f"kernel_size {self._kernel} must be positive")
        self.check(min(self._stride) > 0, f"stride {self._stride} must be positive")
        channels, outputs, group = bottom[0].shape[self._axis], param.num_output, param.group
        self.check(outputs > 0, "num_output must be positive")
        self.check(group > 0 and channels % group == 0, f"{channels} channels can't be cut into {group} groups")
        self.check(outputs % group == 0, f"num_output {outputs} can't be cut into {group} groups")
        rows, columns = (channels, outputs) if self.transposed else (outputs, channels)
        self.add_blob((rows, columns // group, *self._kernel), param.weight_filler)
        if param.bias_term:
            self.add_blob((outputs,), param.bias_filler)
        self._channels = channels

    def _sizes(self, field: str, pair: Sequence[str], spatial: int, default: int | None) -> list[int]:
        """A setting for each spatial axis, given once, for each axis, or as a _h, _w pair."""
        param = self.param.convolution_param
        values = list(getattr(param, field))
        if pair and any(param.HasField(name) for name in pair):
            self.check(spatial == 2, f"{pair[0]} and {pair[1]} go with two spatial axes, not {spatial}")
            self.check(not values, f"give either {field} or {pair[0]} and {pair[1]}")
            return [getattr(param, name) for name in pair]
        if not values and default is not None:
            return [default] * spatial
        self.check(len(values) in (1, spatial), f"{field} must be given once or for each of {spatial} axes")
        return values * spatial if len(values) == 1 else values

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        shape, outputs = bottom[0].shape, self.param.convolution_param.num_output
        self.check(len(shape) == self._axis + 1 + len(self._kernel), f"bottom changed its number of axes: {shape}")
        self.check(
            shape[self._axis] == self._channels,
            f"bottom has {shape[self._axis]} channels, the weights are for {self._channels}",
        )
        sizes = [self._out(n, i) for i, n in enumerate(shape[self._axis + 1 :])]
        self.check(min(sizes) > 0, f"kernel {self._kernel} is larger than the bottom of shape {shape}")
        for low, high in zip(bottom, top, strict=True):
            self.check(low.shape == shape, f"bottoms differ in shape: {shape}, {low.shape}")
            high.reshape((*shape[: self._axis], outputs, *sizes))

    def _out(self, size: int, i: int) -> int:
        extent = self._dilation[i] * (self._kernel[i] - 1) + 1
        if self.transposed:
            return self._stride[i] * (size - 1) + extent - 2 * self._pad[i]
        return (size + 2 * self._pad[i] - extent) // self._stride[i] + 1

    def operations(self, bottom: list[Blob], top: list[Blob]) -> int:
        slid, weight = (bottom, top)[not self.transposed], self.blobs[0]
        return sum(blob.count for blob in slid) * weight.count // weight.shape[0]

    def _settings(self) -> tuple[list[int], list[int], list[int], bool, list[int], int]:
        group = self.param.convolution_param.group
        return self._stride, self._pad, self._dilation, self.transposed, [0] * len(self._kernel), group

    def _batched(self, tensor: torch.Tensor) -> torch.Tensor:
        """(N, C, spatial...), whatever number of axes lie before the channels."""
        return tensor if self._axis == 1 else tensor.reshape(-1, *tensor.shape[self._axis :])

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        weight, bias = self.blobs[0].data, self.blobs[1].data if len(self.blobs) > 1 else None
        for low, high in zip(bottom, top, strict=True):
            high.data = self._convolve(self._batched(low.data), weight, bias).view(high.shape)

    def _convolve(self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        if options.precision() == "bf16":
            x, weight, bias = x.bfloat16(), weight.bfloat16(), None if bias is None else bias.bfloat16()
        return aten.convolution(x, weight, bias, *self._settings()).float().contiguous()

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        learns = [*self.param_propagate_down, False][:2]
        weight = self.blobs[0].data
        for low, high, down in zip(bottom, top, propagate_down, strict=True):
            mask = [down, learns[0], learns[1]]
            if not any(mask):
                continue
            gradients = self._gradients(self._batched(high.diff), self._batched(low.data), weight, mask)
            if down and gradients[0] is not None:
                low.diff = gradients[0].contiguous().view(low.shape)
            for blob, gradient, learn in zip(self.blobs, gradients[1:], learns, strict=False):
                if learn and gradient is not None:
                    blob.accumulate(gradient)

    def _gradients(
        self, above: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, mask: list[bool]
    ) -> list[torch.Tensor | None]:
        """Of the bottom, the weight and the bias, each where `mask` asks for it."""
        if options.precision() == "bf16":
            above, x, weight = above.bfloat16(), x.bfloat16(), weight.bfloat16()
        outputs = [self.param.convolution_param.num_output]
        gradients = aten.convolution_backward(above, x, weight, outputs, *self._settings(), mask)
        return [None if gradient is None else gradient.float() for gradient in gradients]


@register("Convolution")
class Convolution(_Conv):
    """Cross-correlation with kernels of shape (num_output, channels / group, size...)."""


@register("Deconvolution")
class Deconvolution(_Conv):
    """The gradient of a convolution as a forward pass; kernels of shape (channels, num_output / group, size...)."""

    transposed = True
