"""What a layer written in Python sees of the engine: the base class `Layer` and blobs with NumPy arrays.

The pycaffe-shaped module exports `Layer` as `caffe.Layer`:

    import caffe

    class Double(caffe.Layer):
        def setup(self, bottom, top): ...
        def reshape(self, bottom, top):
            top[0].reshape(*bottom[0].shape)
        def forward(self, bottom, top):
            top[0].data[...] = 2 * bottom[0].data
        def backward(self, top, propagate_down, bottom):
            bottom[0].diff[...] = 2 * top[0].diff
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import torch

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.core.legacy_axes import LegacyAxes
from pycaffe_ext.errors import UserError

OURS = "pycaffe_ext.caffe"


class Layer:
    """Base of layers written in Python; the engine makes them with the LayerParameter and sets the attributes.

    param_str : python_param.param_str;  phase : caffe.TRAIN or caffe.TEST
    blobs : the layer's parameters; `self.blobs.add_blob(3, 2)` in `setup` appends one of shape (3, 2), zero
    Subclasses have setup(bottom, top) and reshape(bottom, top), which run before the first pass (reshape before each
    one), forward(bottom, top) and backward(top, propagate_down, bottom).  bottom and top are lists of ArrayBlobs.
    backward writes the `diff` of each bottom whose `propagate_down` is true and ADDS to its parameters' `diff`.
    """

    type = "Python"
    param_str: str
    phase: int
    blobs: ParamBlobs

    def __init__(self, param: Any) -> None:
        """`param` is the LayerParameter."""


class ArrayBlob(LegacyAxes):
    """A blob whose `data` and `diff` are float32 arrays to read and to write in place, in the blob's shape.

    On the CPU they are the blob's own memory.  Elsewhere they are copies; `flush` takes back what was written.
    """

    def __init__(self, blob: Blob) -> None:
        self._blob = blob
        self._copies: dict[str, torch.Tensor] = {}

    @property
    def data(self) -> np.ndarray:
        return self._array("data")

    @property
    def diff(self) -> np.ndarray:
        return self._array("diff")

    def shows(self, blob: Blob) -> bool:
        """Whether this is the view of that blob."""
        return self._blob is blob

    def _array(self, field: str) -> np.ndarray:
        tensor = getattr(self._blob, field)
        if tensor.is_cpu and tensor.dtype == torch.float32:
            return tensor.numpy()
        if field not in self._copies:
            self._copies[field] = tensor.to("cpu", torch.float32, copy=True)
        return self._copies[field].numpy()

    def flush(self) -> None:
        """Bring what was written to copies to where the engine computes."""
        for field, copy in self._copies.items():
            getattr(self._blob, field).copy_(copy)
        self._copies.clear()

    def reshape(self, *dims: int) -> None:
        self.flush()
        self._blob.reshape(dims)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._blob.shape

    @property
    def count(self) -> int:
        return self._blob.count


class ParamBlobs(Sequence[ArrayBlob]):
    """The parameters of a layer: a view of the engine's list, whose blobs change when weights are shared."""

    def __init__(self, blobs: list[Blob], device: torch.device) -> None:
        self._blobs, self._device = blobs, device
        self._views: dict[int, ArrayBlob] = {}

    def __len__(self) -> int:
        return len(self._blobs)

    def __getitem__(self, index: int) -> ArrayBlob:  # type: ignore[override]  # no slices
        place = range(len(self))[index]
        view = self._views.get(place)
        if view is None or not view.shows(self._blobs[place]):
            view = self._views[place] = ArrayBlob(self._blobs[place])
        return view

    def add_blob(self, *shape: int) -> None:
        """Append a parameter of this shape, zero."""
        self._blobs.append(Blob(shape, self._device))

    def flush(self) -> None:
        """As ArrayBlob.flush, of each."""
        for view in self._views.values():
            view.flush()


def load_class(module: str, name: str) -> type[Layer]:
    """Class `name` of `module`, which is found as every import is (sys.path, PYTHONPATH).

    Raises UserError when there is no such module or class, or when the class does not derive from Layer.
    """
    try:
        with caffe_is_ours():
            found = import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.split(".")[0] and error.name != module:
            raise
        raise UserError(f"there is no module {module!r}; put its folder into PYTHONPATH") from error
    cls = getattr(found, name, None)
    if not (isinstance(cls, type) and issubclass(cls, Layer)):
        there = ", ".join(_layers_of(found)) or "none"
        raise UserError(f"module {module!r} has no class {name!r} derived from {OURS}.Layer (it has: {there})")
    return cls


def _layers_of(module: ModuleType) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Layer) and value is not Layer
    ]


@contextmanager
def caffe_is_ours() -> Iterator[None]:
    """Within this, `import caffe` gives the pycaffe-shaped module, whatever else the name means in the program.

    A layer's module begins with `import caffe`, and only a class derived from our Layer can run in this engine.
    Outside, the name is unchanged, so a check for an installed genuine caffe gets the true answer.
    """
    ours = import_module(OURS)
    if sys.modules.get("caffe") is ours:
        yield
        return
    alias = import_module(f"{OURS}.alias")
    before = _take_caffe()
    try:
        alias.install()
        yield
    finally:
        _take_caffe()
        sys.modules.update(before)


def _take_caffe() -> dict[str, ModuleType]:
    """Remove every entry of `caffe` from the imported modules and return them."""
    names = [name for name in sys.modules if name == "caffe" or name.startswith("caffe.")]
    return {name: sys.modules.pop(name) for name in names}
