"""Images and arrays in Caffe's forms: Datums, BlobProtos, and what a net takes as input."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from scipy.ndimage import zoom

from pycaffe_ext.caffe.mistakes import BadValue, RunError
from pycaffe_ext.caffe.resize import ORDERS, resize
from pycaffe_ext.errors import UserError, known
from pycaffe_ext.pictures import opencv
from pycaffe_ext.proto import array_to_blob, caffe_pb2, packed_values

LEGACY = ("num", "channels", "height", "width")
GREY = (0.2125, 0.7154, 0.0721)  # of red, green, blue, as scikit-image weighs them


# ---- messages


def blobproto_to_array(blob: caffe_pb2.BlobProto, return_diff: bool = False) -> np.ndarray:
    """Values (or gradients) of a BlobProto, float64, in its shape; BadValue if their number does not fit it."""
    part = "diff" if return_diff else "data"
    values = packed_values(blob, part, "<f4")
    if not values.size:
        values = packed_values(blob, f"double_{part}", "<f8")
    legacy = any(blob.HasField(field) for field in LEGACY)
    shape = tuple(getattr(blob, field) for field in LEGACY) if legacy else tuple(blob.shape.dim)
    if values.size != np.prod(shape, dtype=int):
        raise BadValue(f"a BlobProto of shape {shape} holds {values.size} values of its {part}")
    return values.astype(np.float64).reshape(shape)


def array_to_blobproto(arr: np.ndarray, diff: np.ndarray | None = None) -> caffe_pb2.BlobProto:
    """A BlobProto of an array, and of a gradient of the same shape if one is given."""
    blob = array_to_blob(arr)
    if diff is not None:
        blob.diff.extend(np.asarray(diff, np.float64).ravel().tolist())
    return blob


def arraylist_to_blobprotovector_str(arraylist: Sequence[np.ndarray]) -> bytes:
    """Arrays as a serialised BlobProtoVector."""
    return caffe_pb2.BlobProtoVector(blobs=map(array_to_blobproto, arraylist)).SerializeToString()


def blobprotovector_str_to_arraylist(str: bytes) -> list[np.ndarray]:
    """The arrays of a serialised BlobProtoVector."""
    return [blobproto_to_array(blob) for blob in caffe_pb2.BlobProtoVector.FromString(str).blobs]


def array_to_datum(arr: np.ndarray, label: int | None = None) -> caffe_pb2.Datum:
    """A Datum of a (C, H, W) array: bytes if it is uint8, else float values."""
    if arr.ndim != 3:
        raise BadValue(f"a Datum takes an array of shape (channels, height, width), not {arr.shape}")
    datum = caffe_pb2.Datum(**dict(zip(LEGACY[1:], arr.shape, strict=True)))
    if arr.dtype == np.uint8:
        datum.data = arr.tobytes()
    else:
        datum.float_data.extend(arr.astype(np.float64).ravel().tolist())
    if label is not None:
        datum.label = int(label)
    return datum


def datum_to_array(datum: caffe_pb2.Datum) -> np.ndarray:
    """The (C, H, W) array of a Datum: uint8 (BGR if it is an encoded picture) or float64; its label is not in it."""
    if datum.encoded:
        image = opencv.decode(datum.data, cv2.IMREAD_COLOR)
        if image is None:
            raise BadValue("the encoded picture of a Datum can't be decoded")
        return np.ascontiguousarray(image.transpose(2, 0, 1))
    shape = tuple(getattr(datum, field) for field in LEGACY[1:])
    values = np.frombuffer(datum.data, np.uint8) if datum.data else np.array(datum.float_data, np.float64)
    if values.size != np.prod(shape):
        raise BadValue(f"a Datum of shape {shape} holds {values.size} values")
    return values.reshape(shape).copy()


# ---- input of a net


class Transformer:
    """From an image to a net's input and back; `inputs` is {name of input: its shape (N, C, H, W)}.

    In the order of `preprocess`: resized to the input's size, transposed, channels swapped, times raw_scale,
    minus the mean, times input_scale.
    """

    def __init__(self, inputs: dict[str, Sequence[int]]) -> None:
        self.inputs = {name: tuple(shape) for name, shape in inputs.items()}
        self.transpose: dict[str, Sequence[int]] = {}
        self.channel_swap: dict[str, Sequence[int]] = {}
        self.raw_scale: dict[str, float] = {}
        self.mean: dict[str, np.ndarray] = {}
        self.input_scale: dict[str, float] = {}

    def _check(self, in_: str) -> None:
        known(in_, self.inputs, "input of the net")

    def preprocess(self, in_: str, data: np.ndarray) -> np.ndarray:
        """An (H, W, K) image as input `in_` takes it, float32 (K, H, W) after the usual transpose; `data` stays."""
        self._check(in_)
        out = data.astype(np.float32)
        size = self.inputs[in_][2:]
        if out.shape[:2] != size:
            out = resize_image(out, size)
        if in_ in self.transpose:
            out = out.transpose(self.transpose[in_])
        if in_ in self.channel_swap:
            out = out[list(self.channel_swap[in_])]
        if in_ in self.raw_scale:
            out *= self.raw_scale[in_]
        if in_ in self.mean:
            out -= self.mean[in_]
        if in_ in self.input_scale:
            out *= self.input_scale[in_]
        return out

    def deprocess(self, in_: str, data: np.ndarray) -> np.ndarray:
        """The image that `preprocess` made an input from, but for its size."""
        self._check(in_)
        out = data.copy().squeeze()
        if in_ in self.input_scale:
            out /= self.input_scale[in_]
        if in_ in self.mean:
            out += self.mean[in_]
        if in_ in self.raw_scale:
            out /= self.raw_scale[in_]
        if in_ in self.channel_swap:
            out = out[np.argsort(self.channel_swap[in_])]
        if in_ in self.transpose:
            out = out.transpose(np.argsort(self.transpose[in_]))
        return out

    def set_transpose(self, in_: str, order: Sequence[int]) -> None:
        """Order of the axes: (2, 0, 1) makes (K, H, W) of (H, W, K)."""
        self._check(in_)
        axes = len(self.inputs[in_]) - 1
        if len(order) != axes:
            raise UserError(f"transpose of input {in_!r} takes an order of {axes} axes, not {len(order)}")
        self.transpose[in_] = order

    def set_channel_swap(self, in_: str, order: Sequence[int]) -> None:
        """Order of the channels after the transpose: (2, 1, 0) makes BGR of RGB."""
        self._check(in_)
        if len(order) != self.inputs[in_][1]:
            raise UserError(
                f"channel_swap of input {in_!r} takes an order of its {self.inputs[in_][1]} channels, not {len(order)}"
            )
        self.channel_swap[in_] = order

    def set_raw_scale(self, in_: str, scale: float) -> None:
        """Factor before the mean is subtracted: 255 for images in [0, 1] and a net trained on bytes."""
        self._check(in_)
        self.raw_scale[in_] = scale

    def set_mean(self, in_: str, mean: np.ndarray) -> None:
        """Mean to subtract: one value for each channel, or an image (C, H, W), resized to the input's size."""
        self._check(in_)
        shape = self.inputs[in_][1:]
        if mean.ndim == 1:
            if len(mean) != shape[0]:
                raise BadValue(f"the mean has {len(mean)} channels, input {in_!r} {shape[0]}")
            self.mean[in_] = mean[:, np.newaxis, np.newaxis]
            return
        if mean.ndim not in (2, 3):
            raise BadValue(f"a mean has shape (channels,) or (channels, height, width), not {mean.shape}")
        image = mean.reshape((-1, *mean.shape[-2:]))
        self.mean[in_] = mean if image.shape == shape else _resized_mean(image, shape[1:])

    def set_input_scale(self, in_: str, scale: float) -> None:
        """Factor after the mean is subtracted."""
        self._check(in_)
        self.input_scale[in_] = scale


