"""Old nets and solvers in today's form, by the rules of Caffe's upgrade_net_proto_* and upgrade_solver_proto_text.

Three generations of layers: V0 (`layers { layer { type: "conv" } }`), V1 (`layers { type: CONVOLUTION }`) and today's
`layer { type: "Convolution" }`.  What Caffe dies of is a UserError here, what it drops with an error line is a warning.
"""

from __future__ import annotations

import logging
from typing import Any

from google.protobuf.message import Message

from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import caffe_pb2

log = logging.getLogger(__name__)

SOLVER_TYPES = {
    "SGD": "SGD",
    "NESTEROV": "Nesterov",
    "ADAGRAD": "AdaGrad",
    "RMSPROP": "RMSProp",
    "ADADELTA": "AdaDelta",
    "ADAM": "Adam",
}

V0_TYPES = {
    "accuracy": "ACCURACY",
    "bnll": "BNLL",
    "concat": "CONCAT",
    "conv": "CONVOLUTION",
    "data": "DATA",
    "dropout": "DROPOUT",
    "euclidean_loss": "EUCLIDEAN_LOSS",
    "flatten": "FLATTEN",
    "hdf5_data": "HDF5_DATA",
    "hdf5_output": "HDF5_OUTPUT",
    "im2col": "IM2COL",
    "images": "IMAGE_DATA",
    "infogain_loss": "INFOGAIN_LOSS",
    "innerproduct": "INNER_PRODUCT",
    "lrn": "LRN",
    "multinomial_logistic_loss": "MULTINOMIAL_LOGISTIC_LOSS",
    "pool": "POOLING",
    "relu": "RELU",
    "sigmoid": "SIGMOID",
    "softmax": "SOFTMAX",
    "softmax_loss": "SOFTMAX_LOSS",
    "split": "SPLIT",
    "tanh": "TANH",
    "window_data": "WINDOW_DATA",
}

V1_TYPES = {
    "NONE": "",
    "ABSVAL": "AbsVal",
    "ACCURACY": "Accuracy",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "CONCAT": "Concat",
    "CONTRASTIVE_LOSS": "ContrastiveLoss",
    "CONVOLUTION": "Convolution",
    "DATA": "Data",
    "DECONVOLUTION": "Deconvolution",
    "DROPOUT": "Dropout",
    "DUMMY_DATA": "DummyData",
    "ELTWISE": "Eltwise",
    "EUCLIDEAN_LOSS": "EuclideanLoss",
    "EXP": "Exp",
    "FLATTEN": "Flatten",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "HINGE_LOSS": "HingeLoss",
    "IM2COL": "Im2col",
    "IMAGE_DATA": "ImageData",
    "INFOGAIN_LOSS": "InfogainLoss",
    "INNER_PRODUCT": "InnerProduct",
    "LRN": "LRN",
    "MEMORY_DATA": "MemoryData",
    "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss",
    "MVN": "MVN",
    "POOLING": "Pooling",
    "POWER": "Power",
    "RELU": "ReLU",
    "SIGMOID": "Sigmoid",
    "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss",
    "SILENCE": "Silence",
    "SLICE": "Slice",
    "SOFTMAX": "Softmax",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "SPLIT": "Split",
    "TANH": "TanH",
    "THRESHOLD": "Threshold",
    "WINDOW_DATA": "WindowData",
}

_LEARNED = {"conv": "convolution_param", "innerproduct": "inner_product_param"}
_WINDOW = {"conv": "convolution_param", "pool": "pooling_param"}
_SOURCES = {
    "data": "data_param",
    "hdf5_data": "hdf5_data_param",
    "images": "image_data_param",
    "window_data": "window_data_param",
}
_IMAGES = {"images": "image_data_param"}
_WINDOWS = {"window_data": "window_data_param"}
_LRN = {"lrn": "lrn_param"}
_ANY: dict[str, str] = {}

# V0 field: (its V1 name, the V1 message that takes it by V0 layer type); _ANY means transform_param, whatever the type
V0_FIELDS = {
    "num_output": ("num_output", _LEARNED),
    "biasterm": ("bias_term", _LEARNED),
    "weight_filler": ("weight_filler", _LEARNED),
    "bias_filler": ("bias_filler", _LEARNED),
    "pad": ("pad", _WINDOW),
    "kernelsize": ("kernel_size", _WINDOW),
    "group": ("group", {"conv": "convolution_param"}),
    "stride": ("stride", _WINDOW),
    "pool": ("pool", {"pool": "pooling_param"}),
    "dropout_ratio": ("dropout_ratio", {"dropout": "dropout_param"}),
    "local_size": ("local_size", _LRN),
    "alpha": ("alpha", _LRN),
    "beta": ("beta", _LRN),
    "k": ("k", _LRN),
    "source": ("source", _SOURCES | {"infogain_loss": "infogain_loss_param"}),
    "scale": ("scale", _ANY),
    "meanfile": ("mean_file", _ANY),
    "batchsize": ("batch_size", _SOURCES),
    "cropsize": ("crop_size", _ANY),
    "mirror": ("mirror", _ANY),
    "rand_skip": ("rand_skip", {"data": "data_param", "images": "image_data_param"}),
    "shuffle_images": ("shuffle", _IMAGES),
    "new_height": ("new_height", _IMAGES),
    "new_width": ("new_width", _IMAGES),
    "concat_dim": ("concat_dim", {"concat": "concat_param"}),
    "det_fg_threshold": ("fg_threshold", _WINDOWS),
    "det_bg_threshold": ("bg_threshold", _WINDOWS),
    "det_fg_fraction": ("fg_fraction", _WINDOWS),
    "det_context_pad": ("context_pad", _WINDOWS),
    "det_crop_mode": ("crop_mode", _WINDOWS),
}

