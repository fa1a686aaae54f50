"""Nets: rules, splits, sharing, what runs backward, transfer of weights, and whole nets against the genuine Caffe."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from engine_cases import Case, differences, ours, run_genuine

from pycaffe_ext import nets
from pycaffe_ext.engine.core.net import Net
from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import caffe_pb2, parse, to_text, write_weights, write_weights_h5

TRAIN, TEST = caffe_pb2.TRAIN, caffe_pb2.TEST
DATA = """layer { name: "data" type: "Input" top: "data" top: "label"
  input_param { shape { dim: 2 dim: 3 } shape { dim: 2 } } }"""


def fc(name: str, bottom: str, top: str | None = None, rest: str = "", outputs: int = 4) -> str:
    return (
        f'layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{top or name}" {rest}'
        f' inner_product_param {{ num_output: {outputs} weight_filler {{ type: "xavier" }} }} }}\n'
    )


LOSS = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "c" bottom: "label" top: "loss" }\n'
SHARED = 'param { name: "w" }'
FROZEN = "param { lr_mult: 0 } param { lr_mult: 0 }"
THREE = DATA + fc("a", "data") + fc("b", "a") + fc("c", "b") + LOSS


def make(text: str, phase: int = TRAIN, **rest) -> Net:
    return Net(parse(text, caffe_pb2.NetParameter()), phase, **rest)


def backward_layers(net: Net) -> list[str]:
    return [name for i, name in enumerate(net.layer_names) if net.needs_backward(i)]


# ---- which layers there are


@pytest.mark.parametrize(
    "rule, state, kept",
    [
        ("include { phase: TRAIN }", {}, True),
        ("include { phase: TEST }", {}, False),
        ("exclude { phase: TRAIN }", {}, False),
        ("include { min_level: 2 }", {"level": 1}, False),
        ("include { min_level: 2 max_level: 3 }", {"level": 3}, True),
        ("include { stage: 'a' }", {}, False),
        ("include { stage: 'a' stage: 'b' }", {"stages": ["a"]}, False),
        ("include { stage: 'a' not_stage: 'b' }", {"stages": ["a"]}, True),
        ("include { stage: 'a' not_stage: 'b' }", {"stages": ["a", "b"]}, False),
        ("include { phase: TEST } include { stage: 'a' }", {"stages": ["a"]}, True),
        ("exclude { stage: 'a' } exclude { stage: 'b' }", {"stages": ["b"]}, False),
    ],
)
def test_rules(rule, state, kept):
    net = make(DATA + fc("a", "data", rest=rule), **state)
    assert ("a" in net.layer_names) is kept


def test_level_and_stages_of_the_net_itself_count():
    net = make("state { level: 3 stage: 'a' }" + DATA + fc("a", "data", rest="include { min_level: 3 stage: 'a' }"))
    assert "a" in net.layer_names


# ---- what runs backward


def test_everything_learns_by_default():
    net = make(THREE)
    assert backward_layers(net) == ["a", "b", "c", "loss"]
    assert net.params_lr == [1] * 6 and net.params_weight_decay == [1] * 6 and not any(net.has_params_lr)


def test_backward_stops_below_the_lowest_layer_that_learns():
    net = make(DATA + fc("a", "data", rest=FROZEN) + fc("b", "a") + fc("c", "b") + LOSS)
    assert backward_layers(net) == ["b", "c", "loss"]
    net.forward()
    net.backward()
    assert net.blobs["a"]._diff is None and net.layers[1].blobs[0]._diff is None


def test_frozen_layer_above_a_learning_one_passes_gradients_but_gets_none():
    net = make(DATA + fc("a", "data") + fc("b", "a", rest=FROZEN) + fc("c", "b") + LOSS)
    net.blobs["data"].data.normal_()
    net.forward()
    net.backward()
    assert backward_layers(net) == ["a", "b", "c", "loss"]
    assert net.layers[2].blobs[0]._diff is None and net.layers[1].blobs[0].diff.any()


def test_propagate_down_false_cuts():
    cut = fc("b", "a", rest="propagate_down: false")
    assert backward_layers(make(DATA + fc("a", "data") + cut + fc("c", "b") + LOSS)) == ["b", "c", "loss"]


def test_layers_that_no_loss_hears_don_t_run_backward():
    assert backward_layers(make(THREE + fc("d", "a"))) == ["a", "a_a_0_split", "b", "c", "loss"]
    assert backward_layers(make(DATA + fc("a", "data"))) == []


def test_force_backward():
    net = make("force_backward: true\n" + DATA + fc("c", "data", rest=FROZEN) + LOSS)
    net.blobs["data"].data.fill_(1)
    net.forward()
    net.backward()
    assert net.blobs["data"].diff.any() and net.layers[1].blobs[0].diff.any()


# ---- sharing


def test_shared_parameters_are_one():
    share = 'param { name: "w" lr_mult: 2 } param { name: "b" }'
    again = fc("c", "a", rest='param { name: "w" }', outputs=3)
    net = make(DATA + fc("a", "data", rest=share, outputs=3) + again + LOSS)
    assert net.layers[1].blobs[0] is net.layers[2].blobs[0]
    assert len(net.learnable_params) == 3 and net.params_lr == [2, 1, 1]


def test_permissive_sharing_has_another_shape():
    a = fc("a", "data", rest='param { name: "w" }', outputs=6)
    b = fc("b", "a", rest='param { name: "w" share_mode: PERMISSIVE }', outputs=3)
    net = make(DATA + a + b)
    assert net.layers[2].blobs[0].shape == (3, 6) and net.layers[1].blobs[0].shape == (6, 3)
    net.layers[1].blobs[0].data.fill_(5)
    assert (net.layers[2].blobs[0].data == 5).all()


# ---- errors


@pytest.mark.parametrize(
    "text, words",
    [
        (fc("a", "nothing"), "layer 'a': unknown bottom blob 'nothing'"),
        (DATA + fc("a", "data") + fc("b", "label", "a"), "layer 'b'.*top blob 'a' is already made"),
        (DATA + 'layer { name: "p" type: "Poling" bottom: "data" top: "p" }', "'p': 'Poling'; did you mean 'Pooling'"),
        (DATA + 'layer { name: "s" type: "SoftmaxWithLoss" bottom: "data" top: "s" }', "'s'.*takes 2 bottom blob"),
        (DATA + 'layer { name: "i" type: "InnerProduct" bottom: "data" top: "i" }', "'i'.*num_output must be positive"),
        (DATA + fc("a", "data", rest="param {} param {} param {}"), "'a'.*3 param blocks"),
        (DATA + fc("a", "data", rest="propagate_down: true propagate_down: true"), "'a'.*propagate_down"),
        (DATA + fc("a", "data", rest="include { phase: TRAIN } exclude { phase: TEST }"), "'a'.*not both"),
        (DATA + fc("a", "data", rest="loss_weight: 1 loss_weight: 2"), "'a'.*loss_weight"),
        (DATA + fc("a", "data", rest=SHARED) + fc("b", "a", rest=SHARED), "'b'.*cannot share"),
        (
            DATA + 'layer { name: "p" type: "Pooling" bottom: "data" top: "p" pooling_param { kernel_size: 2 } }',
            "4 axes",
        ),
        (DATA + fc("a", "data", "data"), "can't work in place"),
        (DATA + fc("a", "data").replace("xavier", "xaver"), "'a'.*unknown filler 'xaver'; did you mean 'xavier'"),
    ],
)
def test_what_caffe_refuses_is_refused_in_one_line(text, words):
    with pytest.raises(UserError, match=words) as error:
        make(text)
    assert "\n" not in str(error.value)


def test_label_out_of_range_is_told():
    net = make(THREE)
    net.blobs["label"].data.fill_(4)
    with pytest.raises(UserError, match="labels must lie in 0..3"):
        net.forward()


def test_nan_is_passed_through():
    net = make(THREE)
    net.blobs["data"].data.fill_(math.nan)
    assert math.isnan(net.forward())


# ---- weights


def test_copy_by_name_and_log(capfd, tmp_path):
    source, target = make(THREE), make(THREE.replace('name: "c"', 'name: "new"'))
    fresh = target.layers[3].blobs[0].data.clone()
    write_weights(tmp_path / "w.caffemodel", source.to_proto())
    target.copy_trained_layers_from(tmp_path / "w.caffemodel")
    assert torch.equal(source.layers[1].blobs[0].data, target.layers[1].blobs[0].data)
    assert torch.equal(target.layers[3].blobs[0].data, fresh)
    assert "Ignoring source layer c\n" in capfd.readouterr().err
    arrays = {layer.name: [2 * blob.data.numpy() for blob in layer.blobs] for layer in source.layers if layer.blobs}
    write_weights_h5(tmp_path / "w.caffemodel.h5", arrays)
    target.copy_trained_layers_from(tmp_path / "w.caffemodel.h5")
    assert torch.equal(2 * source.layers[1].blobs[0].data, target.layers[1].blobs[0].data)


def test_a_shared_blob_that_hdf5_leaves_out_keeps_its_owners_values(tmp_path):
    shared = DATA + fc("a", "data", rest=SHARED) + fc("b", "data", rest=SHARED)
    source, target = make(shared), make(shared)
    saved = {"a": [2 + blob.data.numpy() for blob in source.layers[2].blobs], "b": [None, np.full(4, 7, np.float32)]}
    write_weights_h5(tmp_path / "w.caffemodel.h5", saved)
    target.copy_trained_layers_from(tmp_path / "w.caffemodel.h5")
    first, second = target.layers[2:]
    np.testing.assert_array_equal(first.blobs[0].data, saved["a"][0])
    assert second.blobs[0] is first.blobs[0] and second.blobs[1].data.tolist() == [7] * 4


def test_other_shape_is_refused_with_both_shapes_and_advice():
    saved = make(DATA + fc("a", "data", outputs=7)).to_proto()
    with pytest.raises(UserError, match=r"layer 'a'.*\(7, 3\).*\(4, 3\).*rename the layer"):
        make(DATA + fc("a", "data")).copy_trained_layers_from(saved)


def test_old_four_axis_blobs_are_accepted():
    net = make(DATA + fc("a", "data"))
    saved = net.to_proto()
    for blob, dims in zip(saved.layer[1].blobs, ((1, 1, 4, 3), (1, 1, 1, 4)), strict=True):
        blob.ClearField("shape")
        blob.num, blob.channels, blob.height, blob.width = dims
    other = make(DATA + fc("a", "data"))
    other.copy_trained_layers_from(saved)
    assert torch.equal(net.layers[1].blobs[0].data, other.layers[1].blobs[0].data)


def test_proto_keeps_definition_and_gradients():
    net = make(THREE)
    net.blobs["data"].data.normal_()
    net.forward()
    net.backward()
    saved = net.to_proto(write_diff=True)
    assert [layer.name for layer in saved.layer] == ["data", "a", "b", "c", "loss"]
    assert saved.layer[1].inner_product_param.num_output == 4 and saved.layer[1].phase == TRAIN
    np.testing.assert_allclose(saved.layer[1].blobs[0].diff, net.layers[1].blobs[0].diff.numpy().ravel())


# ---- whole nets against the genuine Caffe

X = {"data": (2, 3, 7, 7), "label": (2,)}
CONV = """layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
"""


def alexnet(width: str, batch: int, **rest) -> Case:
    """The project's own AlexNet without dropout, its data layers replaced."""
    spec = nets.NetSpec(app="polyp", scheme="ft-conv1", classes=2, width=Fraction(width), dropout_ratio=0)
    body = caffe_pb2.NetParameter()
    body.layer.extend(layer for layer in nets.train_val(spec).layer if layer.type not in ("Data", "Accuracy"))
    shapes = {"data": (batch, 3, 227, 227), "label": (batch,)}
    return Case(f"AlexNet {width}", shapes, to_text(body), scale=50, labels={"label": 2}, params=0.02, **rest)


