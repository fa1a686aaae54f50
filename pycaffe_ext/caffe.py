"""pycaffe on the embedded engine: `from pycaffe_ext import caffe` instead of `import caffe`.

Arrays are NumPy views: what is written to `net.blobs[name].data[...]` is what the next pass reads, and an array that
is held shows the values of the latest pass.  On a GPU they are copies that each call brings up to date both ways.
Mistakes raise pycaffe_ext.errors.UserError where the genuine module aborts.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch

from pycaffe_ext import proto
from pycaffe_ext.engine import random
from pycaffe_ext.engine.blob import Blob as EngineBlob
from pycaffe_ext.engine.layers import Layer as EngineLayer
from pycaffe_ext.engine.layers import layer_types
from pycaffe_ext.engine.net import Net as EngineNet
from pycaffe_ext.engine.python_layer import Layer
from pycaffe_ext.engine.solver import Solver as EngineSolver
from pycaffe_ext.errors import UserError, known

__all__ = ["TEST", "TRAIN", "Layer", "Net", "SGDSolver", "Solver", "get_solver", "layer_type_list", "proto",
           "set_device", "set_mode_cpu", "set_mode_gpu", "set_random_seed"]

TRAIN = proto.caffe_pb2.TRAIN
TEST = proto.caffe_pb2.TEST

_place = {"gpu": False, "device": 0}


def set_mode_cpu() -> None:
    """Make nets from now on on the CPU."""
    _place["gpu"] = False


def set_mode_gpu() -> None:
    """Make nets from now on on the GPU; raises UserError where there is none."""
    if not torch.cuda.is_available():
        raise UserError("there is no CUDA device here; use set_mode_cpu()")
    _place["gpu"] = True


def set_device(index: int) -> None:
    """Choose the GPU for set_mode_gpu."""
    if not 0 <= index < torch.cuda.device_count():
        raise UserError(f"there is no CUDA device {index} (found: {torch.cuda.device_count()})")
    _place["device"] = index


def set_random_seed(seed: int) -> None:
    """Make everything random in the engine repeat itself."""
    random.set_seed(seed)


def layer_type_list() -> list[str]:
    return layer_types()


def _device() -> torch.device:
    return torch.device("cuda", _place["device"]) if _place["gpu"] else torch.device("cpu")


class _Mirror:
    """One array handed out for a blob's values or gradient, kept in step with the tensor."""

    def __init__(self, blob: EngineBlob, field: str) -> None:
        self._blob, self._field = blob, field
        self._host: torch.Tensor | None = None

    def array(self) -> np.ndarray:
        tensor = getattr(self._blob, self._field)
        if not tensor.is_cpu and self._fits(tensor):
            return self._host.numpy()
        self._host = tensor if tensor.is_cpu else tensor.cpu()
        return self._host.numpy()

    def _fits(self, tensor: torch.Tensor) -> bool:
        return self._host is not None and self._host.shape == tensor.shape

    def push(self) -> None:
        """Bring what was written to the array to the GPU."""
        tensor = getattr(self._blob, self._field)
        if not tensor.is_cpu and self._fits(tensor):
            tensor.copy_(self._host)

    def pull(self) -> None:
        """Bring what was computed into the array; the blob goes on in the array's memory."""
        tensor = getattr(self._blob, self._field)
        if not self._fits(tensor):
            self._host = None
        elif self._host.data_ptr() != tensor.data_ptr():
            self._host.copy_(tensor)
            if tensor.is_cpu:
                setattr(self._blob, self._field, self._host)