# V1 layers whose own message once held the transformation's fields
TRANSFORMED = {"DATA": "data_param", "IMAGE_DATA": "image_data_param", "WINDOW_DATA": "window_data_param"}
TRANSFORM_FIELDS = ("scale", "mean_file", "crop_size", "mirror")

# V1 per-blob lists and the field of `param` that each becomes
PER_BLOB = {"param": "name", "blob_share_mode": "share_mode", "blobs_lr": "lr_mult", "weight_decay": "decay_mult"}


def upgrade_net(
    net: caffe_pb2.NetParameter, name: str = "<net>", dropped: list[str] | None = None
) -> caffe_pb2.NetParameter:
    """Bring a net of any age, in place, to today's form and return it; `name` is the file named in errors.

    What no layer of today can take is dropped with a warning, as in Caffe, and named in the list `dropped`.
    Source: UpgradeNetAsNeeded of Caffe's util/upgrade_proto.cpp.  Raises UserError for an unknown V0 type, a padding
    layer that feeds anything but one convolution or pooling, both `layers` and `layer`, or too few input shapes.
    """
    if any(layer.HasField("layer") for layer in net.layers):
        _upgrade_v0(net, name, [] if dropped is None else dropped)
    _upgrade_transformation(net)
    if net.layers:
        _upgrade_v1(net, name)
    if net.input:
        _upgrade_input(net, name)
    _upgrade_batch_norm(net)
    return net


def upgrade_solver(solver: caffe_pb2.SolverParameter, name: str = "<solver>") -> caffe_pb2.SolverParameter:
    """Turn an old `solver_type`, in place, into `type` and return the solver; UserError if both are given."""
    if solver.HasField("solver_type"):
        if solver.HasField("type"):
            raise UserError(f"{name}: has both solver_type and type; remove solver_type")
        enum = caffe_pb2.SolverParameter.SolverType
        solver.type = SOLVER_TYPES[enum.Name(solver.solver_type)]
        solver.ClearField("solver_type")
    return solver


def _upgrade_v0(net: caffe_pb2.NetParameter, name: str, dropped: list[str]) -> None:
    """V0 to V1.  As in Caffe only the name, layers, input, input_dim and force_backward survive."""
    old = caffe_pb2.NetParameter()
    old.CopyFrom(net)
    _merge_padding(old, name)
    net.Clear()
    for field in ("name", "force_backward"):
        if old.HasField(field):
            setattr(net, field, getattr(old, field))
    net.input.extend(old.input)
    net.input_dim.extend(old.input_dim)
    for layer in old.layers:
        _upgrade_v0_layer(layer, net.layers.add(), name, dropped)


def _merge_padding(net: caffe_pb2.NetParameter, name: str) -> None:
    """Remove V0 padding layers; the convolution or pooling behind each takes its pad and its bottom."""
    made_by: dict[str, caffe_pb2.V1LayerParameter | None] = dict.fromkeys(net.input)
    kept = []
    for layer in net.layers:
        new = caffe_pb2.V1LayerParameter()
        new.CopyFrom(layer)
        for i, bottom in enumerate(layer.bottom):
            if bottom not in made_by:
                raise UserError(f"{name}: layer {layer.layer.name!r}: no layer before it makes its bottom {bottom!r}")
            source = made_by[bottom]
            if source is not None and source.layer.type == "padding":
                _check_padding(source, layer, name)
                new.layer.pad = source.layer.pad
                new.bottom[i] = source.bottom[0]
        if layer.layer.type != "padding":
            kept.append(new)
        made_by.update(dict.fromkeys(layer.top, layer))
    del net.layers[:]
    net.layers.extend(kept)


def _check_padding(source: caffe_pb2.V1LayerParameter, user: caffe_pb2.V1LayerParameter, name: str) -> None:
    where = f"{name}: padding layer {source.layer.name!r}"
    if user.layer.type not in _WINDOW:
        raise UserError(f"{where} feeds a layer of type {user.layer.type!r}; only conv and pool can take padding")
    if (len(user.bottom), len(source.bottom), len(source.top)) != (1, 1, 1):
        raise UserError(f"{where}: it and the layer it feeds must have one bottom each, and it one top")


