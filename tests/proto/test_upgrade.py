"""Old nets and solvers become what the genuine Caffe's own upgrade tools make of them."""

import subprocess
from pathlib import Path

import pytest
from google.protobuf.message import Message

from pycaffe_ext import proto
from pycaffe_ext.errors import UserError
from pycaffe_ext.genuine import root
from pycaffe_ext.proto import caffe_pb2
from pycaffe_ext.proto.upgrade import SOLVER_TYPES, V0_TYPES, V1_TYPES

V0_NET = """
name: "CaffeNet"
layers { layer { name: "data" type: "data" source: "/db" meanfile: "/mean" batchsize: 256 cropsize: 227
  mirror: true rand_skip: 5 } top: "data" top: "label" }
layers { layer { name: "pad0" type: "padding" pad: 2 } bottom: "data" top: "pad0" }
layers { layer { name: "conv1" type: "conv" num_output: 96 kernelsize: 11 stride: 4 group: 2 biasterm: false
  weight_filler { type: "gaussian" std: 0.01 } bias_filler { type: "constant" value: 0. }
  blobs_lr: 1. blobs_lr: 2. weight_decay: 1. weight_decay: 0. } bottom: "pad0" top: "conv1" }
layers { layer { name: "relu1" type: "relu" } bottom: "conv1" top: "conv1" }
layers { layer { name: "pad1" type: "padding" pad: 1 } bottom: "conv1" top: "pad1" }
layers { layer { name: "pool1" type: "pool" pool: AVE kernelsize: 3 stride: 2 } bottom: "pad1" top: "pool1" }
layers { layer { name: "norm1" type: "lrn" local_size: 5 alpha: 0.0001 beta: 0.75 k: 2 } bottom: "pool1" top: "norm1" }
layers { layer { name: "fc8" type: "innerproduct" num_output: 1000 num_output: 1000 } bottom: "norm1" top: "fc8" }
layers { layer { name: "drop" type: "dropout" dropout_ratio: 0.4 } bottom: "fc8" top: "fc8" }
layers { layer { name: "loss" type: "softmax_loss" } bottom: "fc8" bottom: "label" }
""".replace("num_output: 1000 num_output: 1000", "num_output: 1000 concat_dim: 3")

V0_INPUTS = """
name: "deploy" force_backward: true debug_info: true state { level: 3 }
input: "data" input_dim: 10 input_dim: 3 input_dim: 227 input_dim: 227
layers { layer { name: "pad" type: "padding" pad: 3 } bottom: "data" top: "pad" }
layers { layer { name: "c" type: "conv" pad: 1 num_output: 2 kernelsize: 5 } bottom: "pad" top: "c" }
layers { layer { name: "nothing" } bottom: "c" top: "d" }
layers { name: "v1 among v0" type: RELU bottom: "d" top: "e" }
"""

V1_NET = """
name: "AlexNet"
layers { name: "data" type: DATA top: "data" top: "label" include { phase: TRAIN }
  data_param { source: "/train" backend: LMDB batch_size: 256 crop_size: 227 mean_file: "/mean" mirror: true } }
layers { name: "data" type: DATA top: "data" top: "label" include { phase: TEST stage: "a" not_stage: "b" }
  data_param { source: "/val" backend: LMDB batch_size: 50 } transform_param { crop_size: 227 mean_value: 3 } }
layers { name: "images" type: IMAGE_DATA top: "i" image_data_param { source: "/list" scale: 0.5 new_height: 4 } }
layers { name: "windows" type: WINDOW_DATA top: "w" }
layers { name: "conv1" type: CONVOLUTION bottom: "data" top: "conv1" blobs_lr: 1 blobs_lr: 2 weight_decay: 1
  weight_decay: 0 param: "w" param: "b" blob_share_mode: PERMISSIVE blob_share_mode: STRICT exclude { min_level: 2 }
  convolution_param { num_output: 96 kernel_size: 11 stride: 4 weight_filler { type: "gaussian" std: 0.01 } } }
layers { name: "three rates" type: INNER_PRODUCT blobs_lr: 1 blobs_lr: 2 blobs_lr: 3 weight_decay: 7 param: "" }
layers { name: "empty messages" type: POOLING pooling_param { } relu_param { } loss_param { } }
layers { name: "loss" type: SOFTMAX_LOSS bottom: "fc8" bottom: "label" loss_weight: 0.3 loss_weight: 0 }
layers { name: "none" type: NONE } layers { name: "untyped" }
"""