class Blob:
    """A blob with NumPy arrays `data` and `diff`."""

    def __init__(self, blob: EngineBlob, mirrors: dict[tuple[int, str], _Mirror]) -> None:
        self._blob, self._mirrors = blob, mirrors

    def _array(self, field: str) -> np.ndarray:
        key = (id(self._blob), field)
        if key not in self._mirrors:
            self._mirrors[key] = _Mirror(self._blob, field)
        return self._mirrors[key].array()

    @property
    def data(self) -> np.ndarray:
        return self._array("data")

    @property
    def diff(self) -> np.ndarray:
        return self._array("diff")

    @property
    def shape(self) -> tuple[int, ...]:
        return self._blob.shape

    @property
    def count(self) -> int:
        return self._blob.count

    def reshape(self, *dims: int) -> None:
        self._blob.reshape(dims)

    def _legacy(self, axis: int) -> int:
        if len(self.shape) > 4:
            raise UserError(f"a blob of shape {self.shape} has no num, channels, height and width; use shape")
        return self.shape[axis] if axis < len(self.shape) else 1

    @property
    def num(self) -> int:
        return self._legacy(0)

    @property
    def channels(self) -> int:
        return self._legacy(1)

    @property
    def height(self) -> int:
        return self._legacy(2)

    @property
    def width(self) -> int:
        return self._legacy(3)


class LayerView:
    """A layer of a net: its type and its parameters."""

    def __init__(self, layer: EngineLayer, blobs: list[Blob]) -> None:
        self.type = layer.type
        self.blobs = blobs


class Net:
    """Net(model, phase), Net(model, weights, phase) or Net(model, phase, level=, stages=, weights=)."""

    def __init__(self, model: str, *args: Any, phase: int | None = None, weights: str | None = None, level: int = 0,
                 stages: Iterable[str] | None = None) -> None:
        for arg in args:
            if isinstance(arg, (str, bytes)):
                weights = arg
            else:
                phase = int(arg)
        if phase not in (TRAIN, TEST):
            raise UserError(f"{model}: phase must be caffe.TRAIN or caffe.TEST, not {phase}")
        self._bind(EngineNet(proto.read_net(model), phase, level, stages or (), _device()))
        if weights is not None:
            self.copy_from(weights)

    def _bind(self, net: EngineNet) -> None:
        self._net = net
        self._mirrors: dict[tuple[int, str], _Mirror] = {}
        self.blobs = OrderedDict((name, Blob(blob, self._mirrors)) for name, blob in net.blobs.items())
        self.layers = [LayerView(layer, [Blob(blob, self._mirrors) for blob in layer.blobs]) for layer in net.layers]
        self._layer_names = net.layer_names
        self.layer_dict = OrderedDict(zip(self._layer_names, self.layers, strict=True))
        self.params = OrderedDict((name, layer.blobs) for name, layer in self.layer_dict.items() if layer.blobs)
        self.inputs, self.outputs = list(net.inputs), list(net.outputs)
        self.bottom_names = OrderedDict(zip(self._layer_names, map(list, net.bottom_names), strict=True))
        self.top_names = OrderedDict(zip(self._layer_names, map(list, net.top_names), strict=True))
        self.blob_loss_weights = OrderedDict(net.loss_weights)

    @classmethod
    def _of(cls, net: EngineNet) -> Net:
        self = cls.__new__(cls)
        self._bind(net)
        return self

    def _synchronised(self, work: Callable[[], Any]) -> Any:
        """Run `work` with the arrays' contents, then show its results in them."""
        for mirror in self._mirrors.values():
            mirror.push()
        result = work()
        for mirror in list(self._mirrors.values()):
            mirror.pull()
        return result

    def _index(self, layer: str) -> int:
        return self._layer_names.index(known(layer, self._layer_names, "layer"))

    def forward(self, blobs: Iterable[str] | None = None, start: str | None = None, end: str | None = None,
                **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Run layers start..end (names); inputs are given by blob name.  Returns outputs (and `blobs`) by name."""
        names = {*(self.outputs if end is None else self.top_names[known(end, self._layer_names, "layer")]),
                 *(blobs or ())}
        if inputs:
            self._fill(inputs, self.inputs, "data", "inputs")
        ends = None if start is None else self._index(start), None if end is None else self._index(end)
        self._synchronised(lambda: self._net.forward(*ends))
        return {name: self.blobs[name].data for name in names}

    def backward(self, diffs: Iterable[str] | None = None, start: str | None = None, end: str | None = None,
                 **gradients: np.ndarray) -> dict[str, np.ndarray]:
        """Run the backward passes from `start` down to `end`; returns the inputs' (and `diffs`') gradients."""
        names = {*(self.inputs if end is None else self.bottom_names[known(end, self._layer_names, "layer")]),
                 *(diffs or ())}
        if gradients:
            self._fill(gradients, self.outputs, "diff", "outputs")
        ends = None if start is None else self._index(start), None if end is None else self._index(end)
        self._synchronised(lambda: self._net.backward(*ends))
        return {name: self.blobs[name].diff for name in names}

    def _fill(self, given: dict[str, np.ndarray], expected: list[str], field: str, kind: str) -> None:
        if set(given) != set(expected):
            raise UserError(f"give all {kind} of the net and nothing else: {', '.join(expected)}"
                            f" (given: {', '.join(given)})")
        for name, array in given.items():
            target = getattr(self.blobs[name], field)
            if np.shape(array) != target.shape:
                raise UserError(f"blob {name!r} has shape {target.shape}, the given array {np.shape(array)};"
                                " reshape the blob first")
            target[...] = array

    def forward_all(self, blobs: Iterable[str] | None = None, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Forward in batches over any number of items; the last batch is filled up with zeros and cut again."""
        size = self.blobs[self.inputs[0]].shape[0]
        items = len(next(iter(inputs.values())))
        parts: dict[str, list[np.ndarray]] = {}
        for first in range(0, items, size):
            batch = {name: _filled(np.asarray(array[first : first + size]), size) for name, array in inputs.items()}
            for name, out in self.forward(blobs, **batch).items():
                parts.setdefault(name, []).append(out.copy())
        return {name: np.concatenate(outs)[:items] for name, outs in parts.items()}

    def reshape(self) -> None:
        """Give all blobs the shapes that follow from the inputs' shapes."""
        self._synchronised(self._net.reshape)

    def copy_from(self, weights: str) -> None:
        self._synchronised(lambda: self._net.copy_trained_layers_from(weights))

    load_hdf5 = copy_from

    def share_with(self, other: Net) -> None:
        """Use the other net's parameters from now on, by layer name."""
        self._net.share_trained_layers_with(other._net)
        self._bind(self._net)

    def clear_param_diffs(self) -> None:
        self._synchronised(self._net.clear_param_diffs)

    def save(self, path: str) -> None:
        """Write a caffemodel."""
        proto.write_weights(path, self._synchronised(self._net.to_proto))

    def save_hdf5(self, path: str) -> None:
        """Write a caffemodel.h5."""
        proto.write_weights_h5(path, {name: [np.array(blob.data) for blob in blobs]
                                      for name, blobs in self.params.items()})