def _upgrade_v0_layer(
    old: caffe_pb2.V1LayerParameter, new: caffe_pb2.V1LayerParameter, name: str, dropped: list[str]
) -> None:
    new.bottom.extend(old.bottom)
    new.top.extend(old.top)
    if not old.HasField("layer"):
        return
    v0 = old.layer
    for field, value in v0.ListFields():
        if field.name == "type":
            if value not in V0_TYPES:
                raise UserError(f"{name}: layer {v0.name!r}: unknown type {value!r} (one of: {', '.join(V0_TYPES)})")
            new.type = getattr(caffe_pb2.V1LayerParameter, V0_TYPES[value])
        elif field.name in ("name", "blobs", "blobs_lr", "weight_decay"):
            _put(new, field.name, value)
        elif field.name == "hdf5_output_param" and v0.type == "hdf5_output":
            new.hdf5_output_param.CopyFrom(value)
        elif field.name in V0_FIELDS:
            target, owners = V0_FIELDS[field.name]
            owner = "transform_param" if owners is _ANY else owners.get(v0.type)
            if owner is None:
                log.warning("%s: layer %r: a %r layer has no %s; dropped", name, v0.name, v0.type, field.name)
                dropped.append(field.name)
            else:
                _put(getattr(new, owner), target, value)


def _put(message: Message, field: str, value: Any) -> None:
    """Set a field, whatever its kind; one value given to a repeated field is appended."""
    current = getattr(message, field)
    if isinstance(current, Message):
        current.CopyFrom(value)
    elif not hasattr(current, "extend"):
        setattr(message, field, value)
    elif hasattr(value, "extend"):
        current.extend(value)
    else:
        current.append(value)


def _upgrade_transformation(net: caffe_pb2.NetParameter) -> None:
    """Move the transformation's fields of V1 data layers to transform_param.

    As in Caffe, one old field anywhere gives every data layer both messages.
    """
    layers = []
    for layer in net.layers:
        kind = caffe_pb2.V1LayerParameter.LayerType.Name(layer.type)
        if kind in TRANSFORMED:
            layers.append((layer, TRANSFORMED[kind]))
    if not any(getattr(layer, own).HasField(field) for layer, own in layers for field in TRANSFORM_FIELDS):
        return
    for layer, own in layers:
        source = getattr(layer, own)
        source.SetInParent()
        layer.transform_param.SetInParent()
        for field in TRANSFORM_FIELDS:
            if source.HasField(field):
                setattr(layer.transform_param, field, getattr(source, field))
                source.ClearField(field)


def _upgrade_v1(net: caffe_pb2.NetParameter, name: str) -> None:
    if net.layer:
        raise UserError(f"{name}: has both old 'layers' and new 'layer' fields; rewrite the 'layers' as 'layer'")
    for old in net.layers:
        _upgrade_v1_layer(old, net.layer.add())
    del net.layers[:]


def _upgrade_v1_layer(old: caffe_pb2.V1LayerParameter, new: caffe_pb2.LayerParameter) -> None:
    for field, value in old.ListFields():
        if field.name == "type":
            new.type = V1_TYPES[caffe_pb2.V1LayerParameter.LayerType.Name(value)]
        elif field.name in PER_BLOB:
            for i, item in enumerate(value):
                while len(new.param) <= i:
                    new.param.add()
                setattr(new.param[i], PER_BLOB[field.name], item)
        elif field.name != "layer":
            _put(new, field.name, value)


def _upgrade_input(net: caffe_pb2.NetParameter, name: str) -> None:
    """Net-level inputs become an Input layer in front; inputs without any shape, as in old caffemodels, just go."""
    if net.input_shape or net.input_dim:
        layer = caffe_pb2.LayerParameter(name="input", type="Input", top=net.input)
        layer.input_param.shape.extend(_input_shapes(net, name))
        net.layer.insert(0, layer)
    for field in ("input", "input_shape", "input_dim"):
        net.ClearField(field)


def _input_shapes(net: caffe_pb2.NetParameter, name: str) -> list[caffe_pb2.BlobShape]:
    """One shape an input: `input_shape` if there is any, else four `input_dim` each."""
    inputs, shapes, dims = len(net.input), net.input_shape, net.input_dim
    if shapes and len(shapes) < inputs:
        raise UserError(f"{name}: {inputs} input(s) but {len(shapes)} input_shape; give each input its shape")
    if not shapes and len(dims) < 4 * inputs:
        raise UserError(f"{name}: {inputs} input(s) but {len(dims)} input_dim; give each input four")
    if shapes:
        return list(shapes[:inputs])
    return [caffe_pb2.BlobShape(dim=dims[4 * i : 4 * i + 4]) for i in range(inputs)]


def _upgrade_batch_norm(net: caffe_pb2.NetParameter) -> None:
    """Three `param` of a BatchNorm are its running statistics: they must not be learned."""
    for layer in net.layer:
        if layer.type == "BatchNorm" and len(layer.param) == 3:
            for spec in layer.param:
                spec.lr_mult = spec.decay_mult = 0