NETS = {
    "V0": V0_NET,
    "V0 inputs": V0_INPUTS,
    "V1": V1_NET,
    "V1 without old data fields": 'layers { name: "d" type: DATA data_param { batch_size: 3 } }',
    "V1 scale of another layer": 'layers { name: "d" type: POWER power_param { scale: 3 } data_param { scale: 3 } }',
    "two inputs by dims": 'input: "a" input: "b"'
    + "".join(f" input_dim: {i}" for i in range(8))
    + ' layer { name: "l" } layer { name: "m" }',
    "two inputs by shape": 'input: "a" input: "b" input_shape { dim: 2 } input_shape { } layer { name: "l" }',
    "shape wins over dims": 'input: "a" input_shape { dim: 2 dim: 3 } input_dim: 1 input_dim: 1',
    "more shapes than inputs": 'input: "a" input_shape { dim: 2 } input_shape { dim: 3 }',
    "more dims than inputs": 'input: "a"' + " input_dim: 2" * 6,
    "inputs without shape": 'input: "a" input: "b" layer { name: "l" }',
    "V1 inputs": 'input: "a" input_dim: 1 input_dim: 2 input_dim: 3 input_dim: 4 layers { name: "r" type: RELU }',
    "batch norm": """
layer { type: "BatchNorm" param { lr_mult: 3 name: "x" } param { } param { decay_mult: 2 } }
layer { type: "BatchNorm" param { lr_mult: 1 } param { } }
layer { type: "Scale" param { } param { } param { } }
""",
    "today's data layer": 'layer { name: "d" type: "Data" data_param { scale: 3 } }',
}


def fill(message: Message, depth: int = 0) -> None:
    """Set every field to a value of its own, lists to two, sub-messages likewise."""
    for field in message.DESCRIPTOR.fields:
        if field.name in ("layer", "blobs", "type"):
            continue
        if field.message_type:
            for _ in range(2 if field.is_repeated else 1):
                inner = getattr(message, field.name)
                fill(inner.add() if field.is_repeated else inner, depth + 1)
            continue
        number = field.number % 50 + 1
        by_kind = {
            field.CPPTYPE_STRING: f"text {number}",
            field.CPPTYPE_BOOL: True,
            field.CPPTYPE_ENUM: field.enum_type and field.enum_type.values[-1].number,
        }
        value = by_kind.get(field.cpp_type, number)
        if field.is_repeated:
            getattr(message, field.name).extend([value, value])
        else:
            setattr(message, field.name, value)


def everything_v0() -> str:
    """Each V0 type with every V0 field set: what belongs to it is kept, the rest dropped."""
    net = caffe_pb2.NetParameter(name="v0", input=["a"])
    for kind in V0_TYPES:
        layer = net.layers.add(bottom=["a"], top=[kind])
        fill(layer.layer)
        layer.layer.type = kind
        proto.array_to_blob([[1.0, 2.0]], layer.layer.blobs.add())
    return proto.to_text(net)


def everything_v1() -> str:
    """Each V1 type with every V1 field set."""
    net = caffe_pb2.NetParameter(name="v1")
    for kind in V1_TYPES:
        layer = net.layers.add()
        fill(layer)
        layer.type = caffe_pb2.V1LayerParameter.LayerType.Value(kind)
        proto.array_to_blob([[1.0, 2.0]], layer.blobs.add())
    return proto.to_text(net)


NETS |= {"every field of every V0 type": everything_v0(), "every field of every V1 type": everything_v1()}


def their_upgrade(tool: str, text: str, folder: Path) -> str | None:
    """The genuine tool's output, None where it died."""
    (folder / "old").write_text(text)
    subprocess.run([root.command(tool), folder / "old", folder / "new"], capture_output=True, check=False)
    return (folder / "new").read_text() if (folder / "new").exists() else None


def test_tables_cover_every_type():
    assert list(V1_TYPES) == sorted(V1_TYPES, key=lambda kind: (kind != "NONE", kind))
    assert set(V1_TYPES) == set(caffe_pb2.V1LayerParameter.LayerType.keys())
    assert set(SOLVER_TYPES) == set(caffe_pb2.SolverParameter.SolverType.keys())


@pytest.mark.parametrize("name", NETS)
def test_upgrading_is_done_once_and_leaves_nothing_old(name):
    net = proto.upgrade_net(proto.parse(NETS[name], caffe_pb2.NetParameter()))
    once = caffe_pb2.NetParameter.FromString(net.SerializeToString())
    assert not net.layers
    assert not net.input
    assert proto.upgrade_net(net) == once


