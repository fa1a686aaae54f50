"""A net of patches as a net of whole regions: inner products become convolutions, as in Caffe's net surgery example.

What is exact. In a region a net computes at each place what it computes of the patch there, while no layer looks
beyond the patch. A layer with `pad` does: beyond a patch's border it sees zeros, in a region the pixels next to it.
So does a pooling whose last window the border cuts off, since Caffe rounds up. From the first such layer on the two
differ, whatever the weights. `exact_layers` names those before it: all of LeNet's; AlexNet's up to pool1;
SqueezeNet's up to the 1x1 convolutions after pool1; none of GoogLeNet's. An exact form could share only what these
cost, less than a fifth of AlexNet's products. The net made here is the usual approximation, whose borders are the
region's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.nets import shapes
from pycaffe_ext.proto import array_to_blob, caffe_pb2

POINTWISE = {"ReLU", "Dropout", "BatchNorm", "Scale", "Concat", "Eltwise", "Softmax"}
SUFFIX = "-conv"  # of an inner product's name, as in Caffe's example: its blobs have another shape
Image = tuple[int, int, int]
Blobs = Mapping[str, Sequence[np.ndarray | None]]


@dataclass(frozen=True)
class Window:
    """How a layer looks at its input, (rows, columns) each."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    pad: tuple[int, int]


def dense_net(net: caffe_pb2.NetParameter, image: Image) -> caffe_pb2.NetParameter:
    """The net with convolutions for inner products and sliding windows for global pooling.

    net : of patches of `image`, (channels, rows, columns), in one phase.  Blobs keep their names, converted layers get
    SUFFIX.  Raises UserError for a layer that has no such form.
    """
    sizes, found = shapes.blob_shapes(net, image=image), caffe_pb2.NetParameter(name=f"{net.name} dense")
    for layer in net.layer:
        made = found.layer.add()
        made.CopyFrom(layer)
        if layer.type == "InnerProduct":
            _convolve(made, layer, _spatial(sizes[layer.bottom[0]]))
        elif layer.type == "Pooling" and layer.pooling_param.global_pooling:
            made.pooling_param.ClearField("global_pooling")
            made.pooling_param.kernel_h, made.pooling_param.kernel_w = _spatial(sizes[layer.bottom[0]])
            made.pooling_param.stride = 1
        elif layer.type not in shapes.RULES or (layer.type == "LRN" and _within(layer)):
            raise UserError(f"layer {layer.name!r}: {layer.type} has no dense form; leave DENSE= out")
    return found


def dense_weights(blobs: Blobs, net: caffe_pb2.NetParameter, image: Image) -> caffe_pb2.NetParameter:
    """A caffemodel for `dense_net` from the blobs, layer by layer, of one for `net`."""
    sizes, found = shapes.blob_shapes(net, image=image), caffe_pb2.NetParameter(name=f"{net.name} dense")
    for layer in net.layer:
        if layer.name not in blobs:
            continue
        own = [blob for blob in blobs[layer.name] if blob is not None]
        made = found.layer.add(name=layer.name, type=layer.type)
        if layer.type == "InnerProduct":
            shape = sizes[layer.bottom[0]]
            made.name, made.type = f"{layer.name}{SUFFIX}", "Convolution"
            own[0] = own[0].reshape(layer.inner_product_param.num_output, shape[1], *_spatial(shape))
        for blob in own:
            array_to_blob(blob, made.blobs.add())
    return found


def stride_of(net: caffe_pb2.NetParameter, blob: str, image: Image) -> int:
    """Pixels of the input from a place of a blob of the dense net to the next; UserError if rows and columns differ."""
    jumps = _jumps(net, image)[blob]
    if jumps[0] != jumps[1]:
        raise UserError(f"blob {blob!r}: strides {jumps[0]} and {jumps[1]}; leave DENSE= out")
    return jumps[0]


def exact_layers(net: caffe_pb2.NetParameter, image: Image) -> list[str]:
    """The layers that compute in a region exactly what they compute in each patch."""
    sizes, exact, names = shapes.blob_shapes(net, image=image), {"data", "label"}, []
    for layer in net.layer:
        if layer.bottom and set(layer.bottom) <= exact and _looks_inside(layer, sizes):
            names.append(layer.name)
            exact |= set(layer.top)
        elif layer.bottom:
            exact -= set(layer.top)  # in place
    return names


def _looks_inside(layer: caffe_pb2.LayerParameter, sizes: Mapping[str, tuple[int, ...]]) -> bool:
    """No padding, and no window that the patch's border cuts off."""
    if layer.type in POINTWISE or layer.type == "InnerProduct":
        return True
    if layer.type == "LRN":
        return not _within(layer)
    window = _window(layer, sizes)
    if window is None:
        return False
    ends = [
        (out - 1) * stride + kernel
        for out, kernel, stride in zip(sizes[layer.top[0]][2:], window.kernel, window.stride, strict=True)
    ]
    fits = all(end <= size for end, size in zip(ends, sizes[layer.bottom[0]][2:], strict=True))
    return window.pad == (0, 0) and (fits or layer.type == "Convolution")


def _jumps(net: caffe_pb2.NetParameter, image: Image) -> dict[str, tuple[int, int]]:
    sizes = shapes.blob_shapes(net, image=image)
    found: dict[str, tuple[int, int]] = {}
    for layer in net.layer:
        before = found[layer.bottom[0]] if layer.bottom else (1, 1)
        window = _window(layer, sizes) if layer.bottom else None
        stride = window.stride if window else (1, 1)
        found.update(dict.fromkeys(layer.top, (before[0] * stride[0], before[1] * stride[1])))
    return found


def _window(layer: caffe_pb2.LayerParameter, sizes: Mapping[str, tuple[int, ...]]) -> Window | None:
    """Of a convolution or pooling; None for other layers."""
    if layer.type == "Pooling" and layer.pooling_param.global_pooling:
        return Window(_spatial(sizes[layer.bottom[0]]), (1, 1), (0, 0))
    if layer.type not in ("Convolution", "Pooling"):
        return None
    own = layer.convolution_param if layer.type == "Convolution" else layer.pooling_param
    return Window(*shapes.window(layer, own))


def _convolve(made: caffe_pb2.LayerParameter, layer: caffe_pb2.LayerParameter, size: tuple[int, int]) -> None:
    old = layer.inner_product_param
    if old.transpose or old.axis != 1:
        raise UserError(f"layer {layer.name!r}: an inner product of another axis has no dense form; leave DENSE= out")
    made.name, made.type = f"{layer.name}{SUFFIX}", "Convolution"
    made.ClearField("inner_product_param")
    new = made.convolution_param
    new.num_output, new.bias_term = old.num_output, old.bias_term
    new.kernel_h, new.kernel_w = size
    for filler in ("weight_filler", "bias_filler"):
        if old.HasField(filler):
            getattr(new, filler).CopyFrom(getattr(old, filler))


def _spatial(shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns; 1 of each of a blob without."""
    if len(shape) == 2:
        return 1, 1
    return shape[2], shape[3]


def _within(layer: caffe_pb2.LayerParameter) -> bool:
    return layer.lrn_param.norm_region == caffe_pb2.LRNParameter.WITHIN_CHANNEL


def region_size(size: int, places: int, stride: int) -> int:
    """Rows or columns of a region in which a net of patches of `size` has `places` places, `stride` apart."""
    return size + (places - 1) * stride
