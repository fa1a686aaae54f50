"""Caffe's files: the schema, text and binary messages, HDF5 weights, mean files; old formats upgraded on reading."""

from pycaffe_ext.proto import caffe_pb2
from pycaffe_ext.proto.binary import (
    array_to_blob,
    blob_to_array,
    packed_values,
    read_blobs,
    read_mean,
    read_message,
    read_weights,
    write_mean,
    write_message,
    write_weights,
)
from pycaffe_ext.proto.hdf5 import check_names, is_hdf5, read_layers_h5, write_weights_h5
from pycaffe_ext.proto.text import parse, read_net, read_solver, to_text, write_text
from pycaffe_ext.proto.upgrade import upgrade_net, upgrade_solver

__all__ = [
    "array_to_blob",
    "blob_to_array",
    "caffe_pb2",
    "check_names",
    "is_hdf5",
    "packed_values",
    "parse",
    "read_blobs",
    "read_layers_h5",
    "read_mean",
    "read_message",
    "read_net",
    "read_solver",
    "read_weights",
    "to_text",
    "upgrade_net",
    "upgrade_solver",
    "write_mean",
    "write_message",
    "write_text",
    "write_weights",
    "write_weights_h5",
]