def test_v0_convolution_takes_its_padding():
    net = proto.upgrade_net(proto.parse(V0_NET, caffe_pb2.NetParameter()))
    assert [layer.name for layer in net.layer] == [
        "data",
        "conv1",
        "relu1",
        "pool1",
        "norm1",
        "fc8",
        "drop",
        "loss",
    ]
    conv, pool = net.layer[1], net.layer[3]
    assert (conv.type, conv.bottom, conv.convolution_param.pad) == ("Convolution", ["data"], [2])
    assert [(p.lr_mult, p.decay_mult) for p in conv.param] == [(1, 1), (2, 0)]
    assert (pool.bottom, pool.pooling_param.pad) == (["conv1"], 1)
    assert net.layer[0].transform_param.crop_size == 227


def test_read_net_can_leave_a_net_as_it_is(tmp_path):
    (tmp_path / "n").write_text(V1_NET)
    assert len(proto.read_net(tmp_path / "n", upgrade=False).layers) == 10
    assert len(proto.read_net(tmp_path / "n").layer) == 10


REFUSED = {
    "both generations": ("layer { } layers { type: RELU }", "both old 'layers' and new 'layer'"),
    "unknown V0 type": ('layers { layer { name: "x" type: "cnov" } }', "layer 'x': unknown type 'cnov'"),
    "padding before relu": (
        'input: "a" layers { bottom: "a" top: "p" layer { name: "p" type: "padding" pad: 1 } }'
        ' layers { bottom: "p" top: "r" layer { name: "r" type: "relu" } }',
        "padding layer 'p' feeds a layer of type 'relu'",
    ),
    "padding with two bottoms": (
        'input: "a" layers { bottom: "a" bottom: "a" top: "p" layer { name: "p" type: "padding" pad: 1 } }'
        ' layers { bottom: "p" top: "c" layer { name: "c" type: "conv" } }',
        "padding layer 'p': it and the layer",
    ),
    "unknown bottom": (
        'layers { bottom: "a" layer { name: "c" type: "conv" } }',
        "layer 'c': no layer before it makes its bottom 'a'",
    ),
    "too few shapes": ('input: "a" input: "b" input_shape { dim: 1 }', "2 input(s) but 1 input_shape"),
    "too few dims": ('input: "a" input_dim: 1 input_dim: 2', "1 input(s) but 2 input_dim"),
}


@pytest.mark.parametrize(("text", "said"), REFUSED.values(), ids=REFUSED)
def test_nets_that_cannot_be_upgraded(tmp_path, text, said):
    (tmp_path / "net.prototxt").write_text(text)
    with pytest.raises(UserError) as error:
        proto.read_net(tmp_path / "net.prototxt")
    assert str(error.value).startswith(f"{tmp_path / 'net.prototxt'}: ")
    assert said in str(error.value)


def test_what_a_v0_layer_cannot_take_is_told(caplog):
    proto.upgrade_net(proto.parse(V0_NET, caffe_pb2.NetParameter()), "old.prototxt")
    assert [record.getMessage() for record in caplog.records] == [
        "old.prototxt: layer 'fc8': a 'innerproduct' layer has no concat_dim; dropped"
    ]


def test_solver_with_both_types(tmp_path):
    (tmp_path / "s").write_text('solver_type: ADAM type: "SGD"')
    with pytest.raises(UserError, match="both solver_type and type"):
        proto.read_solver(tmp_path / "s")


class TestGenuine:
    pytestmark = pytest.mark.genuine

    @pytest.mark.parametrize("name", NETS)
    def test_nets(self, tmp_path, name):
        theirs = their_upgrade("upgrade_net_proto_text", NETS[name], tmp_path)
        ours = proto.upgrade_net(proto.parse(NETS[name], caffe_pb2.NetParameter()))
        assert proto.to_text(ours) == proto.to_text(proto.parse(theirs, caffe_pb2.NetParameter()))

    @pytest.mark.parametrize("name", [n for n in REFUSED if not n.startswith("too few")])
    def test_what_we_refuse_it_refuses(self, tmp_path, name):
        assert their_upgrade("upgrade_net_proto_text", REFUSED[name][0], tmp_path) is None

    @pytest.mark.parametrize("old", SOLVER_TYPES)
    def test_solvers(self, tmp_path, old):
        text = f'net: "n" base_lr: 0.01 momentum: 0.9 solver_type: {old} stepvalue: 3 stepvalue: 5'
        theirs = their_upgrade("upgrade_solver_proto_text", text, tmp_path)
        ours = proto.upgrade_solver(proto.parse(text, caffe_pb2.SolverParameter()))
        theirs = proto.parse(theirs, caffe_pb2.SolverParameter())
        assert ours == theirs
