"""Prototxt: mistakes are told with their line, and what is written is stable and reads back."""

import numpy as np
import pytest

from pycaffe_ext import proto
from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import caffe_pb2

CONV = 'name: "n"\nlayer {\n  name: "c"\n  convolution_param {\n    %s\n  }\n}\n'

MISTAKES = {
    "misspelt field": (
        CONV % "kernal_size: 3",
        "net.prototxt:5: unknown field 'kernal_size' in ConvolutionParameter; did you mean 'kernel_size'?",
    ),
    "field of a sub-message": (
        "layer {\n  kernel_size: 3\n}",
        "net.prototxt:2: unknown field 'kernel_size' in LayerParameter;"
        " it belongs inside convolution_param or pooling_param",
    ),
    "nothing like it": ("foo: 1", "net.prototxt:1: unknown field 'foo' in NetParameter (one of: name, input, "),
    "misspelt enum value": (
        "layer {\n  pooling_param {\n    pool: max\n  }\n}",
        "net.prototxt:3: unknown value 'max' of PoolingParameter.PoolMethod; did you mean 'MAX'?"
        " (one of: MAX, AVE, STOCHASTIC)",
    ),
    "misspelt top-level enum": ("layer {\n phase: TRIAN\n}", "net.prototxt:2: unknown value 'TRIAN' of Phase"),
    "enum number": ("layer {\n phase: 7\n}", "net.prototxt:2: unknown value '7' of Phase (one of: TRAIN, TEST)"),
    "enum number at the end of the file": ("layer { phase: 7 }", "net.prototxt:1: unknown value '7' of Phase"),
    "string without quotes": (
        "\n\nname: alexnet",
        "net.prototxt:3: field 'name' takes a string; write it in quotes: \"alexnet\"",
    ),
    "negative unsigned": (
        CONV % "stride: -1",
        "net.prototxt:5: field 'stride' takes an integer from 0 to 4294967295, not -1",
    ),
    "fraction for an integer": (
        CONV % "stride: 1.5",
        "net.prototxt:5: field 'stride' takes an integer from 0 to 4294967295, not 1.5",
    ),
    "word for a number": (
        "layer {\n  loss_weight: big\n}",
        "net.prototxt:2: field 'loss_weight' takes a number, not big",
    ),
    "twice": ('name: "a"\nname: "b"', "net.prototxt:2: field 'name' of NetParameter is given twice; keep one"),
    "open string": ('name: "a\n', "net.prototxt:1: field 'name': a string has no closing quote"),
    "missing brace": (
        'layer {\n  name: "c"\n',
        "net.prototxt:2: a '{' is never closed; add the missing '}' (it is that of 'layer' in line 1)",
    ),
    "brace too many": ("layer {\n}\n}", "net.prototxt:3: a '}' closes nothing; remove it"),
    "missing required": ("layer { clip_param { min: 0 } }", "net.prototxt: required field 'layer[0].clip_param.max'"),
}


@pytest.mark.parametrize(("text", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_with_its_line(tmp_path, monkeypatch, text, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.prototxt").write_text(text)
    with pytest.raises(UserError) as error:
        proto.read_net("net.prototxt")
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("read", [proto.read_net, proto.read_solver])
def test_files_that_are_no_prototxt(tmp_path, read):
    with pytest.raises(UserError, match="absent.prototxt: no such prototxt"):
        read(tmp_path / "absent.prototxt")
    with pytest.raises(UserError, match="is a folder"):
        read(tmp_path)
    (tmp_path / "binary").write_bytes(b"\n\x03net\xff\xfe\x00")
    with pytest.raises(UserError, match="binary: is not text"):
        read(tmp_path / "binary")


def test_comments_and_all_spellings_of_bvlc_files():
    net = proto.parse(
        "# a net\nname: 'n' # quotes of either kind\nlayer: { name: \"a\" loss_weight: 1e-3 loss_weight: .5f\n"
        "  propagate_down: [true, 0] data_param { backend: LMDB }; phase: 1 }\nlayer < name: 'é' >",
        caffe_pb2.NetParameter(),
    )
    assert net.layer[0].loss_weight == [np.float32(1e-3), 0.5]
    assert net.layer[0].propagate_down == [True, False]
    assert net.layer[0].phase == caffe_pb2.TEST
    assert net.layer[1].name == "é"


@pytest.mark.parametrize("text", ["0.0005", "0.95", "0.0001", "0.1", "0.01", "1e-10", "0.333333343", "0.999", "1e+10"])
def test_floats_are_the_shortest_text_of_the_same_float32(text):
    solver = caffe_pb2.SolverParameter(base_lr=float(text))
    written = proto.to_text(solver)
    number = written.split()[1]
    assert np.float32(number) == np.float32(text)
    assert float(number) == float(str(np.float32(text)))
    assert len(number) <= len(text) or number == "10000000000.0"
    assert proto.parse(written, caffe_pb2.SolverParameter()) == solver


def test_fields_are_written_in_the_order_of_bvlc_files(tmp_path):
    layer = caffe_pb2.LayerParameter(top=["t"], bottom=["b"], type="Convolution", name="é")
    layer.convolution_param.weight_filler.std = 0.01
    layer.convolution_param.num_output = 2
    layer.include.add().phase = caffe_pb2.TRAIN
    layer.param.add().lr_mult = 0
    net = caffe_pb2.NetParameter(layer=[layer], name="n")
    expected = (
        'name: "n"\nlayer {\n  name: "é"\n  type: "Convolution"\n  bottom: "b"\n  top: "t"\n'
        "  param {\n    lr_mult: 0.0\n  }\n  include {\n    phase: TRAIN\n  }\n  convolution_param {\n"
        "    num_output: 2\n    weight_filler {\n      std: 0.01\n    }\n  }\n}\n"
    )
    proto.write_text(tmp_path / "new" / "net.prototxt", net)
    assert (tmp_path / "new" / "net.prototxt").read_bytes() == expected.encode()
    assert proto.read_net(tmp_path / "new" / "net.prototxt") == net


def test_snapshots_are_named_after_the_solver_as_in_caffe(tmp_path):
    path = tmp_path / "solver.v1.prototxt"
    path.write_text('net: "n"')
    assert proto.read_solver(path).snapshot_prefix == str(tmp_path / "solver.v1")
    path.write_text(f'net: "n" snapshot_prefix: "{tmp_path}"')
    assert proto.read_solver(path).snapshot_prefix == str(tmp_path / "solver.v1")
    path.write_text('net: "n" snapshot_prefix: "runs/a"')
    assert proto.read_solver(path).snapshot_prefix == "runs/a"
