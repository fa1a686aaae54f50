"""Where Caffe computes a gradient from values that a layer in place has written over, and this engine does not.

Measured on the genuine engine, pair by pair (oracle/overwriting.py of the tests); what is done here:
engine.core.overwriting.
"""

from __future__ import annotations

from collections.abc import Iterator

from pycaffe_ext.engine.core.overwriting import Reading, overwritten
from pycaffe_ext.engine.core.wiring import Wiring
from pycaffe_ext.engine.layers import Layer
from pycaffe_ext.proto import caffe_pb2

PROD = caffe_pb2.EltwiseParameter.PROD
READ_BOTTOMS = frozenset(
    (
        "AbsVal",
        "BNLL",
        "Clip",
        "Convolution",
        "Deconvolution",
        "ELU",
        "Embed",
        "HingeLoss",
        "InfogainLoss",
        "InnerProduct",
        "LRN",
        "LSTM",
        "LSTMUnit",
        "Log",
        "MultinomialLogisticLoss",
        "PReLU",
        "RNN",
        "ReLU",
        "Reduction",
        "Scale",
        "SigmoidCrossEntropyLoss",
        "SoftmaxWithLoss",
    )
)
READ_TOPS = frozenset(
    (
        "Exp",
        "ELU",
        "InfogainLoss",
        "LSTMUnit",
        "Sigmoid",
        "Softmax",
        "SoftmaxWithLoss",
        "Swish",
        "TanH",
    )
)
KEEP_BOTTOMS = frozenset(("ELU", "PReLU", "ReLU", "Scale"))  # in place: a copy, or the sign is enough
POSITIVE = frozenset(("Exp", "Sigmoid", "Softmax"))
KEEP_SIGNS = frozenset(("Dropout", "ELU", "PReLU", "ReLU", "TanH"))


def warnings(net: Wiring) -> Iterator[str]:
    """One line for each layer in place that spoils a gradient in Caffe; none in a TEST net without force_backward."""
    if net.phase != caffe_pb2.TRAIN and not net.param.force_backward:
        return
    for i, readings in overwritten(net).items():
        spoilt = [reading.layer for reading in readings if _spoils(net, i, reading)]
        for j in dict.fromkeys(spoilt):
            own = (
                "its own bottom, which its gradient needs"
                if i == j
                else (f"values that the gradient of layer {net.layers[j].name!r} ({net.layers[j].type}) needs")
            )
            yield (
                f"Layer {net.layers[i].name!r} ({net.layers[i].type}) works in place and overwrites {own}: Caffe's"
                " gradient is wrong there, here it is that of the layer out of place"
            )


def _spoils(net: Wiring, writer: int, reading: Reading) -> bool:
    reader, over = net.layers[reading.layer], net.layers[writer]
    if not net.needs_backward(reading.layer):
        return False
    if writer == reading.layer:
        return (reader.type not in KEEP_BOTTOMS and (_reads_bottoms(reader) or reader.type == "Eltwise")) or (
            reader.type == "ReLU" and reader.param.relu_param.negative_slope < 0
        )
    if reading.end == "bottom":
        own = net.bottoms[reading.layer][reading.place] in net.tops[reading.layer]
        return _reads_bottoms(reader) and not own
    in_place = net.tops[reading.layer][reading.place] in net.bottoms[reading.layer]
    if reader.type == "ReLU":
        return in_place and over.type not in KEEP_SIGNS
    if not _reads_tops(reader):
        return False
    if reader.type in POSITIVE and over.type in ("ELU", "PReLU", "ReLU"):
        return False
    return not (over.type == "ReLU" and not over.param.relu_param.negative_slope and reader.type != "MVN")


def _power(layer: Layer) -> float:
    """The power where its derivative is not a constant, else 1."""
    param = layer.param.power_param
    return param.power if param.power and param.scale else 1


def _reads_bottoms(layer: Layer) -> bool:
    if layer.type == "Eltwise":
        return layer.param.eltwise_param.operation == PROD
    return layer.type in READ_BOTTOMS or (layer.type == "Power" and _power(layer) != 1) or layer.type == "MVN"


def _reads_tops(layer: Layer) -> bool:
    if layer.type == "Eltwise":
        param = layer.param.eltwise_param
        return param.operation == PROD and not param.stable_prod_grad
    if layer.type == "LRN":
        return layer.param.lrn_param.norm_region == caffe_pb2.LRNParameter.ACROSS_CHANNELS
    if layer.type == "MVN":
        return layer.param.mvn_param.normalize_variance
    return layer.type in READ_TOPS or (layer.type == "Power" and _power(layer) not in (1, 2))
