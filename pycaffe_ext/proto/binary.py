"""Caffe's binary files: caffemodel, mean.binaryproto, and the blobs inside them."""

from __future__ import annotations

import os
from math import prod
from pathlib import Path
from typing import TypeVar

import numpy as np
from google.protobuf.message import DecodeError, Message

from pycaffe_ext.errors import UserError
from pycaffe_ext.files import writing
from pycaffe_ext.proto import caffe_pb2
from pycaffe_ext.proto.encoding import serialize, unserialize
from pycaffe_ext.proto.hdf5 import is_hdf5, read_layers_h5
from pycaffe_ext.proto.upgrade import upgrade_net

M = TypeVar("M", bound=Message)
Pathlike = str | os.PathLike[str]

LEGACY = ("num", "channels", "height", "width")


def read_message(path: Pathlike, message: M) -> M:
    """Read a binary protobuf file into `message` and return it; UserError if missing, empty, truncated or garbled."""
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; check the path") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder; name the file in it") from None
    if not content:
        raise UserError(f"{path}: is empty; get or write it again")
    try:
        message.Clear()
        unserialize(content, message)
    except DecodeError:
        kind = message.DESCRIPTOR.name
        raise UserError(f"{path}: is truncated or not a binary {kind}; get or write it again") from None
    return message


def write_message(path: Pathlike, message: Message) -> None:
    """Write a message as binary protobuf, whole or not at all; the same message gives the same bytes."""
    with writing(path, "wb") as file:
        file.write(serialize(message))


def read_weights(path: Pathlike) -> caffe_pb2.NetParameter:
    """Read a binary caffemodel of any age; its layers are in `layer`, upgraded where they were older.

    Raises UserError for a file that is missing, truncated, garbled, HDF5, or holds no layer.
    """
    if is_hdf5(path):
        raise UserError(f"{path}: is an HDF5 caffemodel where a binary one was expected; convert or choose another")
    net = read_message(path, caffe_pb2.NetParameter())
    if not upgrade_net(net, str(path)).layer:
        raise UserError(f"{path}: holds no layers; a caffemodel was expected")
    return net


def write_weights(path: Pathlike, net: caffe_pb2.NetParameter) -> None:
    """Write a net with its blobs as a binary caffemodel, whole or not at all."""
    write_message(path, net)


def read_blobs(path: Pathlike) -> dict[str, list[np.ndarray | None]]:
    """Learned blobs, float32, by layer name, of a binary or HDF5 caffemodel (recognised by content).

    Layers without blobs are absent.  Caffe's HDF5 holds a shared blob only under the layer that owns it: a layer all
    of whose blobs are another's is absent, and a shared blob before an own one is None.  Legacy blobs keep their four
    dimensions.  Raises UserError for a missing, truncated or garbled file.
    """
    if is_hdf5(path):
        return _owned(path)
    blobs: dict[str, list[np.ndarray | None]] = {}
    for layer in read_weights(path).layer:
        if layer.blobs:
            try:
                blobs[layer.name] = [blob_to_array(blob) for blob in layer.blobs]
            except UserError as error:
                raise UserError(f"{path}: layer {layer.name!r}: {error}") from None
    return blobs


def _owned(path: Pathlike) -> dict[str, list[np.ndarray | None]]:
    blobs = {name: arrays for name, arrays in read_layers_h5(path).items() if arrays}
    if not blobs:
        raise UserError(f"{path}: holds no blobs; a caffemodel.h5 was expected")
    return blobs


def blob_to_array(blob: caffe_pb2.BlobProto) -> np.ndarray:
    """Values of a BlobProto as float32, shaped by `shape`, or (num, channels, height, width) where those are set.

    Double values are read too.  Raises UserError if the number of values does not fit the shape.
    """
    legacy = any(blob.HasField(field) for field in LEGACY)
    shape = tuple(getattr(blob, field) for field in LEGACY) if legacy else tuple(blob.shape.dim)
    field, dtype = ("double_data", "<f8") if blob.double_data else ("data", "<f4")
    values = packed_values(blob, field, dtype)
    if min(shape, default=1) < 0 or values.size != prod(shape):
        raise UserError(f"blob of shape {shape} holds {values.size} values; the file is damaged")
    return values.astype(np.float32).reshape(shape)


def array_to_blob(array: np.ndarray, out: caffe_pb2.BlobProto | None = None) -> caffe_pb2.BlobProto:
    """A BlobProto (`out`, cleared, if given) with the array's shape and its values as float32."""
    blob = caffe_pb2.BlobProto() if out is None else out
    values = np.asarray(array, dtype="<f4")
    blob.Clear()
    blob.MergeFromString(_packed_field("data", values.tobytes()))
    blob.shape.dim.extend(values.shape)
    blob.shape.SetInParent()
    return blob


def read_mean(path: Pathlike) -> np.ndarray:
    """Mean image of a mean.binaryproto: (C, H, W) float32, BGR as Caffe's images are; UserError if it is not one."""
    try:
        mean = blob_to_array(read_message(path, caffe_pb2.BlobProto()))
    except UserError as error:
        raise UserError(str(error) if str(error).startswith(str(path)) else f"{path}: {error}") from None
    if mean.ndim == 4 and len(mean) == 1:
        mean = mean[0]
    if mean.ndim != 3 or mean.size == 0:
        raise UserError(f"{path}: holds shape {mean.shape}, not one image (1, C, H, W); make the mean file again")
    if not np.isfinite(mean).all():
        raise UserError(f"{path}: the mean image is not finite; make the mean file again")
    return mean


def write_mean(path: Pathlike, mean: np.ndarray) -> None:
    """Write a (C, H, W) mean image as Caffe's mean.binaryproto, with the four legacy dimensions Caffe writes."""
    blob = array_to_blob(mean)
    blob.ClearField("shape")
    blob.num = 1
    blob.channels, blob.height, blob.width = mean.shape
    write_message(path, blob)


def _packed_field(field: str, content: bytes) -> bytes:
    """One packed field on the wire: tag, length, values.  Python's protobuf has no faster way in or out."""
    tag = caffe_pb2.BlobProto.DESCRIPTOR.fields_by_name[field].number << 3 | 2
    return bytes([tag]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out) + bytes([number])


def packed_values(blob: caffe_pb2.BlobProto, field: str, dtype: str) -> np.ndarray:
    """Values of a packed field of a BlobProto, flat, read-only; `dtype` is that on the wire ("<f4", "<f8")."""
    count = len(getattr(blob, field))
    if not count:
        return np.empty(0, dtype)
    only = caffe_pb2.BlobProto()
    getattr(only, field).MergeFrom(getattr(blob, field))
    message = only.SerializeToString()
    return np.frombuffer(message, dtype, count, len(message) - count * np.dtype(dtype).itemsize)
