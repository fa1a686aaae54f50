"""Caffe's layers as functions that return a LayerParameter with every setting that matters written out."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_ext.proto import caffe_pb2
from pycaffe_ext.schemes import Spec

Layer = caffe_pb2.LayerParameter
Filler = caffe_pb2.FillerParameter
TRAIN, TEST = caffe_pb2.TRAIN, caffe_pb2.TEST


def layer(
    name: str, kind: str, bottoms: Sequence[str], tops: Sequence[str], phase: int | None = None
) -> Layer:
    """A layer of type `kind`, in both phases or in `phase` only."""
    made = Layer(name=name, type=kind, bottom=bottoms, top=tops)
    if phase is not None:
        made.include.add(phase=phase)
    return made


def data(
    source: str, mean_file: str, batch_size: int, phase: int, crop_size: int = 0, mirror: bool = False
) -> Layer:
    """An LMDB of Datums, read in key order, minus the mean image; crop_size 0 takes the whole image."""
    made = layer("data", "Data", [], ["data", "label"], phase)
    made.transform_param.MergeFrom(
        caffe_pb2.TransformationParameter(scale=1, mirror=mirror, crop_size=crop_size, mean_file=mean_file)
    )
    made.data_param.MergeFrom(
        caffe_pb2.DataParameter(source=source, batch_size=batch_size, backend=caffe_pb2.DataParameter.LMDB)
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


def convolution(
    name: str, bottom: str, num_output: int, kernel_size: int, weight: Filler, bias: Filler, spec: Spec,
    stride: int = 1, pad: int = 0, group: int = 1,
) -> Layer:  # fmt: skip
    made = _learned(layer(name, "Convolution", [bottom], [name]), spec)
    made.convolution_param.MergeFrom(
        caffe_pb2.ConvolutionParameter(
            num_output=num_output, bias_term=True, pad=[pad], kernel_size=[kernel_size], stride=[stride],
            group=group, weight_filler=weight, bias_filler=bias,
        )  # fmt: skip
    )
    return made


def inner_product(
    name: str, bottom: str, num_output: int, weight: Filler, bias: Filler, spec: Spec
) -> Layer:
    made = _learned(layer(name, "InnerProduct", [bottom], [name]), spec)
    made.inner_product_param.MergeFrom(
        caffe_pb2.InnerProductParameter(
            num_output=num_output, bias_term=True, weight_filler=weight, bias_filler=bias
        )
    )
    return made


def _learned(made: Layer, spec: Spec) -> Layer:
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
            local_size=local_size, alpha=alpha, beta=beta, k=1,
            norm_region=caffe_pb2.LRNParameter.ACROSS_CHANNELS,
        )  # fmt: skip
    )
    return made


def max_pooling(name: str, bottom: str, kernel_size: int, stride: int) -> Layer:
    made = layer(name, "Pooling", [bottom], [name])
    made.pooling_param.MergeFrom(
        caffe_pb2.PoolingParameter(
            pool=caffe_pb2.PoolingParameter.MAX, kernel_size=kernel_size, stride=stride, pad=0
        )
    )
    return made


def softmax(name: str, bottom: str) -> Layer:
    made = layer(name, "Softmax", [bottom], [name])
    made.softmax_param.axis = 1
    return made


def softmax_with_loss(name: str, scores: str, labels: str) -> Layer:
    made = layer(name, "SoftmaxWithLoss", [scores, labels], [name])
    made.loss_weight.append(1)
    made.loss_param.normalization = caffe_pb2.LossParameter.VALID
    return made


def accuracy(name: str, scores: str, labels: str) -> Layer:
    made = layer(name, "Accuracy", [scores, labels], [name], TEST)
    made.accuracy_param.top_k = 1
    return made
