"""Input: blobs that the caller fills."""

from __future__ import annotations

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.layers.base import Layer, register

MOST_AXES = 32  # that a blob of Caffe's has


@register("Input")
class Input(Layer):
    """Tops that the caller fills."""

    exact_bottoms = 0
    min_tops = 1

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        shapes = self.param.input_param.shape
        self.check(len(shapes) in (0, 1, len(top)), f"input_param needs one shape, or one for each of {len(top)} tops")
        self.check(
            all(len(shape.dim) <= MOST_AXES and min(shape.dim, default=0) >= 0 for shape in shapes),
            f"a shape has up to {MOST_AXES} axes and no negative size",
        )
        for i, blob in enumerate(top):
            if shapes:
                blob.reshape(shapes[i if len(shapes) > 1 else 0].dim)

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        """The caller's shapes stay."""

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        """The caller's values stay."""

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        """Nothing lies below."""
