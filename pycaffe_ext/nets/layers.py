"""Caffe's layers as functions that return a LayerParameter with every setting that matters written out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from pycaffe_ext import schemes
from pycaffe_ext.nets.spec import NetSpec
from pycaffe_ext.proto import caffe_pb2
from pycaffe_ext.schemes import Spec
from pycaffe_ext.strings import portable

Layer = caffe_pb2.LayerParameter
Filler = caffe_pb2.FillerParameter
TRAIN, TEST = caffe_pb2.TRAIN, caffe_pb2.TEST


def layer(name: str, kind: str, bottoms: Sequence[str], tops: Sequence[str], phase: int | None = None) -> Layer:
    """A layer of type `kind`, in both phases or in `phase` only."""
    made = Layer(name=name, type=kind, bottom=bottoms, top=tops)
    if phase is not None:
        made.include.add(phase=phase)
    return made


def transform_param(
    mean_file: str, mean_value: Sequence[float] = (), scale: float = 1, crop_size: int = 0, mirror: bool = False
) -> caffe_pb2.TransformationParameter:
    """Images minus the mean image, or `mean_value` where there is one, times `scale`; crop_size 0 takes them whole."""
    made = caffe_pb2.TransformationParameter(scale=scale, mirror=mirror, crop_size=crop_size, mean_value=mean_value)
    if not mean_value:
        made.mean_file = portable(mean_file)
    return made


def data(source: str, transform: caffe_pb2.TransformationParameter, batch_size: int, phase: int) -> Layer:
    """An LMDB of Datums, read in key order."""
    made = layer("data", "Data", [], ["data", "label"], phase)
    made.transform_param.MergeFrom(transform)
    made.data_param.MergeFrom(
        caffe_pb2.DataParameter(source=portable(source), batch_size=batch_size, backend=caffe_pb2.DataParameter.LMDB)
    )
    return made


def input_blob(name: str, shape: Sequence[int]) -> Layer:
    made = layer(name, "Input", [], [name])
    made.input_param.shape.add(dim=shape)
    return made


def gaussian(std: float) -> Filler:
    return Filler(type="gaussian", mean=0, std=std)


def constant(value: float) -> Filler:
    return Filler(type="constant", value=value)


def scaled_by_fan_in(kind: str) -> Filler:
    """xavier (uniform within sqrt(3/n)) or msra (gaussian of sqrt(2/n)), n the inputs of one output."""
    return Filler(type=kind, variance_norm=Filler.FAN_IN)


def weight_filler(spec: NetSpec, published: Filler) -> Filler:
    """The filler of a net's weights: the published one, or that of a scratch-xavier or scratch-msra scheme."""
    kind = schemes.filler(spec.scheme, spec.arch)
    return scaled_by_fan_in(kind) if kind else published


class Window(NamedTuple):
    """A square window that slides over a blob; sizes in values."""

    kernel: int
    stride: int = 1
    pad: int = 0


def convolution(
    name: str,
    bottom: str,
    num_output: int,
    window: Window,
    weight: Filler,
    bias: Filler | None,
    spec: Spec,
    group: int = 1,
) -> Layer:
    """Without a bias where its filler is None."""
    made = _learned(layer(name, "Convolution", [bottom], [name]), spec[: 1 if bias is None else 2])
    made.convolution_param.MergeFrom(
        caffe_pb2.ConvolutionParameter(
            num_output=num_output,
            bias_term=bias is not None,
            pad=[window.pad],
            kernel_size=[window.kernel],
            stride=[window.stride],
            group=group,
            weight_filler=weight,
            bias_filler=bias,
        )
    )
    return made


def inner_product(name: str, bottom: str, num_output: int, weight: Filler, bias: Filler, spec: Spec) -> Layer:
    made = _learned(layer(name, "InnerProduct", [bottom], [name]), spec)
    made.inner_product_param.MergeFrom(
        caffe_pb2.InnerProductParameter(num_output=num_output, bias_term=True, weight_filler=weight, bias_filler=bias)
    )
    return made


def learn_as_new(made: Sequence[Layer], names: Collection[str]) -> None:
    """Let the layers of `names` learn as a new head does.

    A BatchNorm among them, which never learns, counts statistics of its own: there are none to normalise by.
    """
    for one in made:
        if one.name not in names:
            continue
        if one.type == "BatchNorm":
            one.batch_norm_param.ClearField("use_global_stats")
            continue
        for param, (lr_mult, decay_mult) in zip(one.param, schemes.NEW_HEAD, strict=False):
            param.lr_mult, param.decay_mult = lr_mult, decay_mult


