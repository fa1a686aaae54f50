"""InnerProduct: the fully connected layer."""

from __future__ import annotations

import torch

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.layers.base import Layer, register


@register("InnerProduct")
class InnerProduct(Layer):
    """y = x W' + b over the axes from `axis` on, flattened; W is (outputs, inputs), or its transpose if asked."""

    exact_bottoms = exact_tops = 1

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        param = self.param.inner_product_param
        self.check(param.num_output > 0, "num_output must be positive")
        self._axis = self.axis(param.axis, bottom[0])
        self._inputs = torch.Size(bottom[0].shape[self._axis :]).numel()
        shape = (param.num_output, self._inputs)
        self.add_blob(shape[::-1] if param.transpose else shape, param.weight_filler)
        if param.bias_term:
            self.add_blob((param.num_output,), param.bias_filler)

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        shape = bottom[0].shape
        inputs = torch.Size(shape[self._axis :]).numel()
        self.check(inputs == self._inputs, f"bottom has {inputs} values per item, the weights are for {self._inputs}")
        top[0].reshape((*shape[: self._axis], self.param.inner_product_param.num_output))

    def operations(self, bottom: list[Blob], top: list[Blob]) -> int:
        return top[0].count * self._inputs

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        weight, x = self.blobs[0].data, bottom[0].data.view(-1, self._inputs)
        columns = weight if self.param.inner_product_param.transpose else weight.t()
        out = torch.addmm(self.blobs[1].data, x, columns) if len(self.blobs) > 1 else x @ columns
        top[0].data = out.view(top[0].shape)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        weight, transpose = self.blobs[0].data, self.param.inner_product_param.transpose
        outputs, x = self.param.inner_product_param.num_output, bottom[0].data.view(-1, self._inputs)
        gradient = top[0].diff.view(-1, outputs)
        if self.param_propagate_down[0]:
            self.blobs[0].accumulate_product(*((x.t(), gradient) if transpose else (gradient.t(), x)))
        if len(self.blobs) > 1 and self.param_propagate_down[1]:
            self.blobs[1].accumulate(gradient.sum(0))
        if propagate_down[0]:
            rows = weight.t() if transpose else weight
            bottom[0].diff = (gradient @ rows).view(bottom[0].shape)
