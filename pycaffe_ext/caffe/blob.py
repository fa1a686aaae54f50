"""Blobs and layers as pycaffe shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from pycaffe_ext.caffe.arrays import array_of
from pycaffe_ext.engine.core.blob import Blob as EngineBlob
from pycaffe_ext.engine.core.legacy_axes import LegacyAxes
from pycaffe_ext.engine.layers import Layer as EngineLayer


class Blob(LegacyAxes):
    """A blob with NumPy arrays `data` and `diff` (float32).

    What is written to them is what the next pass reads; a held array shows the values of the latest pass.
    """

    def __init__(self, find: Callable[[], EngineBlob]) -> None:
        self._find = find  # sharing weights replaces the blobs of a layer

    @property
    def data(self) -> np.ndarray:
        return array_of(self._find(), "data")

    @property
    def diff(self) -> np.ndarray:
        return array_of(self._find(), "diff")

    @property
    def shape(self) -> tuple[int, ...]:
        return self._find().shape

    @property
    def count(self) -> int:
        return self._find().count

    def reshape(self, *dims: int) -> None:
        self._find().reshape(dims)


class BlobVec(Sequence[Blob]):
    """The parameters of a layer, as long as the layer has them."""

    def __init__(self, blobs: list[EngineBlob]) -> None:
        self._blobs = blobs

    def __len__(self) -> int:
        return len(self._blobs)

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        return Blob(lambda: self._blobs[place])

    def __iter__(self) -> Iterator[Blob]:
        return (self[i] for i in range(len(self)))


class LayerView:
    """A layer of a net: its type and its parameters."""

    def __init__(self, layer: EngineLayer) -> None:
        self.type = layer.type
        self.blobs = BlobVec(layer.blobs)
