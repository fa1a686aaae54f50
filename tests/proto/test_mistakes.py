"""What is said of a mistake in a prototxt helps: what is allowed, what to write, which fork of Caffe knows it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pycaffe_ext.engine.core.net import Net
from pycaffe_ext.engine.core.net_log import build_net
from pycaffe_ext.errors import UserError
from pycaffe_ext.genuine import root
from pycaffe_ext.nets.shapes import blob_shapes
from pycaffe_ext.proto import caffe_pb2, forks, parse, read_net, read_solver, to_text
from pycaffe_ext.proto.mistakes import LAYER

X = 'layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 1 dim: 1 dim: 6 dim: 6 } } }\n'
POOL = X + 'layer { name: "p" type: "Pooling" bottom: "x" top: "y" pooling_param { kernel_size: 3 stride: 2 %s } }'
FASTER = "is not in BVLC Caffe 1.0; it is known from Fast and Faster R-CNN (caffe-fast-rcnn)"
SSD = "is not in BVLC Caffe 1.0; it is known from SSD (weiliu89/caffe)"

SAID = {
    "today's type in layers": (
        'layers { type: "Convolution" }',
        "net:1: in the old 'layers' a type is a word such as CONVOLUTION; write 'layer' for 'layers'",
    ),
    "old type in layer": (
        "layer {\n type: SOFTMAX_LOSS }",
        "net:2: SOFTMAX_LOSS is a type of the old 'layers'; in 'layer' write type: \"SoftmaxWithLoss\"",
    ),
    "today's param in layers": (
        "layers { batch_norm_param {} }",
        "net:1: unknown field 'batch_norm_param' in V1LayerParameter; write 'layer' for the old 'layers'",
    ),
    "old rate in layer": (
        "layer { blobs_lr: 1 }",
        "net:1: unknown field 'blobs_lr' in LayerParameter; it belongs to the old 'layers'",
    ),
    "old param in layer": (
        "layer { param: 'w' }",
        "net:1: field 'param' takes a block { }, not 'w'; write param { name",
    ),
    "enum in quotes": ('layer { pooling_param { pool: "AVE" } }', "net:1: field 'pool' takes AVE without quotes"),
    "misspelt enum in quotes": (
        'layer { pooling_param { pool: "avg" } }',
        "net:1: unknown value 'avg' of PoolingParameter.PoolMethod; did",
    ),
    "type without quotes": ("layer { type: ReLU }", "net:1: field 'type' takes a string; write it in quotes: \"ReLU\""),
    "bool": ("force_backward: TRUE", "net:1: field 'force_backward' takes true or false, not TRUE"),
    "bool in quotes": ("debug_info: 'true'", "net:1: field 'debug_info' takes true or false, not 'true'; remove"),
    "plus": ("layer { loss_weight: +1 }", "net:1: field 'loss_weight' takes a number, not +1; leave out the '+'"),
    "hexadecimal": ("layer { loss_weight: 0x1 }", "net:1: field 'loss_weight' takes a number, not 0x1; leave out zero"),
    "integer too large": (
        "input_dim: 3000000000",
        "net:1: field 'input_dim' takes an integer from -2147483648 to 2147483647, not 3",
    ),
    "byte order mark": ("\ufeffname: 'a'", "net:1: the file begins with a byte order mark, which Caffe refuses; save"),
    "no-break space": (
        "name:\n\u00a0'a'",
        "net:2: field 'name': a character outside of a string that is not ASCII (NO-B",
    ),
    "byte": ("name: 'a'\n\U0010ffb5", "net:2: a character outside of a string that is not ASCII (0xb5)"),
    "curly quotes": ("name: \u201ca\u201d", "net:1: field 'name': \u201c is not a straight quote; write \" or '"),
    "control character": ("name: 'a'\n\x1a", "net:2: a control character, 0x1a; is this a text file?"),
    "Windows path": (
        r'name: "C:\data\train"',
        r"net:1: field 'name': \d is not an escape sequence; write \\ for a back",
    ),
    "open string": ("name: 'a\n", "net:1: field 'name': a string has no closing quote"),
    "other comment": ("name: 'a' // b", "net:1: a comment begins with '#'"),
    "equals": ("name = 'a'", "net:1: write ':' for '=' after 'name'"),
    "no colon": ("name 'a'", "net:1: ':' is missing after 'name'"),
    "list": ("layer {\n loss_weight: [1 2] }", "net:2: expected ',' or ']' in the list of 'loss_weight', not 2"),
    "never closed": (
        "layer {\n param {\n }\n\n",
        "net:3: a '{' is never closed; add the missing '}' (it is that of 'layer' in",
    ),
    "closed too late": (
        "layer {\n name: 'a'\nlayer { } }",
        "net:3: 'layer' stands inside of 'layer'; close the '{' in line 1",
    ),
    "closed by another": (
        "layer {\n param < lr_mult: 1 } }",
        "net:2: the '<' of 'param' in line 2 is closed by '}'; write",
    ),
    "solver for a net": ("base_lr: 1", "net:1: unknown field 'base_lr' in NetParameter; it belongs to a solver"),
    "fork's type": (
        "layer { name: 'roi' type: 'ROIPooling'\n roi_pooling_param { pooled_w: 7 } }",
        f"net:2: layer 'roi': type 'ROIPooling' {FASTER}",
    ),
    "fork's type, named last": (
        "layer {\n  smooth_l1_loss_param { sigma: 3 } bottom: 'a'\n  name: 'l1' type: 'SmoothL1Loss' }\nlayer { }",
        f"net:2: layer 'l1': type 'SmoothL1Loss' {FASTER}",
    ),
    "fork's type and a common field": (
        "layer { name: 'n' type: 'Normalize' norm_param { } }",
        f"net:1: layer 'n': type 'Normalize' {SSD}",
    ),
    "fork's param without a type": (
        "layer { roi_pooling_param { } }",
        f"net:1: field 'roi_pooling_param' of LayerParameter {FASTER}",
    ),
    "fork's field": (
        "layer { name: 'd' type: 'Data' transform_param {\n resize_param { } } }",
        f"net:2: layer 'd': field 'resize_param' of TransformationParameter {SSD}",
    ),
    "fork's value": (
        "layer { relu_param { engine: MKL2017 } }",
        "net:1: field 'engine': value 'MKL2017' is not in BVLC Caffe 1.0; it is known from Intel Caffe (intel/caffe)",
    ),
    "fork's old type": ("layers { type: ROI_POOLING }", f"net:1: field 'type': value 'ROI_POOLING' {FASTER}"),
    "nobody's field": ("layer { kernal { } }", "net:1: unknown field 'kernal' in LayerParameter"),
    "ceil_mode": (POOL % "ceil_mode: 2", "net:2: field 'ceil_mode' takes true or false, not 2"),
    "ceil_mode twice": (
        POOL % "ceil_mode: false round_mode: FLOOR",
        "net:2: field 'round_mode' of PoolingParameter is giv",
    ),
}


@pytest.mark.parametrize(("text", "said"), SAID.values(), ids=SAID)
def test_it_is_said_what_to_do(text, said):
    with pytest.raises(UserError) as error:
        parse(text, caffe_pb2.NetParameter(), "net")
    assert str(error.value).startswith(said) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lr_policy: step", "solver:1: field 'lr_policy' takes a string; write it in quotes: \"step\""),
        (
            "layer { }",
            "solver:1: unknown field 'layer' in SolverParameter; it belongs to a net, and a solver was expected",
        ),
        ('solver_mode: "GPU"', "solver:1: field 'solver_mode' takes GPU without quotes"),
    ],
)
def test_so_it_is_of_a_solver(text, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("solver").write_text(text)
    with pytest.raises(UserError) as error:
        read_solver("solver")
    assert str(error.value).startswith(said)


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be"])
def test_sixteen_bits_a_letter_are_named(tmp_path, codec):
    (tmp_path / "net").write_bytes("name: 'a'".encode(codec))
    with pytest.raises(UserError, match="is UTF-16 text" if codec == "utf-16" else "is not text"):
        read_net(tmp_path / "net")


def test_a_comment_that_swallows_the_file_is_noticed(tmp_path, caplog):
    (tmp_path / "net").write_bytes(b"name: 'a' # old Macintosh\rinput: 'b'\r")
    net = read_net(tmp_path / "net")
    assert net.name == "a" and not net.input  # as in Caffe
    assert "lines end in CR only" in caplog.text


def test_a_type_of_a_fork_without_its_param_is_known_too(tmp_path):
    path = tmp_path / "net"
    path.write_text(X + 'layer {\n name: "r" type: "ReLU6" bottom: "x" top: "y" }')
    said = "layer 'r': type 'ReLU6' is not in BVLC Caffe 1.0; it is known from MobileNet for Caffe"
    with pytest.raises(UserError) as error:
        build_net(read_net(path), caffe_pb2.TEST, file=path)
    assert str(error.value) == f"{path}:2: {said}"
    with pytest.raises(UserError, match="type 'ReLU6' is not in BVLC"):
        blob_shapes(read_net(path), caffe_pb2.TEST, (1, 6, 6))


def test_the_table_holds_what_caffe_lacks():
    from pycaffe_ext.engine.layers.base import layer_types

    assert not set(forks.TYPES) & set(layer_types())
    messages = caffe_pb2.DESCRIPTOR.message_types_by_name
    for name, fields in forks.FIELDS.items():
        assert not set(fields) & set(messages[name].fields_by_name), name
    assert all(field in forks.FIELDS[LAYER.name] for field in ("roi_pooling_param", "permute_param", "bn_param"))


ROUNDED = {"": 3, "ceil_mode: true": 3, "ceil_mode: 0": 2, "round_mode: FLOOR": 2}


@pytest.mark.parametrize("setting", ROUNDED)
def test_ceil_mode_is_the_rounding_of_pooling(setting):
    net = parse(POOL % setting, caffe_pb2.NetParameter())
    assert "ceil_mode" not in to_text(net) and ("round_mode" in to_text(net)) == (ROUNDED[setting] == 2)
    assert Net(net, caffe_pb2.TEST).blobs["y"].shape == (1, 1, ROUNDED[setting], ROUNDED[setting])


@pytest.mark.genuine
@pytest.mark.parametrize("setting", ["ceil_mode: true", "ceil_mode: false"])
def test_what_is_written_the_genuine_engine_rounds_alike(setting, tmp_path):
    (tmp_path / "net").write_text(to_text(parse(POOL % setting, caffe_pb2.NetParameter())))
    order = [root.command("caffe"), "time", f"-model={tmp_path}/net", "-iterations=1"]
    log = subprocess.run(order, capture_output=True, text=True, check=True).stderr
    side = 3 if setting.endswith("true") else 2
    assert f"Top shape: 1 1 {side} {side}" in log