def _resized_mean(mean: np.ndarray, size: Sequence[int]) -> np.ndarray:
    low, high = mean.min(), mean.max()
    span = (high - low) or 1.0
    return resize_image(((mean - low) / span).transpose(1, 2, 0), size).transpose(2, 0, 1) * span + low


# ---- images


def load_image(filename: str | os.PathLike[str], color: bool = True) -> np.ndarray:
    """An image file as float32 in [0, 1]: (H, W, 3) RGB, or (H, W, 1) grey; transparency is dropped."""
    if not os.path.isfile(filename):
        raise RunError(f"{filename}: no such image; check the path")
    image = opencv.read(os.fspath(filename), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise RunError(f"{filename}: not an image that can be read")
    image = (image / np.iinfo(image.dtype).max if image.dtype.kind == "u" else image).astype(np.float64)
    if image.ndim == 2:
        return np.repeat(image[:, :, np.newaxis], 3 if color else 1, axis=2).astype(np.float32)
    rgb = image[:, :, 2::-1]
    return (rgb if color else (rgb @ GREY)[:, :, np.newaxis]).astype(np.float32)


def resize_image(im: np.ndarray, new_dims: Sequence[int], interp_order: int = 1) -> np.ndarray:
    """An (H, W, K) image in the size (height, width), float32; interp_order 0 nearest, 1 linear, 3 cubic.

    As with the genuine module on scikit-image 0.18, images of one or three channels are smoothed before they
    shrink, and darken at the edges when they grow: what lies outside them counts as their least value.
    """
    size = (int(new_dims[0]), int(new_dims[1]))
    if im.ndim != 3 or 0 in im.shape or min(size) < 1:
        raise BadValue(f"cannot resize an image of shape {im.shape} to {size}; give (height, width, channels)")
    if im.shape[-1] not in (1, 3):
        scale = (size[0] / im.shape[0], size[1] / im.shape[1], 1)
        return zoom(im, scale, order=interp_order).astype(np.float32)
    if interp_order not in ORDERS:
        raise BadValue(f"interp_order is one of {', '.join(map(str, ORDERS))}, not {interp_order}")
    low, high = im.min(), im.max()
    if not high > low:
        return np.full((*size, im.shape[-1]), low, np.float32)
    return (resize((im - low) / (high - low), size, interp_order) * (high - low) + low).astype(np.float32)


def oversample(images: Sequence[np.ndarray], crop_dims: Sequence[int]) -> np.ndarray:
    """Ten crops of each (H, W, K) image: four corners and centre, then the same mirrored; (10 N, h, w, K) float32."""
    crop = np.array(crop_dims, int)
    full = np.array(images[0].shape[:2])
    if (crop > full).any() or (crop < 1).any():
        raise BadValue(f"crops of {tuple(crop)} do not fit into images of {tuple(full)}")
    far = full - crop
    corners = [(0, 0), (0, far[1]), (far[0], 0), tuple(far), tuple((full / 2 - crop / 2).astype(int))]
    crops = [im[top : top + crop[0], left : left + crop[1]] for im in images for top, left in corners]
    five = np.asarray(crops, np.float32).reshape(len(images), 5, *crop, images[0].shape[-1])
    return np.concatenate([five, five[:, :, :, ::-1]], axis=1).reshape(-1, *five.shape[2:])


def preprocessor(
    net_input: str,
    shape: Sequence[int],
    mean: np.ndarray | None,
    input_scale: float | None,
    raw_scale: float | None,
    channel_swap: Sequence[int] | None,
) -> Transformer:
    """The Transformer that Classifier and Detector make from their arguments."""
    transformer = Transformer({net_input: shape})
    transformer.set_transpose(net_input, (2, 0, 1))
    settings: tuple[tuple[Any, Any], ...] = (
        (transformer.set_mean, mean),
        (transformer.set_input_scale, input_scale),
        (transformer.set_raw_scale, raw_scale),
        (transformer.set_channel_swap, channel_swap),
    )
    for apply, value in settings:
        if value is not None:
            apply(net_input, value)
    return transformer