def batch_norm(name: str, blob: str, stored: bool, eps: float = 1e-5) -> Layer:
    """Each channel less its mean, over its standard deviation, in place.

    eps : added to the variance; Caffe's default is 1e-5.
    stored : always by the running statistics; else by the batch's own in TRAIN, which then feed the running ones.
    Its three blobs (sums of mean and variance, and their weight) are counted, never learned: Caffe insists on rate 0.
    """
    made = _learned(layer(name, "BatchNorm", [blob], [blob]), ((0, 0),) * 3)
    if stored:
        made.batch_norm_param.use_global_stats = True
    if eps != 1e-5:
        made.batch_norm_param.eps = eps
    return made


def scale(name: str, blob: str, spec: Spec) -> Layer:
    """A learned factor and term for each channel, in place; they start at 1 and 0."""
    made = _learned(layer(name, "Scale", [blob], [blob]), spec)
    made.scale_param.MergeFrom(caffe_pb2.ScaleParameter(bias_term=True, filler=constant(1), bias_filler=constant(0)))
    return made


def _learned(made: Layer, spec: Sequence[tuple[int, int]]) -> Layer:
    for lr_mult, decay_mult in spec:
        made.param.add(lr_mult=lr_mult, decay_mult=decay_mult)
    return made


def relu(name: str, blob: str) -> Layer:
    return layer(name, "ReLU", [blob], [blob])


def dropout(name: str, blob: str, dropout_ratio: float) -> Layer:
    made = layer(name, "Dropout", [blob], [blob])
    made.dropout_param.dropout_ratio = dropout_ratio
    return made


def lrn(name: str, bottom: str, local_size: int, alpha: float, beta: float) -> Layer:
    """Normalisation across channels by (1 + alpha / local_size * sum of squares) ** beta."""
    made = layer(name, "LRN", [bottom], [name])
    made.lrn_param.MergeFrom(
        caffe_pb2.LRNParameter(
            local_size=local_size,
            alpha=alpha,
            beta=beta,
            k=1,
            norm_region=caffe_pb2.LRNParameter.ACROSS_CHANNELS,
        )
    )
    return made


def max_pooling(name: str, bottom: str, kernel_size: int, stride: int, pad: int = 0) -> Layer:
    return _pooling(name, bottom, caffe_pb2.PoolingParameter.MAX, kernel_size, stride, pad)


def average_pooling(name: str, bottom: str, kernel_size: int, stride: int) -> Layer:
    return _pooling(name, bottom, caffe_pb2.PoolingParameter.AVE, kernel_size, stride, 0)


def _pooling(
    name: str, bottom: str, kind: caffe_pb2.PoolingParameter.PoolMethod, kernel_size: int, stride: int, pad: int
) -> Layer:
    made = layer(name, "Pooling", [bottom], [name])
    made.pooling_param.MergeFrom(caffe_pb2.PoolingParameter(pool=kind, kernel_size=kernel_size, stride=stride, pad=pad))
    return made


def global_average_pooling(name: str, bottom: str) -> Layer:
    """The mean of each channel, (N, C, 1, 1)."""
    made = layer(name, "Pooling", [bottom], [name])
    made.pooling_param.MergeFrom(caffe_pb2.PoolingParameter(pool=caffe_pb2.PoolingParameter.AVE, global_pooling=True))
    return made


def concat(name: str, bottoms: Sequence[str]) -> Layer:
    """Blobs side by side along the channels."""
    made = layer(name, "Concat", bottoms, [name])
    made.concat_param.axis = 1
    return made


def middle(name: str, bottom: str, axis: int, start: int, end: int) -> Layer:
    """The cells from `start` to before `end` of an axis as the blob NAME; those on either side as NAME_before and
    NAME_after, for `silence` to take."""
    made = layer(name, "Slice", [bottom], [f"{name}_before", name, f"{name}_after"])
    made.slice_param.axis = axis
    made.slice_param.slice_point.extend([start, end])
    return made


def silence(name: str, bottoms: Sequence[str]) -> Layer:
    """Takes blobs that are no output of the net."""
    return layer(name, "Silence", bottoms, [])


def eltwise_sum(name: str, bottoms: Sequence[str]) -> Layer:
    made = layer(name, "Eltwise", bottoms, [name])
    made.eltwise_param.operation = caffe_pb2.EltwiseParameter.SUM
    return made


def softmax(name: str, bottom: str) -> Layer:
    made = layer(name, "Softmax", [bottom], [name])
    made.softmax_param.axis = 1
    return made


def softmax_with_loss(name: str, scores: str, labels: str, top: str = "", loss_weight: float = 1) -> Layer:
    made = layer(name, "SoftmaxWithLoss", [scores, labels], [top or name])
    made.loss_weight.append(loss_weight)
    made.loss_param.normalization = caffe_pb2.LossParameter.VALID
    return made


def accuracy(name: str, scores: str, labels: str) -> Layer:
    made = layer(name, "Accuracy", [scores, labels], [name], TEST)
    made.accuracy_param.top_k = 1
    return made
