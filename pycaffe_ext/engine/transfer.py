"""Trained parameters from one net to another, by layer name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import torch

from pycaffe_ext.engine import log
from pycaffe_ext.engine.blob import Blob
from pycaffe_ext.engine.parallel import one_thread
from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import blob_to_array, caffe_pb2, is_hdf5, read_blobs, read_weights

if TYPE_CHECKING:
    from pycaffe_ext.engine.net import Net

ADVICE = ("; to learn this layer's parameters from scratch rather than copying from a saved net, rename the layer")


class SharedValues(Blob):
    """Another blob's values, with a gradient of its own (facts: Blob::ShareData)."""

    def __init__(self, source: Blob) -> None:
        super().__init__(source.shape, source.device)
        self.source = source.source if isinstance(source, SharedValues) else source

    @property
    def data(self) -> torch.Tensor:
        return self.source.data

    @data.setter
    def data(self, value: torch.Tensor) -> None:
        self.source.data = value


def copy_layers(net: Net, source: str | os.PathLike[str] | caffe_pb2.NetParameter) -> None:
    """Copy what has the same layer name; see Net.copy_trained_layers_from."""
    if not isinstance(source, caffe_pb2.NetParameter) and is_hdf5(source):
        copy_arrays(net, read_blobs(source))
        return
    donor = source if isinstance(source, caffe_pb2.NetParameter) else read_weights(source)
    copy_arrays(net, {layer.name: [blob_to_array(blob) for blob in layer.blobs] for layer in donor.layer})


def copy_arrays(net: Net, donor: dict[str, list[np.ndarray | None]]) -> None:
    """Copy blobs by layer name, as read_blobs reads them; None leaves a blob as it is."""
    layers = dict(zip(net.layer_names, net.layers, strict=True))
    for name, arrays in donor.items():
        if name not in layers:
            log.info("net.cpp:744", f"Ignoring source layer {name}")
            continue
        blobs = layers[name].blobs
        if len(arrays) != len(blobs):
            raise UserError(f"layer {name!r}: the saved net has {len(arrays)} blob(s) for it, this net {len(blobs)}"
                            + ADVICE)
        for i, (array, blob) in enumerate(zip(arrays, blobs, strict=True)):
            if array is not None:  # HDF5 leaves out a blob that is shared: its owner has it
                _copy_array(array, blob, name, i)


def _copy_array(array: np.ndarray, blob: Blob, name: str, i: int) -> None:
    legacy = array.ndim == 4 and len(blob.shape) <= 4 and array.shape == (1,) * (4 - len(blob.shape)) + blob.shape
    if array.shape != blob.shape and not legacy:
        raise UserError(f"cannot copy param {i} of layer {name!r}: shape {array.shape} in the saved net,"
                        f" {blob.shape} in this net{ADVICE}")
    with one_thread():
        blob.data.copy_(torch.from_numpy(np.ascontiguousarray(array)).view(blob.shape))


def share_layers(net: Net, other: Net) -> None:
    """Bind the values of layers with the same name to those of `other`; gradients stay each net's own."""
    layers = {layer.name: layer for layer in net.layers}
    replaced: dict[int, Blob] = {}
    for source in other.layers:
        if source.name not in layers:
            log.info("net.cpp:679", f"Ignoring source layer {source.name}")
            continue
        target = layers[source.name]
        shapes = [blob.shape for blob in source.blobs]
        if shapes != [blob.shape for blob in target.blobs]:
            raise UserError(f"cannot share layer {source.name!r}: shapes {shapes} and"
                            f" {[blob.shape for blob in target.blobs]}")
        for i, blob in enumerate(source.blobs):
            target.blobs[i] = replaced.setdefault(id(target.blobs[i]), SharedValues(blob))
    net.learnable_params = [replaced.get(id(blob), blob) for blob in net.learnable_params]
