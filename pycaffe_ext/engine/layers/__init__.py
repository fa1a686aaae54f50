"""The layers, each known under Caffe's name of its type; every module here registers its own."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from pycaffe_ext.engine.layers.base import Layer, layer_class, layer_types, register

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["Layer", "layer_class", "layer_types", "register"]
