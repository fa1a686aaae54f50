"""What Concat, Slice, Flatten and Reshape have in common: a top that has its bottom's values."""

from __future__ import annotations

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.layers.base import Layer


class SameValues(Layer):
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