def _filled(array: np.ndarray, size: int) -> np.ndarray:
    missing = np.zeros((size - len(array), *array.shape[1:]), array.dtype)
    return np.concatenate([array, missing])


class Solver:
    """A solver of the type that its file names; get_solver and the classes by type make one."""

    type: str | None = None

    def __init__(self, path: str) -> None:
        param = proto.read_solver(path)
        if self.type is not None:
            param.type = self.type
        self._solver = EngineSolver(param, _device())
        self.net = Net._of(self._solver.net)
        self.test_nets = [Net._of(net) for net in self._solver.test_nets]

    @property
    def iter(self) -> int:
        return self._solver.iter

    def _synchronised(self, work: Callable[[], Any]) -> Any:
        for net in self.test_nets:
            work = _within(net, work)
        return self.net._synchronised(work)

    def step(self, count: int) -> None:
        self._synchronised(lambda: self._solver.step(count))

    def solve(self, resume_file: str | None = None) -> None:
        self._synchronised(lambda: self._solver.solve(resume_file))

    def snapshot(self) -> None:
        self._synchronised(self._solver.snapshot)

    def restore(self, path: str) -> None:
        self._synchronised(lambda: self._solver.restore(path))


def _within(net: Net, work: Callable[[], Any]) -> Callable[[], Any]:
    return lambda: net._synchronised(work)


class SGDSolver(Solver):
    type = "SGD"


def get_solver(path: str) -> Solver:
    """The solver of the type that the file names."""
    return Solver(path)
