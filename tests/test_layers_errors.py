"""What a layer refuses: the genuine Caffe refuses it too, and here it is told in one line with the layer's place."""

from __future__ import annotations

import subprocess

import pytest
from engine_cases import layer

from pycaffe_ext.engine.net import Net
from pycaffe_ext.engine.net_log import build_net
from pycaffe_ext.engine.solver import Solver
from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import caffe_pb2, parse, read_net
from pycaffe_ext.proto.lines import layer_lines
from pycaffe_ext.training import genuine

TRAIN = caffe_pb2.TRAIN
needs_genuine = pytest.mark.skipif(not genuine.installed(), reason="the genuine Caffe is not installed (make caffe)")


def inputs(**shapes: str) -> str:
    """An Input layer with one top for each keyword; a shape is its sizes separated by blanks."""
    text = "".join(f"shape {{{''.join(f' dim: {n}' for n in shape.split())} }} " for shape in shapes.values())
    return layer("Input", f"input_param {{ {text}}}", "", " ".join(shapes))


FORCE = "force_backward: true\n"
X, PAIR, CROPPED = inputs(x="2 3 4 5"), inputs(x="4 3", t="4"), inputs(x="1 2 5 5", z="1 2 4 4")
GAIN = inputs(x="4 3", t="4", h="3 3")
REFUSED = {
    "Reduction: axis": (X + layer("Reduction", "reduction_param { axis: 4 }"), "axis 4 is outside"),
    "Reduction: two bottoms": (PAIR + layer("Reduction", "", "x t"), "takes 1 bottom"),
    "MVN: five axes": (inputs(x="1 2 3 4 5") + layer("MVN"), "up to 4 axes"),
    "Tile: no tiles": (X + layer("Tile", "tile_param { axis: 1 }"), "tiles must be given and positive"),
    "Tile: negative tiles": (X + layer("Tile", "tile_param { tiles: -1 }"), "positive, not -1"),
    "Tile: axis": (X + layer("Tile", "tile_param { tiles: 2 axis: -5 }"), "axis -5 is outside"),
    "Crop: one bottom": (X + layer("Crop"), "takes 2 bottom"),
    "Crop: beyond": (CROPPED + layer("Crop", "crop_param { offset: 2 }", "x z"), "4 values from 2"),
    "Crop: larger": (inputs(x="1 2 5 5", z="1 2 6 4") + layer("Crop", "", "x z"), "6 values from 0"),
    "Crop: offsets": (CROPPED + layer("Crop", "crop_param { axis: 1 offset: 0 offset: 0 }", "x z"), "each of the 3"),
    "Crop: axis": (inputs(x="1 2", z="1 2") + layer("Crop", "", "x z"), "axis 2 is outside"),
    "Embed: num_output": (X + layer("Embed", "embed_param { input_dim: 3 }"), "num_output must be positive"),
    "Embed: input_dim": (X + layer("Embed", "embed_param { num_output: 3 }"), "input_dim must be positive"),
    "Embed: gradient": (FORCE + inputs(x="2") + layer(
        "Embed", "embed_param { input_dim: 3 num_output: 2 }"), "can't send a gradient to its indices"),
    "BatchReindex: axes": (inputs(x="2 3", i="2 1") + layer("BatchReindex", "", "x i"), "indices must have 1 axis"),
    "BatchReindex: gradient": (FORCE + PAIR + layer("BatchReindex", "", "x t"), "gradient to its indices"),
    "Filter: tops": (PAIR + layer("Filter", "", "x t", "y z"), "2 bottoms .* make 1 top"),
    "Filter: items": (inputs(x="4 3", t="3") + layer("Filter", "", "x t"), "the selector has 3 items"),
    "Filter: selector": (inputs(x="4 3", t="4 2") + layer("Filter", "", "x t"), "one value an item"),
    "Filter: gradient": (FORCE + PAIR + layer("Filter", "", "x t"), "gradient to its selector"),
    "SPP: axes": (PAIR + layer("SPP", "spp_param { pyramid_height: 2 }"), "must have 4 axes"),
    "SPP: too small": (X + layer("SPP", "spp_param { pyramid_height: 3 }"), "too small for 4 x 4 bins; lower"),
    "Multinomial: labels": (inputs(x="4 3", t="4 2") + layer("MultinomialLogisticLoss", "", "x t"), "needs 4 labels"),
    "Multinomial: items": (inputs(x="4 3", t="3") + layer("MultinomialLogisticLoss", "", "x t"), "needs 4 labels"),
    "Infogain: no matrix": (PAIR + layer("InfogainLoss", "", "x t"), "give infogain_loss_param { source } or a third"),
    "Infogain: no file": (PAIR + layer("InfogainLoss", "infogain_loss_param { source: '/no/file' }", "x t"),
                          "'infogainloss'.*/no/file: no such file"),
    "Infogain: matrix": (inputs(x="4 3", t="4", h="3 2") + layer("InfogainLoss", "", "x t h"), "3 classes need 3 x 3"),
    "Infogain: normalize": (GAIN + layer(
        "InfogainLoss", "loss_param { normalize: true }", "x t h"), "not the old normalize"),
    "Infogain: labels": (inputs(x="4 3", t="4 2", h="3 3") + layer("InfogainLoss", "", "x t h"), "4 labels are needed"),
    "Infogain: gradient": (FORCE + GAIN + layer(
        "InfogainLoss", "", "x t h"), "can't send a gradient to its labels or to H"),
    "Infogain: weights": (GAIN + layer("InfogainLoss", "", "x t h", "y p"), "each of its 2 tops"),
    "Softmax: weights": (PAIR + layer("SoftmaxWithLoss", "", "x t", "y p"), "loss_weight must be given once for each"),
    "Softmax: items": (inputs(x="2 3 4", t="8") + layer("SoftmaxWithLoss", "", "x t"), "must be as many"),
    "Contrastive: channels": (inputs(x="4 3", z="4 2", t="4") + layer("ContrastiveLoss", "", "x z t"), "one shape"),
    "Contrastive: image": (inputs(x="4 3 2", z="4 3 2", t="4") + layer("ContrastiveLoss", "", "x z t"), "one shape"),
    "Contrastive: labels": (inputs(x="4 3", z="4 3", t="4 3") + layer("ContrastiveLoss", "", "x z t"), "4 values"),
    "Stochastic: pad": (X + layer("Pooling", "pooling_param { pool: STOCHASTIC kernel_size: 2 pad: 1 }"), "MAX and A"),
    "Stochastic: mask": (X + layer("Pooling", "pooling_param { pool: STOCHASTIC kernel_size: 2 }", "x", "y m"),
                         "only MAX has a second top"),
    "Parameter: bottom": (X + layer("Parameter", "parameter_param { shape { dim: 2 } }"), "takes 0 bottom"),
    "Clip: no max": (X + layer("Clip", "clip_param { min: 1 }"), "required field"),
    "unknown type": (X + layer("Convolutoin"), "'convolutoin': 'Convolutoin'; did you mean 'Convolution'.*Tile"),
}

