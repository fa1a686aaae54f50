"""A trained net as safetensors: each learned blob under LAYER.NAME, the prototxt in the metadata."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.export import require
from pycaffe_ext.export.source import LayerParameter, Preparation, Source, of
from pycaffe_ext.files import writing
from pycaffe_ext.proto import caffe_pb2, parse

NAMES = {"BatchNorm": ("mean", "variance", "scale_factor")}
USUAL = ("weight", "bias")


def tensors(source: Source) -> dict[str, np.ndarray]:
    """Name -> float32 array: LAYER.weight and LAYER.bias; of a BatchNorm LAYER.mean, .variance and .scale_factor;
    of other blobs LAYER.INDEX.  Shapes are Caffe's: an InnerProduct's weight is OUT x IN."""
    out = {}
    for layer in source.layers:
        for i, blob in enumerate(source.blobs.get(layer.name, [])):
            out[f"{layer.name}.{_name(layer, i)}"] = np.ascontiguousarray(blob, np.float32)
    if not out:
        raise UserError("the weights hold none of the net's layers; check that they belong together")
    return out


def write(source: Source, path: str | Path, preparation: Preparation, about: Mapping[str, str] | None = None) -> None:
    """Write the file, whole or not at all.  Metadata: format, name, prototxt, how the input is prepared, `about`."""
    require("safetensors")
    from safetensors.numpy import save

    metadata = {"format": "caffe", "name": source.name, "prototxt": source.prototxt, **preparation.metadata()}
    with writing(path, "wb") as file:
        file.write(save(tensors(source), {**metadata, **(about or {})}))


def read(path: str | Path) -> Source:
    """The net and the blobs in a file of `write`; UserError as `of`."""
    from safetensors import safe_open

    with safe_open(path, "numpy") as file:
        net = parse((file.metadata() or {}).get("prototxt", ""), caffe_pb2.NetParameter())
        blobs = {layer.name: _blobs(layer, file) for layer in net.layer}
    return of(net, {name: arrays for name, arrays in blobs.items() if arrays})


def _blobs(layer: LayerParameter, file: Any) -> list[np.ndarray | None]:
    """A layer's blobs in Caffe's order."""
    keys = set(file.keys())
    names = (f"{layer.name}.{_name(layer, i)}" for i in count())
    return [file.get_tensor(name) for name in takewhile(keys.__contains__, names)]


def _name(layer: LayerParameter, i: int) -> str:
    """What the blob number `i` of a layer is called."""
    names = NAMES.get(layer.type, USUAL)
    return names[i] if i < len(names) else str(i)
