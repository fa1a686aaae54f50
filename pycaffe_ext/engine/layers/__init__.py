"""The layers, each known under Caffe's name of its type; every module here registers its own.

Under the headings of Caffe's catalogue:
data: data, image_data, window_data, hdf5_data, memory_data, dummy_data, input
vision: conv, im2col, pool, stochastic_pool, spp, crop;  recurrent: recurrent
common: inner_product, dropout, embed;  normalisation: lrn, mvn, batch_norm
activation: neuron, elementwise, scale
utility: split, concat, eltwise, reshape, reduction, argmax, softmax, tile, indexing, parameter, python
loss: losses, log_losses, softmax_loss, contrastive_loss, accuracy
What several of them build on: base, same_values, labelled, reading_ahead.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from pycaffe_ext.engine.layers.base import Layer, layer_class, layer_types, register

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["Layer", "layer_class", "layer_types", "register"]
