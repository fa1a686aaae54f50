"""Parameter: a learned blob of its own as a top."""

from __future__ import annotations

from pycaffe_ext.engine.core.blob import Blob, BlobView
from pycaffe_ext.engine.layers.base import Layer, register


@register("Parameter")
class Parameter(Layer):
    """A parameter of the given shape, zero at first.  The top IS the parameter: values and gradient are shared.

    As in Caffe, what the layer above writes as its bottom's gradient therefore replaces the parameter's, which is
    not added up over several backward passes.
    """

    exact_bottoms = 0
    exact_tops = 1

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        shape = self.param.parameter_param.shape.dim
        self.check(all(n > 0 for n in shape), f"shape {tuple(shape)} must be positive")
        self.add_blob(shape)
        self._view = BlobView(self.blobs[0], shape)
        top[0] = self._view

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        self._view.owner = self.blobs[0]  # it may have come to be shared since

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        """The values are there."""

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        """The gradient is there."""
