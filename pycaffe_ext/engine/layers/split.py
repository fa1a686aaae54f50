"""Split and Silence: several readers of a blob, and none."""

from __future__ import annotations

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.layers.base import Layer, register


@register("Split")
class Split(Layer):
    """The same values for several readers, in the same memory; their gradients add up."""

    exact_bottoms = 1
    min_tops = 1
    reads_bottoms = False

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        for blob in top:
            blob.reshape(bottom[0].shape)
            blob.share_data(bottom[0])

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        """The values are there."""

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if not propagate_down[0]:
            return
        total = top[0].diff.clone() if len(top) == 1 else top[0].diff + top[1].diff
        for blob in top[2:]:
            total += blob.diff
        bottom[0].diff = total


@register("Silence")
class Silence(Layer):
    """Reads blobs that no other layer reads, so that they do not count as outputs of the net."""

    min_bottoms = 1
    exact_tops = 0
    reads_bottoms = False

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        """No-op: there is no top."""

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        """No-op: there is no top."""

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        for blob, wanted in zip(bottom, propagate_down, strict=True):
            if wanted:
                blob.diff.zero_()
