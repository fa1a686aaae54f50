"""A net of patches as a net of whole regions: inner products become convolutions, as in Caffe's net surgery example.

What is exact. In a region a net computes at each place what it computes of the patch there, while no cell looks
beyond the patch. Next to a patch's border a layer with `pad` does: it sees zeros there, in a region the pixels next
to it. So does a pooling whose last window the border cuts off, since Caffe rounds up. `exact_cells` tells the cells of
each blob that nothing of that has reached. A net whose head has other cells is another net in a region, whose scores
may mean nothing: it is refused (`check_exact`). LeNet is exact, and SqueezeNet where the middle cell of the head's map
alone counts (squeezenet_centre). Of AlexNet conv1 to pool1 are exact, and nothing of what its inner products see; of
GoogLeNet's head no cell is. An exact form of these could share only what the exact layers cost, less than a fifth of
AlexNet's products.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.nets import shapes
from pycaffe_ext.nets.architectures import ARCHITECTURES, architecture
from pycaffe_ext.nets.spec import NetSpec
from pycaffe_ext.proto import array_to_blob, caffe_pb2

POINTWISE = {"ReLU", "Dropout", "BatchNorm", "Scale", "Concat", "Eltwise", "Softmax", "Silence"}
SUFFIX = "-conv"  # of an inner product's name, as in Caffe's example: its blobs have another shape
Image = tuple[int, int, int]
Blobs = Mapping[str, Sequence[np.ndarray | None]]


@dataclass(frozen=True)
class Window:
    """How a layer looks at its input, (rows, columns) each."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    pad: tuple[int, int]


@dataclass(frozen=True)
class Cells:
    """Rows and columns of a blob, from `start` to before `end`."""

    start: tuple[int, int]
    end: tuple[int, int]

    def whole(self, shape: Sequence[int]) -> bool:
        """Whether these are all of a blob of `shape`."""
        return self.start == (0, 0) and self.end == _spatial(shape)


NONE = Cells((0, 0), (0, 0))


def dense_net(net: caffe_pb2.NetParameter, image: Image, places: tuple[int, int] = (1, 1)) -> caffe_pb2.NetParameter:
    """The net with convolutions for inner products and sliding windows for global pooling.

    net : of patches of `image`, (channels, rows, columns), in one phase.   places : rows and columns of places of the
    region, which only a Slice has to know.  Blobs keep their names, converted layers get SUFFIX.  Raises UserError for
    a layer that has no such form.
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
        elif layer.type == "Slice":
            start, end = _middle(layer)
            made.slice_param.slice_point[:] = [start, end + places[layer.slice_param.axis - 2] - 1]
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


def exact_cells(net: caffe_pb2.NetParameter, image: Image) -> dict[str, Cells]:
    """Of each blob with rows and columns, or of an inner product, the cells that a region has as every patch has."""
    sizes = shapes.blob_shapes(net, image=image)
    found: dict[str, Cells] = {"data": Cells((0, 0), image[1:])}
    for layer in net.layer:
        own = [found[name] for name in layer.bottom if name in found]
        if own:
            tops = _cells(layer, own, sizes)
            found.update(zip(layer.top, tops, strict=False))
    return found


def exact_layers(net: caffe_pb2.NetParameter, image: Image) -> list[str]:
    """The layers all of whose cells are exact, as are those of what they see."""
    sizes, cells, names, inexact = shapes.blob_shapes(net, image=image), exact_cells(net, image), [], set[str]()
    for layer in net.layer:
        if not layer.bottom:
            continue
        if inexact.isdisjoint(layer.bottom) and all(cells[name].whole(sizes[name]) for name in layer.top):
            names.append(layer.name)
        else:
            inexact |= set(layer.top)
    return names


@cache
def is_exact(arch: str) -> bool:
    """Whether a region has every raw value of a net's head as each patch has it."""
    own, spec = architecture(arch), NetSpec("x", "scratch", 2, arch=arch)
    net, head = own.deploy(spec), own.output(spec)
    return exact_cells(net, own.input)[head].whole(shapes.blob_shapes(net, image=own.input)[head])


