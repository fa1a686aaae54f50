"""What a layer refuses: the genuine Caffe refuses it too, and here it is told in one line with the layer's place."""

from __future__ import annotations

import genuine_python
import pytest
from engine_cases import layer
from refusals import REFUSED, STRICTER, X

from pycaffe_ext.engine import cli
from pycaffe_ext.engine.core.net import Net
from pycaffe_ext.engine.core.net_log import build_net
from pycaffe_ext.engine.solver.solver import Solver
from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import caffe_pb2, parse, read_net
from pycaffe_ext.proto.lines import layer_lines

TRAIN = caffe_pb2.TRAIN


@pytest.mark.parametrize(
    "text, words, label",
    [
        *((*REFUSED[name], 0) for name in REFUSED),
        *((*STRICTER[name], 5) for name in STRICTER),
    ],
    ids=[*REFUSED, *STRICTER],
)
def test_refused_in_one_line(text, words, label):
    with pytest.raises(UserError, match=words) as error:
        net = Net(parse(text, caffe_pb2.NetParameter()), TRAIN)
        if "t" in net.blobs:
            net.blobs["t"].data.fill_(label)
        net.forward()
        net.backward()
    assert "\n" not in str(error.value)


# Each net in a process of its own, as Caffe aborts where it refuses; prints how each process ended.
FORKS = """
import os, signal, sys, caffe
for path in sys.argv[1:]:
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        net = caffe.Net(path, caffe.TRAIN)
        net.forward()
        net.backward()
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    print(path, "aborted" if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGABRT else status)
"""


@pytest.mark.genuine
def test_the_genuine_engine_refuses_the_same(tmp_path):
    paths = [tmp_path / f"{i}.prototxt" for i in range(len(REFUSED))]
    for path, (text, _) in zip(paths, REFUSED.values(), strict=True):
        path.write_text(text)
    (tmp_path / "good.prototxt").write_text(X + layer("MVN"))
    ends = genuine_python.run("-c", FORKS, *paths, tmp_path / "good.prototxt").stdout.splitlines()
    assert ends.pop().endswith("good.prototxt 0")
    accepted = [name for name, end in zip(REFUSED, ends, strict=True) if not end.endswith("aborted")]
    assert not accepted


# ---- lines

NET = """name: "net" # layer { name: "wrong" }
layer { name: "data" type: "Input" top: "x" include { phase: TRAIN }
  input_param { shape { dim: 2 dim: 3 } } }
layer {
  name: "data" type: "Input" top: "x" include { phase: TEST }
  input_param < shape < dim: 1 dim: 3 > >
}

layer {
  bottom: "x" top: "y"
  type: "%s"
  name: 'wrong'
}
layer { name: "relu" type: "ReLU" bottom: "y" top: "y" }
"""


def test_layers_are_found_by_name():
    assert layer_lines(NET, "wrong") == [9]
    assert layer_lines(NET, "relu") == [14]
    assert layer_lines(NET, "data") == [2, 4]
    assert layer_lines(NET, "net") == layer_lines(NET, "absent") == []
    assert layer_lines("layer { param { name: 'w' }\n name: 'a' }\nlayer { name: 'w' }", "w") == [3]
    assert layer_lines("layers {\n  layer {\n    name: 'a{' } }\nlayers { name: 'b' }", "a{") == [2]


@pytest.mark.parametrize(
    "kind, words",
    [
        ("Poling", r":9: unknown type of layer 'wrong': 'Poling'; did you mean 'Pooling'\? \(one of: AbsVal, .* Tile"),
        ("InnerProduct", ":9: layer 'wrong' .InnerProduct.: num_output must be positive"),
        ('Concat" bottom: "z', ":9: layer 'wrong': unknown bottom blob 'z'"),
    ],
)
def test_a_mistake_in_a_file_is_told_with_its_line(tmp_path, kind, words):
    path = tmp_path / "net.prototxt"
    path.write_text(NET % kind)
    with pytest.raises(UserError, match=f"{path}{words}") as error:
        build_net(read_net(path), TRAIN, file=path)
    assert "\n" not in str(error.value)


def test_layers_that_share_a_name_are_all_named(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(NET.replace('type: "Input"', 'type: "Inpt"') % "Sigmoid")
    with pytest.raises(UserError, match=f"{path}:2 or 4: unknown type of layer 'data'"):
        build_net(read_net(path), TRAIN, file=path)


@pytest.mark.parametrize("field", ["net", "train_net", "test_net"])
def test_a_solver_tells_the_file_too(tmp_path, field):
    good, bad = tmp_path / "good.prototxt", tmp_path / "bad.prototxt"
    good.write_text(NET % "Sigmoid")
    bad.write_text(NET % "Sigmiod")
    text = f'base_lr: 1 lr_policy: "fixed" {field}: "{bad}" '
    if field == "test_net":
        text += f'train_net: "{good}" test_iter: 1 test_interval: 1'
    with pytest.raises(UserError, match=f"{bad}:9: unknown type of layer 'wrong'"):
        Solver(parse(text, caffe_pb2.SolverParameter()))


def test_a_net_that_stands_in_the_solver_has_lines_too(tmp_path):
    path = tmp_path / "solver.prototxt"
    path.write_text('base_lr: 1 lr_policy: "fixed"\nnet_param {\n' + NET % "Sigmiod" + "}")
    with pytest.raises(UserError, match=f"{path}:11: unknown type of layer 'wrong'"):
        cli.main(["train", f"--solver={path}"])


def test_a_type_that_the_phase_leaves_out_may_be_unknown():
    text = X + layer("NoSuchType", "include { phase: TEST }") + layer("ReLU")
    assert Net(parse(text, caffe_pb2.NetParameter()), TRAIN).layer_names == ["input", "relu"]
