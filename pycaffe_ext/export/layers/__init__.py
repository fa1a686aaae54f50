"""Caffe's layers as ONNX nodes, a module for each family."""

from pycaffe_ext.export.layers import convolution, neuron, normalize, pooling, shape  # noqa: F401  they register
from pycaffe_ext.export.layers.registry import emit

__all__ = ["emit"]
