"""Embed: rows of a learned table, picked by the values of a blob."""

from __future__ import annotations

import torch

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.layers.base import Layer, register
from pycaffe_ext.engine.layers.indexing import indices_in


@register("Embed")
class Embed(Layer):
    """For each value of the bottom, that row of the weights (input_dim, num_output), plus a bias.

    The top has one axis more than the bottom.  It passes no gradient down.
    """

    exact_bottoms = exact_tops = 1
    reads_bottoms = False

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        param = self.param.embed_param
        self.check(param.num_output > 0, "num_output must be positive")
        self.check(param.input_dim > 0, "input_dim must be positive")
        self.add_blob((param.input_dim, param.num_output), param.weight_filler)
        if param.bias_term:
            self.add_blob((param.num_output,), param.bias_filler)

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        top[0].reshape((*bottom[0].shape, self.param.embed_param.num_output))

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self._indices = indices_in(self, bottom[0], self.param.embed_param.input_dim, "bottom values")
        rows = self.blobs[0].data[self._indices]
        if len(self.blobs) > 1:
            rows += self.blobs[1].data
        top[0].data = rows.view(top[0].shape)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        self.check(not propagate_down[0], "can't send a gradient to its indices")
        gradient = top[0].diff.view(-1, self.param.embed_param.num_output)
        if self.param_propagate_down[0]:
            table = torch.zeros_like(self.blobs[0].data)
            self.blobs[0].accumulate(table.index_add_(0, self._indices, gradient))
        if len(self.blobs) > 1 and self.param_propagate_down[1]:
            self.blobs[1].accumulate(gradient.sum(0))