# Beyond Caffe, which goes on with values from outside its blobs, or with a setting that can't be meant.
STRICTER = {
    "Embed: index": (PAIR + layer("Embed", "embed_param { input_dim: 3 num_output: 2 }", "t"), "must lie in 0..2"),
    "Multinomial: label": (PAIR + layer("MultinomialLogisticLoss", "", "x t"), "labels must lie in 0..2"),
    "Infogain: label": (GAIN + layer("InfogainLoss", "", "x t h"), "labels must lie in 0..2"),
    "Clip: swapped": (X + layer("Clip", "clip_param { min: 1 max: 0 }"), "min 1 is above max 0"),
    "Clip: nothing": (X + layer("Clip"), "needs clip_param"),
    "SPP: no height": (X + layer("SPP"), "pyramid_height must be positive"),
    "Contrastive: few": (inputs(x="4 3", z="4 3", t="3") + layer("ContrastiveLoss", "", "x z t"), "needs 4 values"),
}


@pytest.mark.parametrize("text, words, label", [
    *((*REFUSED[name], 0) for name in REFUSED), *((*STRICTER[name], 5) for name in STRICTER),
], ids=[*REFUSED, *STRICTER])
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
import os, sys
os.environ["GLOG_minloglevel"] = "3"
import caffe
for path in sys.argv[1:]:
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        net = caffe.Net(path, caffe.TRAIN)
        net.forward()
        net.backward()
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    print(path, "went on" if status == 0 else "refused")
"""


@needs_genuine
@pytest.mark.genuine
def test_the_genuine_engine_refuses_the_same(tmp_path):
    paths = [tmp_path / f"{i}.prototxt" for i in range(len(REFUSED))]
    for path, (text, _) in zip(paths, REFUSED.values(), strict=True):
        path.write_text(text)
    (tmp_path / "good.prototxt").write_text(X + layer("MVN"))
    order = [genuine.command("python"), "-c", FORKS, *paths, tmp_path / "good.prototxt"]
    ends = subprocess.run(order, capture_output=True, text=True, check=True).stdout.splitlines()
    assert ends.pop().endswith("good.prototxt went on")
    accepted = [name for name, end in zip(REFUSED, ends, strict=True) if not end.endswith("refused")]
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


@pytest.mark.parametrize("kind, words", [
    ("Poling", r":9: unknown type of layer 'wrong': 'Poling'; did you mean 'Pooling'\? \(one of: AbsVal, .* Tile\)"),
    ("InnerProduct", ":9: layer 'wrong' .InnerProduct.: num_output must be positive"),
    ("Concat\" bottom: \"z", ":9: layer 'wrong': unknown bottom blob 'z'"),
])
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


def test_a_type_that_the_phase_leaves_out_may_be_unknown():
    text = X + layer("NoSuchType", "include { phase: TEST }") + layer("ReLU")
    assert Net(parse(text, caffe_pb2.NetParameter()), TRAIN).layer_names == ["input", "relu"]