def check_exact(arch: str) -> None:
    """Raise UserError for a net that is another one in a region: its scores there would mean nothing."""
    if not is_exact(arch):
        exact = " or ".join(name for name in ARCHITECTURES if is_exact(name))
        raise UserError(
            f"DENSE=1: in a region {arch} is another net than in a patch, as its padding sees pixels instead of zeros;"
            f" leave DENSE= out, or take ARCH={exact}, the same in both"
        )


def _cells(
    layer: caffe_pb2.LayerParameter, bottoms: Sequence[Cells], sizes: Mapping[str, tuple[int, ...]]
) -> list[Cells]:
    """Exact cells of a layer's tops."""
    both = _common(bottoms)
    if layer.type == "Slice":
        return _sliced(layer, both, _spatial(sizes[layer.bottom[0]]))
    if layer.type in POINTWISE or (layer.type == "LRN" and not _within(layer)):
        return [both] * len(layer.top)
    if layer.type == "InnerProduct":
        return [Cells((0, 0), (1, 1)) if both.whole(sizes[layer.bottom[0]]) else NONE]
    window = _window(layer, sizes)
    if window is None:
        return [NONE] * len(layer.top)
    axes = zip(both.start, both.end, window.kernel, window.stride, window.pad, strict=True)
    reached = [(-(-(a + pad) // step), (b - kernel + pad) // step + 1) for a, b, kernel, step, pad in axes]
    rows, columns = reached
    return [Cells((rows[0], columns[0]), (rows[1], columns[1]))]


def _sliced(layer: caffe_pb2.LayerParameter, cells: Cells, size: tuple[int, int]) -> list[Cells]:
    axis, ends = layer.slice_param.axis - 2, list(layer.slice_param.slice_point)
    parts = []
    for first, last in zip([0, *ends], [*ends, size[axis]], strict=True):
        start, end = list(cells.start), list(cells.end)
        start[axis], end[axis] = max(start[axis] - first, 0), min(end[axis], last) - first
        parts.append(Cells((start[0], start[1]), (end[0], end[1])))
    return parts


def _middle(layer: caffe_pb2.LayerParameter) -> tuple[int, int]:
    """Where the second of three parts of the rows or columns begins and ends."""
    param = layer.slice_param
    if param.axis not in (2, 3) or len(param.slice_point) != 2:
        raise UserError(f"layer {layer.name!r}: only a Slice into three parts of rows or columns has a dense form")
    return param.slice_point[0], param.slice_point[1]


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
    if layer.type == "Convolution":
        kernel, stride, pad = shapes.window(layer, layer.convolution_param)
        return Window(shapes.reach(layer.convolution_param, kernel), stride, pad)
    if layer.type != "Pooling":
        return None
    if layer.pooling_param.global_pooling:
        return Window(_spatial(sizes[layer.bottom[0]]), (1, 1), (0, 0))
    return Window(*shapes.window(layer, layer.pooling_param))


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


def _spatial(shape: Sequence[int]) -> tuple[int, int]:
    """Rows and columns; 1 of each of a blob without."""
    if len(shape) == 2:
        return 1, 1
    return shape[2], shape[3]


def _common(every: Sequence[Cells]) -> Cells:
    """The cells that all have."""
    return Cells(
        (max(own.start[0] for own in every), max(own.start[1] for own in every)),
        (min(own.end[0] for own in every), min(own.end[1] for own in every)),
    )


def _within(layer: caffe_pb2.LayerParameter) -> bool:
    return layer.lrn_param.norm_region == caffe_pb2.LRNParameter.WITHIN_CHANNEL


def region_size(size: int, places: int, stride: int) -> int:
    """Rows or columns of a region in which a net of patches of `size` has `places` places, `stride` apart."""
    return size + (places - 1) * stride
