"""SPP: spatial pyramid pooling, as many values whatever the image's size."""

from __future__ import annotations

import math

import torch

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.layers.base import Layer, layer_class, register
from pycaffe_ext.proto import caffe_pb2

SPP_POOL = caffe_pb2.SPPParameter.PoolMethod


@register("SPP")
class SPP(Layer):
    """Pooling into 1, 2 x 2, 4 x 4 ... bins, pyramid_height levels of them, flattened one after another.

    A pyramid of one level keeps the axes of a pooled image, (N, C, 1, 1).
    """

    exact_bottoms = exact_tops = 1

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.check(self.param.spp_param.pyramid_height > 0, "pyramid_height must be positive")
        self._shape: tuple[int, ...] | None = None

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        shape = bottom[0].shape
        self.check(len(shape) == 4, f"bottom must have 4 axes (N, C, H, W), not shape {shape}")
        if shape != self._shape:
            self._make_levels(bottom)
            self._shape = shape
        if len(self._levels) == 1:
            top[0].reshape(self._pooled[0].shape)
        else:
            top[0].reshape((shape[0], sum(blob.count // shape[0] for blob in self._pooled)))

    def _make_levels(self, bottom: list[Blob]) -> None:
        settings = [self._level(i, bottom[0].shape) for i in range(self.param.spp_param.pyramid_height)]
        self._levels = [layer_class(param)(param, self.phase, self.device) for param in settings]
        self._pooled = [Blob((), self.device) for _ in self._levels]
        for pool, blob in zip(self._levels, self._pooled, strict=True):
            pool.setup(bottom, [blob])
            pool.reshape(bottom, [blob])

    def _level(self, level: int, shape: tuple[int, ...]) -> caffe_pb2.LayerParameter:
        """Pooling into 2 ** level bins along each side; the image is padded, half before, half behind, to fit."""
        bins = 2**level
        kernel = [math.ceil(size / bins) for size in shape[2:]]
        pad = [(k * bins - size + 1) // 2 for k, size in zip(kernel, shape[2:], strict=True)]
        self.check(
            all(p < k for p, k in zip(pad, kernel, strict=True)),
            f"a bottom of shape {shape} is too small for"
            f" {bins} x {bins} bins; lower pyramid_height {self.param.spp_param.pyramid_height}",
        )
        param = caffe_pb2.LayerParameter(name=self.name, type="Pooling")
        param.pooling_param.pool = getattr(caffe_pb2.PoolingParameter, SPP_POOL.Name(self.param.spp_param.pool))
        for i, side in enumerate("hw"):
            for field, value in (("kernel", kernel[i]), ("stride", kernel[i]), ("pad", pad[i])):
                setattr(param.pooling_param, f"{field}_{side}", value)
        return param

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        for pool, blob in zip(self._levels, self._pooled, strict=True):
            pool.forward(bottom, [blob])
        parts = [blob.data for blob in self._pooled]
        top[0].data = parts[0] if len(parts) == 1 else torch.cat([part.flatten(1) for part in parts], 1)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if not propagate_down[0]:
            return
        items = bottom[0].shape[0]
        parts = top[0].diff.view(items, -1).split([blob.count // items for blob in self._pooled], 1)
        below = Blob(bottom[0].shape, self.device)
        below.data = bottom[0].data
        total = torch.zeros_like(below.data)
        for pool, blob, part in zip(self._levels, self._pooled, parts, strict=True):
            blob.diff = part.reshape(blob.shape)
            pool.backward([blob], [True], [below])
            total += below.diff
        bottom[0].diff = total
