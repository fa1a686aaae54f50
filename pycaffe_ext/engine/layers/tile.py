"""Tile: a blob repeated along an axis."""

from __future__ import annotations

import torch

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.layers.base import Layer, register


@register("Tile")
class Tile(Layer):
    """The bottom `tiles` times over along an axis."""

    exact_bottoms = exact_tops = 1
    reads_bottoms = False

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        param, shape = self.param.tile_param, list(bottom[0].shape)
        self.check(param.tiles > 0, f"tiles must be given and positive, not {param.tiles}")
        self._axis = self.axis(param.axis, bottom[0])
        shape[self._axis] *= param.tiles
        top[0].reshape(shape)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        top[0].data = torch.cat([bottom[0].data] * self.param.tile_param.tiles, self._axis)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if propagate_down[0]:
            shape = bottom[0].shape
            tiles = top[0].diff.view(*shape[: self._axis], self.param.tile_param.tiles, *shape[self._axis :])
            bottom[0].diff = tiles.sum(self._axis)
