"""DummyData: blobs that fillers make."""

from __future__ import annotations

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.core.fillers import fill
from pycaffe_ext.engine.layers.base import Layer, register
from pycaffe_ext.proto import caffe_pb2


@register("DummyData")
class DummyData(Layer):
    """Tops made by fillers: constants once, random values in each forward pass."""

    exact_bottoms = 0
    min_tops = 1

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        param = self.param.dummy_data_param
        old = list(zip(param.num, param.channels, param.height, param.width, strict=False))
        shapes = [tuple(shape.dim) for shape in param.shape] or old
        self.check(len(shapes) in (1, len(top)), f"needs one shape, or one for each of {len(top)} tops")
        fillers = list(param.data_filler) or [caffe_pb2.FillerParameter(type="constant")]
        self.check(len(fillers) in (1, len(top)), f"needs one data_filler, or one for each of {len(top)} tops")
        self._fillers = fillers * len(top) if len(fillers) == 1 else fillers
        for blob, shape in zip(top, shapes * len(top) if len(shapes) == 1 else shapes, strict=True):
            blob.reshape(shape)
        self._filled = False

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        """The shapes are fixed."""

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        for blob, filler in zip(top, self._fillers, strict=True):
            if filler.type != "constant" or not self._filled:
                fill(blob.data, filler)
        self._filled = True
