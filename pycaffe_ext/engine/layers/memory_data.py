"""The MemoryData layer: batches of arrays that the program gives it."""

from __future__ import annotations

import numpy as np
import torch

from pycaffe_ext import glog
from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.io.transform import mean_of
from pycaffe_ext.engine.lanes import Lane, hand_over
from pycaffe_ext.engine.layers.base import Layer, register
from pycaffe_ext.errors import UserError


@register("MemoryData")
class MemoryData(Layer):
    """Tops: data (batch_size, channels, height, width) and labels (batch_size,) from what `reset` was given.

    As in Caffe, the first pass gives the labels the shape (batch_size, 1, 1, 1).
    """

    exact_bottoms = 0
    exact_tops = 2

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        param = self.param.memory_data_param
        self._item = (param.channels, param.height, param.width)
        self.batch_size = param.batch_size
        self.check(
            self.batch_size > 0 and all(self._item),
            "needs memory_data_param with batch_size, channels, height and width, all > 0",
        )
        try:
            mean_of(self.param.transform_param)  # not applied to arrays, but Caffe reads it here all the same
        except UserError as error:
            self.fail(str(error))
        self._data = self._labels = np.empty(0, np.float32)
        self._lane = Lane(self.device)
        self._position = 0
        top[0].reshape((self.batch_size, *self._item))
        top[1].reshape((self.batch_size,))

    def reset(self, data: np.ndarray, labels: np.ndarray) -> None:
        """Take the batches of these arrays from now on, starting with the first, in an endless cycle.

        data : (n, channels, height, width) float32, used as it is: transform_param does not apply
        labels : n float32 in any shape, e.g. (n, 1, 1, 1);  n : a multiple of batch_size
        The arrays are not copied: what is written to them later is what later passes read.
        """
        items = len(data)
        self.check(data.dtype == labels.dtype == np.float32, f"takes float32, not {data.dtype} and {labels.dtype}")
        self.check(
            data.shape[1:] == self._item,
            f"takes data of shape (n, {', '.join(map(str, self._item))}), not {data.shape}",
        )
        self.check(labels.size == items, f"needs a label for each of {items} items, not {labels.size}")
        self.check(
            items > 0 and items % self.batch_size == 0,
            f"takes a multiple of its batch size {self.batch_size}, not {items} items",
        )
        if self.param.HasField("transform_param"):
            glog.warning("memory_data_layer.cpp:90", "MemoryData does not transform array data on Reset()")
        self._data, self._labels, self._position = data, labels.reshape(-1), 0

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        """The settings gave the shapes."""

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.check(len(self._data) > 0, "was given no data; call reset (in pycaffe: net.set_input_arrays)")
        part = slice(self._position, self._position + self.batch_size)
        arrays = self._data[part], self._labels[part].reshape(-1, 1, 1, 1)
        copies = self._lane.carry(lambda: [torch.tensor(array, device=self.device) for array in arrays])
        for blob, values in zip(top, copies, strict=True):
            blob.data = hand_over(values)
        self._position = (self._position + self.batch_size) % len(self._data)
