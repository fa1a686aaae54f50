"""Trained parameters from one net to another, by layer name."""

from __future__ import annotations

import os
from collections import Counter

import numpy as np
import torch

from pycaffe_ext import glog
from pycaffe_ext.engine.core.blob import Blob, Values
from pycaffe_ext.engine.core.wiring import Wiring
from pycaffe_ext.engine.layers import Layer
from pycaffe_ext.engine.parallel import one_thread
from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import blob_to_array, caffe_pb2, is_hdf5, read_layers_h5, read_weights

ADVICE = "; to learn this layer's parameters from scratch rather than copying from a saved net, rename the layer"


class SharedValues(Blob):
    """Another blob's values, with a gradient of its own (facts: Blob::ShareData)."""

    def __init__(self, source: Blob) -> None:
        super().__init__(source.shape, source.device)
        self.source: Blob = source.source if isinstance(source, SharedValues) else source

    @property
    def values(self) -> Values:
        return self.source.values

    @property
    def data(self) -> torch.Tensor:
        return self.source.data

    @data.setter
    def data(self, value: torch.Tensor) -> None:
        self.source.data = value


def copy_layers(net: Wiring, source: str | os.PathLike[str] | caffe_pb2.NetParameter) -> None:
    """Copy what has the same layer name; see Net.copy_trained_layers_from."""
    if not isinstance(source, caffe_pb2.NetParameter) and is_hdf5(source):
        copy_hdf5(net, source)
        return
    donor = source if isinstance(source, caffe_pb2.NetParameter) else read_weights(source)
    places = first_of_each_name(net)
    for layer in donor.layer:
        if (place := _place(layer.name, places)) is not None:
            _copy_arrays([blob_to_array(blob) for blob in layer.blobs], net.layers[place])


def copy_hdf5(net: Wiring, path: str | os.PathLike[str]) -> None:
    """Copy from an HDF5 caffemodel.  Of layers of one name the last is filled, the first from a binary one: as Caffe.

    A blob that the file leaves out must be one that a layer above owns; UserError otherwise.
    """
    places, owned = {layer.name: i for i, layer in enumerate(net.layers)}, owners(net)
    for name, arrays in read_layers_h5(path).items():
        if (place := _place(name, places)) is not None:
            layer = net.layers[place]
            whole = arrays + [None] * (len(layer.blobs) - len(arrays))
            if any(array is None and own for array, own in zip(whole, owned[place], strict=False)):
                raise _other_number(name, sum(array is not None for array in arrays), len(layer.blobs))
            _copy_arrays(whole, layer)


def owners(net: Wiring) -> list[list[bool]]:
    """For each layer, which of its blobs it owns; those that are shared belong to the first layer that has them."""
    learnable = {id(blob) for blob in net.learnable_params}
    out = []
    for layer in net.layers:
        out.append([id(blob) in learnable for blob in layer.blobs])
        learnable -= set(map(id, layer.blobs))
    return out


def first_of_each_name(net: Wiring) -> dict[str, int]:
    """Name -> index of the first layer that bears it."""
    return {net.layers[i].name: i for i in reversed(range(len(net.layers)))}


def warn_of_twins(net: Wiring) -> None:
    """One line in the log for each name that several layers with parameters share: weights go by name."""
    counts = Counter(layer.name for layer in net.layers if layer.blobs)
    glog.warning(
        "net.cpp:67",
        *(
            f"{count} layers with parameters are called {name!r}: weights are copied, shared and restored"
            " by name, so all"
            " but one of them keep their fillers; give each its own name"
            for name, count in counts.items()
            if count > 1
        ),
    )


def _place(name: str, places: dict[str, int]) -> int | None:
    if name not in places:
        glog.info("net.cpp:744", f"Ignoring source layer {name}")
    return places.get(name)


def _copy_arrays(arrays: list[np.ndarray | None], layer: Layer) -> None:
    """Copy a layer's blobs; None leaves a blob as it is."""
    if len(arrays) != len(layer.blobs):
        raise _other_number(layer.name, len(arrays), len(layer.blobs))
    for i, (array, blob) in enumerate(zip(arrays, layer.blobs, strict=True)):
        if array is not None:
            _copy_array(array, blob, layer.name, i)


def _other_number(name: str, saved: int, needed: int) -> UserError:
    return UserError(f"layer {name!r}: the saved net has {saved} blob(s) for it, this net {needed}{ADVICE}")


def _copy_array(array: np.ndarray, blob: Blob, name: str, i: int) -> None:
    legacy = array.ndim == 4 and len(blob.shape) <= 4 and array.shape == (1,) * (4 - len(blob.shape)) + blob.shape
    if array.shape != blob.shape and not legacy:
        raise UserError(
            f"cannot copy param {i} of layer {name!r}: shape {array.shape} in the saved net,"
            f" {blob.shape} in this net{ADVICE}"
        )
    with one_thread():
        blob.data.copy_(torch.from_numpy(np.ascontiguousarray(array)).view(blob.shape))


def share_layers(net: Wiring, other: Wiring) -> None:
    """Bind the values of layers with the same name to those of `other`; gradients stay each net's own."""
    places = first_of_each_name(net)
    replaced: dict[int, Blob] = {}
    for source in other.layers:
        if source.name not in places:
            glog.info("net.cpp:679", f"Ignoring source layer {source.name}")
            continue
        target = net.layers[places[source.name]]
        shapes = [blob.shape for blob in source.blobs]
        if shapes != [blob.shape for blob in target.blobs]:
            raise UserError(
                f"cannot share layer {source.name!r}: shapes {shapes} and {[blob.shape for blob in target.blobs]}"
            )
        for i, blob in enumerate(source.blobs):
            target.blobs[i] = replaced.setdefault(id(target.blobs[i]), SharedValues(blob))
    net.learnable_params = [replaced.get(id(blob), blob) for blob in net.learnable_params]