NETS = [
    Case(
        "a blob read three times",
        X,
        CONV
        + fc("a", "conv")
        + fc("b", "conv")
        + fc("d", "conv")
        + 'layer { name: "c" type: "Eltwise" bottom: "a" bottom: "b" bottom: "d" top: "c" }'
        + LOSS,
        labels={"label": 4},
    ),
    Case(
        "weights shared",
        X,
        fc("a", "data", rest='param { name: "w" }')
        + fc("b", "data", rest='param { name: "w" }')
        + 'layer { name: "e" type: "Eltwise" bottom: "a" bottom: "b" top: "c" eltwise_param { operation: PROD } }'
        + LOSS,
        labels={"label": 4},
        force=False,
    ),
    Case(
        "frozen below",
        X,
        CONV.replace("convolution_param", FROZEN + " convolution_param") + fc("c", "conv") + LOSS,
        labels={"label": 4},
        force=False,
    ),
    Case(
        "two losses",
        {**X, "half": (2,)},
        CONV
        + fc("c", "conv")
        + LOSS
        + fc("s", "conv", outputs=2)
        + 'layer { name: "l2" type: "SoftmaxWithLoss" bottom: "s" bottom: "half" top: "l2" loss_weight: 0.3 }',
        labels={"label": 4, "half": 2},
        force=False,
    ),
    Case(
        "a loss that another layer reads",
        X,
        CONV
        + fc("c", "conv")
        + LOSS.replace('top: "loss"', 'top: "loss" loss_weight: 0.5')
        + 'layer { name: "p" type: "Power" bottom: "loss" top: "p" power_param { scale: 2 } }',
        labels={"label": 4},
        force=False,
    ),
    Case(
        "propagate_down",
        X,
        CONV
        + fc("a", "conv", rest="propagate_down: false")
        + fc("b", "conv")
        + 'layer { name: "c" type: "Eltwise" bottom: "a" bottom: "b" top: "c" }'
        + LOSS,
        labels={"label": 4},
        force=False,
    ),
    alexnet("1/8", 3),
]


@pytest.mark.genuine
@pytest.mark.parametrize("case", NETS, ids=[case.name for case in NETS])
def test_net_is_the_genuine_one(case, tmp_path):
    mine = ours(case, tmp_path)
    run_genuine([tmp_path])
    assert not differences(mine, tmp_path / "out.npz", case.tolerance)


@pytest.mark.genuine
@pytest.mark.slow
def test_alexnet_at_full_size(tmp_path):
    case = alexnet("1", 2, force=False)
    mine = ours(case, tmp_path)
    run_genuine([tmp_path], "data:")
    assert not differences(mine, tmp_path / "out.npz")
    (tmp_path / "in.npz").unlink()
