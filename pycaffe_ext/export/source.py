"""What is exported: a deploy net, the learned blobs of its layers, and how its input is prepared."""

from __future__ import annotations

import base64
import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pycaffe_ext.engine.core.graph import filter_layers, with_state
from pycaffe_ext.errors import LayerError, UserError
from pycaffe_ext.proto import caffe_pb2, read_blobs, read_mean, read_net, to_text

LayerParameter = caffe_pb2.LayerParameter
Blobs = Mapping[str, list[np.ndarray | None]]  # by layer name, as read_blobs gives them


@dataclass(frozen=True)
class Preparation:
    """How Caffe prepares an image for the net: B G R planes of 0 to 255, minus the mean, times the scale.

    mean : (C, H, W) or (C,) float32 in the net's order of channels, None if nothing is subtracted.
    """

    mean: np.ndarray | None = None
    scale: float = 1.0

    def metadata(self) -> dict[str, str]:
        """Text for a file's metadata; a mean image goes as base64 of its little-endian float32 bytes."""
        out = {"channel_order": "BGR", "value_range": "0..255", "scale": repr(self.scale)}
        if self.mean is not None:
            channels = self.mean.reshape(len(self.mean), -1).mean(axis=1, dtype=np.float64)
            out["mean_value"] = json.dumps([float(np.float32(value)) for value in channels])
            if self.mean.ndim == 3:
                out["mean_image_shape"] = json.dumps(self.mean.shape)
                out["mean_image_float32_base64"] = base64.b64encode(self.mean.astype("<f4").tobytes()).decode()
        return out


def preparation(mean_file: str = "", mean_value: str = "", scale: str = "") -> Preparation:
    """From a mean.binaryproto or from numbers "104,117,123" in the net's order, and a scale ("" is 1).

    Raises UserError for both means, for a value that is not finite, and for a mean file that can't be read.
    """
    if mean_file and mean_value:
        raise UserError("give mean_file or mean_value, not both")
    try:
        mean = np.array([float(value) for value in mean_value.split(",")], np.float32) if mean_value else None
        factor = float(scale or 1)
    except ValueError:
        raise UserError(f"mean_value {mean_value!r} and scale {scale!r} must be numbers, as in 104,117,123") from None
    if not math.isfinite(factor) or (mean is not None and not np.isfinite(mean).all()):
        raise UserError(f"mean_value {mean_value!r} and scale {scale!r} must be finite")
    return Preparation(read_mean(mean_file) if mean_file else mean, factor)


@dataclass(frozen=True)
class Source:
    """The layers of a deploy net in the TEST phase, and the learned blobs of each by its name (float32)."""

    name: str
    layers: list[LayerParameter]
    blobs: dict[str, list[np.ndarray]]
    prototxt: str

    def learned(self, layer: LayerParameter, shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
        """A layer's blobs in these shapes; UserError if there are fewer, or of other sizes, as Caffe refuses them."""
        found, where = self.blobs.get(layer.name, []), f"layer {layer.name!r}: the weights hold"
        if len(found) < len(shapes):
            raise LayerError(layer.name, f"{where} {len(found)} of its {len(shapes)} blobs")
        for blob, shape in zip(found, shapes, strict=False):
            if blob.size != math.prod(shape) or not (blob.shape == shape or blob.ndim == 4):
                raise LayerError(layer.name, f"{where} shape {blob.shape}, the net needs {shape}")
        return [blob.reshape(shape) for blob, shape in zip(found, shapes, strict=False)]


def read(prototxt: str | Path, weights: str | Path) -> Source:
    """Read a deploy prototxt and a caffemodel (binary or HDF5) of any age; UserError if either can't be read, or as
    `of` does."""
    return of(read_net(prototxt), read_blobs(weights))


def of(net: caffe_pb2.NetParameter, blobs: Blobs) -> Source:
    """A deploy net in today's form and the learned blobs by layer name.

    Raises LayerError if several layers bear a name that the weights hold.
    """
    kept = filter_layers(with_state(net, caffe_pb2.TEST, 0, []))
    for name, count in Counter(layer.name for layer in kept.layer).items():
        if count > 1 and name in blobs:
            raise LayerError(
                name,
                f"{count} layers are called {name!r}, so it is not clear whose weights the file"
                " holds; give each its own name",
            )
    return Source(net.name, list(kept.layer), _with_shared(kept, blobs), to_text(net))


def prepared(source: Source, preparation: Preparation) -> Source:
    """A net that prepares its input itself: a Bias layer subtracts the mean from raw B G R values of 0 to 255, a Power
    layer multiplies by the scale, both in place on the net's only input.

    Raises UserError unless the net begins with an Input layer of one (N, C, ...) blob that the mean fits.
    """
    first = source.layers[0] if source.layers else LayerParameter()
    if first.type != "Input" or len(first.top) != 1 or len(first.input_param.shape) != 1:
        raise UserError("the net must begin with an Input layer of one blob; export its deploy prototxt")
    blob, shape = first.top[0], tuple(first.input_param.shape[0].dim)
    added, learned = [], {}
    if preparation.mean is not None:
        added.append(_mean_layer(blob, preparation.mean, shape))
        learned[added[0].name] = [-preparation.mean]
    if preparation.scale != 1:
        power = caffe_pb2.PowerParameter(scale=preparation.scale)
        added.append(LayerParameter(name=f"{blob}_scale", type="Power", bottom=[blob], top=[blob], power_param=power))
    if taken := {layer.name for layer in added} & {layer.name for layer in source.layers}:
        raise UserError(f"the net has a layer {taken.pop()!r}, a name that the export gives; rename the layer")
    net = caffe_pb2.NetParameter(name=source.name, layer=[first, *added, *source.layers[1:]])
    return Source(source.name, list(net.layer), {**source.blobs, **learned}, to_text(net))


def _mean_layer(blob: str, mean: np.ndarray, shape: tuple[int, ...]) -> LayerParameter:
    """Adding -mean is exactly Caffe's subtraction."""
    if mean.shape != shape[1 : 1 + mean.ndim] or mean.ndim not in (1, 3):
        raise UserError(
            f"the mean has shape {mean.shape}, the net's input {blob!r} {shape}; use the mean of its patches"
        )
    param = caffe_pb2.BiasParameter(axis=1, num_axes=mean.ndim)
    return LayerParameter(name=f"{blob}_mean", type="Bias", bottom=[blob], top=[blob], bias_param=param)


def _with_shared(net: caffe_pb2.NetParameter, blobs: Blobs) -> dict[str, list[np.ndarray]]:
    """Blobs that a file holds only under the layer that owns them, given to each layer that names the same `param`."""
    owners: dict[str, np.ndarray] = {}
    out = {}
    for layer in net.layer:
        names = [spec.name for spec in layer.param]
        own = list(blobs.get(layer.name, []))
        own += [None] * (len(names) - len(own))
        for i, name in enumerate(names):
            if name and own[i] is None:
                own[i] = owners.get(name)
            elif name:
                owners.setdefault(name, own[i])
        out[layer.name] = [blob for blob in own if blob is not None]
    return out
