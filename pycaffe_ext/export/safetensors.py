"""A trained net as safetensors: each learned blob under LAYER.NAME, the prototxt in the metadata."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.export.source import Preparation, Source
from pycaffe_ext.files import writing

NAMES = {"BatchNorm": ("mean", "variance", "scale_factor")}
USUAL = ("weight", "bias")


def tensors(source: Source) -> dict[str, np.ndarray]:
    """Name -> float32 array: LAYER.weight and LAYER.bias; of a BatchNorm LAYER.mean, .variance and .scale_factor;
    of other blobs LAYER.INDEX.  Shapes are Caffe's: an InnerProduct's weight is OUT x IN."""
    out = {}
    for layer in source.layers:
        names = NAMES.get(layer.type, USUAL)
        for i, blob in enumerate(source.blobs.get(layer.name, [])):
            out[f"{layer.name}.{names[i] if i < len(names) else i}"] = np.ascontiguousarray(blob, np.float32)
    if not out:
        raise UserError("the weights hold none of the net's layers; check that they belong together")
    return out


def write(source: Source, path: str | Path, preparation: Preparation) -> None:
    """Write the file, whole or not at all.  Metadata: format, name, prototxt, and how the input is prepared."""
    try:
        from safetensors.numpy import save
    except ImportError:
        raise UserError("this needs the package safetensors: pip install 'pycaffe_ext[export]'") from None
    metadata = {"format": "caffe", "name": source.name, "prototxt": source.prototxt, **preparation.metadata()}
    with writing(path, "wb") as file:
        file.write(save(tensors(source), metadata))
