"""The base class of layers written in Python, where `caffe.Layer` finds it."""

from pycaffe_ext.engine.core.python_layer import Layer

__all__ = ["Layer"]
