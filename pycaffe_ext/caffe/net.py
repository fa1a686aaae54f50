"""pycaffe's Net on the embedded engine."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np

from pycaffe_ext import glog, proto
from pycaffe_ext.caffe import batches, runtime
from pycaffe_ext.caffe.arrays import called_back, changes_in_place, synchronised
from pycaffe_ext.caffe.blob import Blob, BlobVec, LayerView
from pycaffe_ext.caffe.mistakes import BadValue, NoSuchName, RunError
from pycaffe_ext.collector import paused
from pycaffe_ext.engine.core import transfer
from pycaffe_ext.engine.core.blob import Blob as EngineBlob
from pycaffe_ext.engine.core.net import Net as EngineNet
from pycaffe_ext.engine.core.net_log import build_net
from pycaffe_ext.engine.core.overwriting import writes_in_place
from pycaffe_ext.engine.layers.memory_data import MemoryData
from pycaffe_ext.engine.solver import snapshot
from pycaffe_ext.errors import UserError, known

PHASES = (proto.caffe_pb2.TRAIN, proto.caffe_pb2.TEST)
Arrays = dict[str, np.ndarray]


class Net:
    """Net(network_file, phase, level=0, stages=None, weights=None), or the old Net(network_file, weights, phase).

    blobs, params, layer_dict, top_names, bottom_names, blob_loss_weights : by name, in the order of the net
    inputs, outputs : names of blobs;  layers : objects with `type` and `blobs`, for Python layers the layer itself
    Raises UserError for what Caffe refuses, RunError (also a RuntimeError) for a file that is not there.
    """

    def __init__(
        self,
        network_file: str,
        phase: int | str | None = None,
        level: int = 0,
        stages: Iterable[str] | None = None,
        weights: str | None = None,
    ) -> None:
        runtime.obey_log_level()
        if isinstance(phase, (str, os.PathLike)):
            weights, phase, level = os.fspath(phase), level, 0
            glog.warning(
                "_caffe.cpp:139",
                "DEPRECATION WARNING - deprecated use of Python interface",
                f"Use this instead: Net({str(network_file)!r}, {phase}, weights={str(weights)!r})",
            )
        if phase not in PHASES:
            raise UserError(f"{network_file}: phase must be caffe.TRAIN or caffe.TEST, not {phase}")
        _check_file(network_file)
        with paused():
            param = proto.read_net(network_file)
            self._bind(
                build_net(param, PHASES[PHASES.index(phase)], level, stages or (), runtime.device(), network_file)
            )
        if weights is not None:
            self.copy_from(weights)

    def _bind(self, net: EngineNet) -> None:
        self._net = net
        changing = {id(blob.values) for i in range(len(net.layers)) for blob in writes_in_place(net, i)}
        for blob in net.blobs.values():
            if id(blob.values) in changing:
                changes_in_place(blob)
        self.blobs = OrderedDict((name, Blob(partial(_itself, blob))) for name, blob in net.blobs.items())
        self.layers = [_shown(layer) for layer in net.layers]
        self._layer_names = list(net.layer_names)
        self._layer_places, self._blob_places = _places(self._layer_names), _places(self.blobs)
        self.layer_dict = OrderedDict(zip(self._layer_names, self.layers, strict=True))
        self.params = OrderedDict((layer.name, BlobVec(layer.blobs)) for layer in net.layers if layer.blobs)
        self.inputs, self.outputs = list(net.inputs), list(net.outputs)
        self.bottom_names = OrderedDict(zip(self._layer_names, map(list, net.bottom_names), strict=True))
        self.top_names = OrderedDict(zip(self._layer_names, map(list, net.top_names), strict=True))
        self.blob_loss_weights = OrderedDict((name, net.loss_weights[name]) for name in net.blobs)

    @classmethod
    def wrapping(cls, net: EngineNet) -> Net:
        """The pycaffe side of a net that the engine has made."""
        self = cls.__new__(cls)
        self._bind(net)
        return self

    # ---- passes

    def forward(
        self, blobs: Iterable[str] | None = None, start: str | None = None, end: str | None = None, **inputs: np.ndarray
    ) -> Arrays:
        """Run layers start..end (names), with `inputs` by blob name; returns outputs (and `blobs`) by name.

        With `end`, the outputs are the tops of that layer.  The arrays returned show the latest pass, as `blobs` do.
        """
        first, last = self._range(start, end, 0, len(self.layers) - 1)
        names = self._named([*(self.outputs if end is None else self.top_names[end]), *(blobs or ())])
        if inputs:
            self._fill(inputs, self.inputs, "data", "inputs")
        self._forward(first, last)
        return {name: self.blobs[name].data for name in names}

    def backward(
        self,
        diffs: Iterable[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **gradients: np.ndarray,
    ) -> Arrays:
        """Run the backward passes from `start` down to `end`; returns the inputs' (and `diffs`') gradients by name.

        `gradients` are those of all outputs; without them the losses' own are used, or what the arrays hold.
        With `end`, the gradients returned are those of that layer's bottoms.
        """
        first, last = self._range(start, end, len(self.layers) - 1, 0)
        names = self._named([*(self.inputs if end is None else self.bottom_names[end]), *(diffs or ())])
        if gradients:
            self._fill(gradients, self.outputs, "diff", "outputs")
        self._backward(first, last)
        return {name: self.blobs[name].diff for name in names}

    def forward_all(self, blobs: Iterable[str] | None = None, **inputs: np.ndarray) -> Arrays:
        """Forward in batches over any number of items; the last batch is filled up with zeros and cut again."""
        return batches.forward_all(self, self._batch, list(blobs or ()), inputs)

    def forward_backward_all(
        self, blobs: Iterable[str] | None = None, diffs: Iterable[str] | None = None, **given: np.ndarray
    ) -> tuple[Arrays, Arrays]:
        """Forward and backward in batches; `given` are inputs and gradients of outputs, by name.

        Returns (blobs, gradients) by name, each over all items.
        """
        return batches.forward_backward_all(self, self._batch, list(blobs or ()), list(diffs or ()), given)

    def _batch(self, blobs: Arrays) -> Iterable[Arrays]:
        return batches.batches(blobs, next(iter(self.blobs.values())).shape[0])

    def _forward(self, start: int, end: int) -> float:
        return synchronised(lambda: self._net.forward(start, end))

    def _backward(self, start: int, end: int) -> None:
        synchronised(lambda: self._net.backward(start, end))

    def _range(self, start: str | None, end: str | None, first: int, last: int) -> tuple[int, int]:
        return (first if start is None else self._index(start)), (last if end is None else self._index(end))

    def _index(self, layer: str) -> int:
        try:
            return self._layer_places[known(layer, self._layer_places, "layer")]
        except UserError as error:
            raise BadValue(str(error)) from None

    def _named(self, names: Iterable[str]) -> list[str]:
        try:
            return [known(name, self.blobs, "blob") for name in dict.fromkeys(names)]
        except UserError as error:
            raise NoSuchName(str(error)) from None

    def _fill(self, given: Arrays, expected: list[str], field: str, kind: str) -> None:
        if set(given) != set(expected):
            raise UserError(
                f"give all {kind} of the net and nothing else: {', '.join(expected) or 'it has none'}"
                f" (given: {', '.join(given)})"
            )
        for name, array in given.items():
            target, shape = getattr(self.blobs[name], field), np.shape(array)
            if not _fits(shape, target.shape):
                raise BadValue(
                    f"blob {name!r} has shape {target.shape}, the given array {shape}; reshape the blob first"
                )
            target[...] = array

    # ---- callbacks

    def before_forward(self, run: Callable[[int], object]) -> None:
        """Call `run(index of the layer)` before each layer's forward pass."""
        self._net.before_forward.append(called_back(run))

    def after_forward(self, run: Callable[[int], object]) -> None:
        """Call `run(index of the layer)` after each layer's forward pass."""
        self._net.after_forward.append(called_back(run))

    def before_backward(self, run: Callable[[int], object]) -> None:
        """Call `run(index of the layer)` before each layer's turn in the backward pass."""
        self._net.before_backward.append(called_back(run))

    def after_backward(self, run: Callable[[int], object]) -> None:
        """Call `run(index of the layer)` after each layer's turn in the backward pass."""
        self._net.after_backward.append(called_back(run))

    # ---- shapes, weights, files

    def reshape(self) -> None:
        """Give all blobs the shapes that follow from the inputs' shapes."""
        synchronised(self._net.reshape)

    def clear_param_diffs(self) -> None:
        synchronised(self._net.clear_param_diffs)

    def set_input_arrays(self, data: np.ndarray, labels: np.ndarray) -> None:
        """Feed a MemoryData net: data (n, C, H, W) and labels (n,), float32, n a multiple of its batch size."""
        if labels.ndim == 1:
            labels = np.ascontiguousarray(labels[:, np.newaxis, np.newaxis, np.newaxis])
        self._set_input_arrays(data, labels)

    def _set_input_arrays(self, data: np.ndarray, labels: np.ndarray) -> None:
        layer = self._net.layers[0]
        if not isinstance(layer, MemoryData):
            raise RunError(
                f"set_input_arrays may only be called if the first layer is a MemoryData layer, not {layer.type}"
            )
        batches.check_memory(data, labels, layer.param.memory_data_param)
        layer.reset(data, labels)

    def copy_from(self, weights: str) -> None:
        """Copy parameters by layer name from a caffemodel, binary or HDF5."""
        _check_file(weights)
        synchronised(lambda: self._net.copy_trained_layers_from(weights))

    def load_hdf5(self, weights: str) -> None:
        """Copy parameters by layer name from an HDF5 caffemodel."""
        _check_file(weights)
        synchronised(lambda: transfer.copy_layers(self._net, weights))

    def share_with(self, other: Net) -> None:
        """Use the other net's parameters after this call, by layer name; gradients stay each net's own."""
        self._net.share_trained_layers_with(other._net)

    def save(self, path: str) -> None:
        """Write a caffemodel."""
        proto.write_weights(path, synchronised(self._net.to_proto))

    def save_hdf5(self, path: str) -> None:
        """Write a caffemodel.h5; UserError, naming the layer, where HDF5 can't hold its name."""
        proto.write_weights_h5(path, synchronised(lambda: snapshot.owned_blobs(self._net)))

    # ---- the genuine module's inner names, which scripts use

    @property
    def _blobs(self) -> list[Blob]:
        return list(self.blobs.values())

    @property
    def _blob_names(self) -> list[str]:
        return list(self.blobs)

    @property
    def _blob_loss_weights(self) -> list[float]:
        return list(self.blob_loss_weights.values())

    @property
    def _inputs(self) -> list[int]:
        return [self._blob_places[name] for name in self.inputs]

    @property
    def _outputs(self) -> list[int]:
        return [self._blob_places[name] for name in self.outputs]

    def _top_ids(self, layer: int) -> list[int]:
        return [self._blob_places[name] for name in self.top_names[self._layer_names[layer]]]

    def _bottom_ids(self, layer: int) -> list[int]:
        return [self._blob_places[name] for name in self.bottom_names[self._layer_names[layer]]]


def _itself(blob: EngineBlob) -> EngineBlob:
    return blob


def _places(names: Iterable[str]) -> dict[str, int]:
    """Name -> where it stands; the first place of a name that several have."""
    places: dict[str, int] = {}
    for i, name in enumerate(names):
        places.setdefault(name, i)
    return places


def _shown(layer: Any) -> Any:
    return layer.instance if layer.type == "Python" else LayerView(layer)


def _check_file(path: str) -> None:
    if not os.path.isfile(path):
        raise RunError(f"Could not open file {path}; check the path")


def _fits(given: Sequence[int], shape: Sequence[int]) -> bool:
    """Whether an array fills a blob item by item, as NumPy broadcasts."""
    if not shape or not given:
        return tuple(given) == tuple(shape)
    try:
        return given[0] == shape[0] and np.broadcast_shapes(given, shape) == tuple(shape)
    except ValueError:
        return False
