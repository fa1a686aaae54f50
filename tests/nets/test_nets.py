"""The generated nets and solvers against the paper's tables and BVLC AlexNet's values."""

from dataclasses import fields
from fractions import Fraction
from pathlib import Path

import pytest
from programs import run_tool

from pycaffe_ext.applications.registry import APPLICATIONS
from pycaffe_ext.errors import UserError
from pycaffe_ext.nets import NetSpec, Schedule, deploy, emission, parse_width, score_net, solver, train_val
from pycaffe_ext.nets.shapes import blob_shapes, parameter_shapes
from pycaffe_ext.proto import caffe_pb2, parse, read_net, read_solver, to_text
from pycaffe_ext.schemes import FINE_TUNING, SCHEMES

ROOT = Path(__file__).resolve().parents[2]
APPS = list(emission.EMITTED)

TABLE_ONE = {  # channels x rows x columns
    "data": (3, 227, 227),
    "conv1": (96, 55, 55),
    "pool1": (96, 27, 27),
    "conv2": (256, 27, 27),
    "pool2": (256, 13, 13),
    "conv3": (384, 13, 13),
    "conv4": (384, 13, 13),
    "conv5": (256, 13, 13),
    "pool5": (256, 6, 6),
    "fc6": (4096,),
    "fc7": (4096,),
}
CLASSES = {"polyp": 2, "pe": 2, "frames": 2, "imt": 3}

TABLE_TWO = {  # weight learning rates of conv1 ... fc8
    "ft-conv1": (0.001, 0.001, 0.001, 0.001, 0.001, 0.001, 0.001, 0.01),
    "ft-conv2": (0, 0.001, 0.001, 0.001, 0.001, 0.001, 0.001, 0.01),
    "ft-conv3": (0, 0, 0.001, 0.001, 0.001, 0.001, 0.001, 0.01),
    "ft-conv4": (0, 0, 0, 0.001, 0.001, 0.001, 0.001, 0.01),
    "ft-conv5": (0, 0, 0, 0, 0.001, 0.001, 0.001, 0.01),
    "ft-fc6": (0, 0, 0, 0, 0, 0.001, 0.001, 0.01),
    "ft-fc7": (0, 0, 0, 0, 0, 0, 0.001, 0.01),
    "ft-fc8": (0, 0, 0, 0, 0, 0, 0, 0.01),
    "scratch": (0.001, 0.001, 0.001, 0.001, 0.001, 0.001, 0.001, 0.001),
}

CONV, FC, LRN = "convolution_param", "inner_product_param", "local_size: 5 alpha: 0.0001 beta: 0.75"
POOL = "pool: MAX kernel_size: 3 stride: 2"
BVLC_ALEXNET = [  # name, type, bottoms, top, parameter, its values, std of the weight filler, value of the bias filler
    ("conv1", "Convolution", "data", "conv1", CONV, "num_output: 96 kernel_size: 11 stride: 4", 0.01, 0),
    ("relu1", "ReLU", "conv1", "conv1", "relu_param", "", None, None),
    ("norm1", "LRN", "conv1", "norm1", "lrn_param", LRN, None, None),
    ("pool1", "Pooling", "norm1", "pool1", "pooling_param", POOL, None, None),
    ("conv2", "Convolution", "pool1", "conv2", CONV, "num_output: 256 pad: 2 kernel_size: 5 group: 2", 0.01, 0.1),
    ("relu2", "ReLU", "conv2", "conv2", "relu_param", "", None, None),
    ("norm2", "LRN", "conv2", "norm2", "lrn_param", LRN, None, None),
    ("pool2", "Pooling", "norm2", "pool2", "pooling_param", POOL, None, None),
    ("conv3", "Convolution", "pool2", "conv3", CONV, "num_output: 384 pad: 1 kernel_size: 3", 0.01, 0),
    ("relu3", "ReLU", "conv3", "conv3", "relu_param", "", None, None),
    ("conv4", "Convolution", "conv3", "conv4", CONV, "num_output: 384 pad: 1 kernel_size: 3 group: 2", 0.01, 0.1),
    ("relu4", "ReLU", "conv4", "conv4", "relu_param", "", None, None),
    ("conv5", "Convolution", "conv4", "conv5", CONV, "num_output: 256 pad: 1 kernel_size: 3 group: 2", 0.01, 0.1),
    ("relu5", "ReLU", "conv5", "conv5", "relu_param", "", None, None),
    ("pool5", "Pooling", "conv5", "pool5", "pooling_param", POOL, None, None),
    ("fc6", "InnerProduct", "pool5", "fc6", FC, "num_output: 4096", 0.005, 0.1),
    ("relu6", "ReLU", "fc6", "fc6", "relu_param", "", None, None),
    ("drop6", "Dropout", "fc6", "fc6", "dropout_param", "dropout_ratio: 0.5", None, None),
    ("fc7", "InnerProduct", "fc6", "fc7", FC, "num_output: 4096", 0.005, 0.1),
    ("relu7", "ReLU", "fc7", "fc7", "relu_param", "", None, None),
    ("drop7", "Dropout", "fc7", "fc7", "dropout_param", "dropout_ratio: 0.5", None, None),
    ("fc8", "InnerProduct", "fc7", "fc8", FC, "num_output: 1000", 0.01, 0),
    ("accuracy", "Accuracy", "fc8 label", "accuracy", "accuracy_param", "", None, None),
    ("loss", "SoftmaxWithLoss", "fc8 label", "loss", "softmax_param", "", None, None),
]


def paper_spec(app="polyp", scheme="ft-conv3"):
    return emission.paper_spec(APPLICATIONS[app], scheme)


def learned(net):
    return [layer for layer in net.layer if layer.type in ("Convolution", "InnerProduct")]


def test_committed_files_are_what_the_generators_emit():
    assert emission.differences(ROOT) == []
    assert len(emission.emit()) == 4 * (1 + 2 * 11 + 8 + 2), (
        "each link of a chain has a solver; its net is its scheme's"
    )


def test_emitted_files_name_no_absolute_path():
    for path, text in emission.emit().items():
        assert '"/' not in text and "\\" not in text, path


@pytest.mark.parametrize("app", APPS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_rates_read_back_from_the_files_are_table_two(app, scheme):
    net = read_net(ROOT / emission.train_path(app, scheme))
    made = read_solver(ROOT / emission.solver_path(app, scheme))
    wanted = TABLE_TWO["scratch" if scheme.startswith("scratch") else scheme]
    layers = learned(net)
    assert " ".join(layer.name for layer in layers) == f"conv1 conv2 conv3 conv4 conv5 fc6 fc7 fc8_{app}"
    for layer, rate in zip(layers, wanted, strict=True):
        weight, bias = layer.param
        assert weight.lr_mult * made.base_lr == pytest.approx(rate)
        assert bias.lr_mult * made.base_lr == pytest.approx(2 * rate)
        assert (weight.decay_mult, bias.decay_mult) == (bool(rate), 0)
    assert (made.momentum, made.gamma, made.lr_policy) == (pytest.approx(0.9), pytest.approx(0.95), "step")
    assert made.net == emission.train_path(app, scheme)
    assert made.stepsize == made.snapshot == made.test_interval, "the rate falls, and is measured, once an epoch"


@pytest.mark.parametrize("app", APPS)
@pytest.mark.parametrize(
    "scheme, links", [("gradual", tuple(reversed(FINE_TUNING))), ("lp-ft", ("ft-fc8", "ft-conv1"))]
)
def test_a_chain_has_the_solver_of_each_of_its_links(app, scheme, links):
    """They differ from those of the link's own scheme in where snapshots go, and no two links share that."""
    files = sorted((ROOT / "solvers" / app / scheme).iterdir())
    assert [path.name for path in files] == [f"{i}-{link}.prototxt" for i, link in enumerate(links, start=1)]
    places = set()
    for path, link in zip(files, links, strict=True):
        made, single = read_solver(path), read_solver(ROOT / emission.solver_path(app, link))
        assert made.net == emission.train_path(app, link)
        places.add(made.snapshot_prefix)
        made.snapshot_prefix = single.snapshot_prefix
        assert made == single
    assert len(places) == len(links)


def test_a_chain_has_no_net_of_its_own():
    with pytest.raises(UserError, match="lp-ft is a chain of trainings; a net has the rates of one of its links"):
        paper_spec(scheme="lp-ft")


def test_both_fillers_and_both_params_are_written_in_every_learned_layer():
    for scheme in SCHEMES:
        for layer in learned(train_val(paper_spec(scheme=scheme))):
            param = layer.convolution_param if layer.type == "Convolution" else layer.inner_product_param
            assert param.HasField("weight_filler") and param.HasField("bias_filler")
            assert all(spec.HasField("lr_mult") and spec.HasField("decay_mult") for spec in layer.param)


@pytest.mark.parametrize("app", APPS)
def test_blob_shapes_are_table_one(app):
    net = read_net(ROOT / emission.deploy_path(app))
    shapes = blob_shapes(net)
    assert {name: shapes[name] for name in TABLE_ONE} == {name: (1, *shape) for name, shape in TABLE_ONE.items()}
    assert shapes[f"fc8_{app}"] == shapes["prob"] == (1, CLASSES[app])


def test_both_phases_have_their_batch_and_table_one():
    net = train_val(paper_spec())
    for phase, batch in ((caffe_pb2.TRAIN, 256), (caffe_pb2.TEST, 50)):
        shapes = blob_shapes(net, phase)
        assert {name: shapes[name] for name in TABLE_ONE} == {name: (batch, *s) for name, s in TABLE_ONE.items()}
        assert shapes["label"] == (batch,)
        assert ("accuracy" in shapes) == (phase == caffe_pb2.TEST)


def effective(message):
    """Every value Caffe would use: those not written by their defaults, an empty pad, stride or dilation filled in."""
    values = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.message_type is not None and not field.is_repeated:
            value = effective(value)
        elif field.is_repeated:
            value = [effective(v) if field.message_type else v for v in value]
        values[field.name] = value or {"pad": [0], "stride": [1], "dilation": [1]}.get(field.name, value)
    return values


def bvlc_layer(name, kind, bottoms, top, parameter, values, std, bias):
    fillers = ""
    if std is not None:
        fillers = f'weight_filler {{ type: "gaussian" std: {std} }} bias_filler {{ type: "constant" value: {bias} }}'
    layer = parse(f"{parameter} {{ {values} {fillers} }}", caffe_pb2.LayerParameter())
    layer.MergeFrom(caffe_pb2.LayerParameter(name=name, type=kind, bottom=bottoms.split(), top=[top]))
    if name == "accuracy":
        layer.include.add(phase=caffe_pb2.TEST)
    return layer


def test_apart_from_data_param_and_head_the_net_is_bvlc_alexnet():
    made = [layer for layer in train_val(paper_spec()).layer if layer.type != "Data"]
    for layer in made:
        layer.ClearField("param")
        if layer.type == "SoftmaxWithLoss":
            assert list(layer.loss_weight) == [1], "Caffe's default of a loss, written out"
            layer.ClearField("loss_weight")
        for names in (layer.bottom, layer.top):
            names[:] = ["fc8" if name == "fc8_polyp" else name for name in names]
        if layer.name == "fc8_polyp":
            assert layer.inner_product_param.num_output == 2
            layer.name, layer.inner_product_param.num_output = "fc8", 1000
    assert [layer.name for layer in made] == [row[0] for row in BVLC_ALEXNET]
    for layer, row in zip(made, BVLC_ALEXNET, strict=True):
        assert effective(layer) == effective(bvlc_layer(*row)), row[0]


def test_scratch_with_another_filler_differs_in_the_weight_fillers_only():
    gaussian, xavier = (train_val(paper_spec(scheme=s)) for s in ("scratch", "scratch-xavier"))
    for net in (gaussian, xavier):
        net.ClearField("name")
        for layer in learned(net):
            param = layer.convolution_param if layer.type == "Convolution" else layer.inner_product_param
            assert param.weight_filler.type == ("xavier" if net is xavier else "gaussian")
            param.ClearField("weight_filler")
    assert gaussian == xavier


def test_two_fine_tuning_depths_differ_in_params_only():
    nets = [train_val(paper_spec(scheme=s)) for s in ("ft-conv1", "ft-fc8")]
    assert nets[0] != nets[1]
    for net in nets:
        net.ClearField("name")
        for layer in net.layer:
            layer.ClearField("param")
    assert nets[0] == nets[1]


def test_data_layers_read_stored_patches_as_they_are():
    spec = NetSpec("pe", "scratch", 2, train_source="a", val_source="b", mean_file="m", batch_size=7, val_batch_size=5)
    train, test = train_val(spec).layer[:2]
    for layer, phase, source, batch in ((train, caffe_pb2.TRAIN, "a", 7), (test, caffe_pb2.TEST, "b", 5)):
        assert [rule.phase for rule in layer.include] == [phase]
        assert (layer.data_param.source, layer.data_param.batch_size) == (source, batch)
        assert layer.data_param.backend == caffe_pb2.DataParameter.LMDB
        transform = layer.transform_param
        assert (transform.mean_file, transform.crop_size, transform.mirror, transform.scale) == ("m", 0, False, 1)


def test_score_net_ends_in_the_raw_head_and_the_label():
    net = score_net(NetSpec("imt", "ft-fc8", 3, mean_file="m"), "lmdb", 9)
    used = {name for layer in net.layer for name in layer.bottom}
    assert {top for layer in net.layer for top in layer.top} - used == {"fc8_imt", "label"}
    assert blob_shapes(net)["fc8_imt"] == (9, 3)


def test_deploy_and_score_nets_do_not_depend_on_the_scheme():
    assert len({to_text(deploy(paper_spec(scheme=s))) for s in SCHEMES}) == 1
    assert len({to_text(score_net(paper_spec(scheme=s), "x", 1)) for s in SCHEMES}) == 1


def test_width_one_eighth_and_the_rounding_rule():
    spec = NetSpec("polyp", "ft-conv3", 2, Fraction(1, 8))
    outputs = [shapes[1][0] for shapes in parameter_shapes(train_val(spec)).values()]
    assert outputs == [12, 32, 48, 48, 32, 512, 512, 2]
    assert NetSpec("polyp", "scratch", 2, "1/10").channels(96) == 10  # 9.6 -> nearest even
    assert NetSpec("polyp", "scratch", 2, "1/32").channels(96) == 4  # 3, half way between 2 and 4
    assert NetSpec("polyp", "scratch", 2, "1/4096").channels(4096) == 2


@pytest.mark.parametrize("denominator", [1, 2, 3, 5, 7, 8, 16, 50, 100, 1000])
def test_every_width_is_a_net_that_fits_its_groups(denominator):
    spec = NetSpec("polyp", "scratch", 2, Fraction(1, denominator))
    assert blob_shapes(deploy(spec))["prob"] == (1, 2)


@pytest.mark.parametrize("width", ["0", "-1/8", "2", "nan", "inf", "1/0", "wide", "", None])
def test_a_bad_width_is_refused(width):
    with pytest.raises(UserError, match="width .*allowed is a fraction above 0 and at most 1"):
        parse_width(width)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scheme": "ft-conv9"}, "unknown scheme 'ft-conv9'"),
        ({"app": "Polyp/x"}, "application 'Polyp/x'"),
        ({"classes": 1}, "classes = 1"),
        ({"batch_size": 0}, "batch_size = 0"),
        ({"val_batch_size": -3}, "val_batch_size = -3"),
        ({"dropout_ratio": 1.0}, "dropout_ratio = 1.0"),
        ({"dropout_ratio": float("nan")}, "dropout_ratio = nan"),
    ],
)
def test_a_spec_that_makes_no_net_is_refused(change, message):
    with pytest.raises(UserError, match=message):
        NetSpec(**{"app": "polyp", "scheme": "scratch", "classes": 2, **change})


def made_solver(**change):
    spec = NetSpec("polyp", "ft-conv3", 2, batch_size=256, val_batch_size=50)
    settings = {"train_count": 80_000, "val_count": 20_000, "net": "n", "snapshot_prefix": "p", **change}
    schedule = Schedule(
        **{field.name: settings.pop(field.name) for field in fields(Schedule) if field.name in settings}
    )
    return solver(spec, schedule, **settings)


def test_solver_counts_follow_from_the_data():
    made = made_solver(max_epochs=3)
    assert (made.stepsize, made.max_iter, list(made.test_iter)) == (313, 939, [400])
    assert (made.test_interval, made.snapshot) == (313, 313)
    few = made_solver(train_count=257, val_count=51, max_epochs=1)
    assert (few.stepsize, list(few.test_iter), few.display) == (2, [2], 2)
    assert made_solver(snapshots_per_epoch=4).snapshot == 79


def test_solver_names_its_mode_and_seed():
    assert made_solver(mode="gpu", seed=7).solver_mode == caffe_pb2.SolverParameter.GPU
    assert made_solver(seed=7).random_seed == 7
    for change, message in [
        ({"mode": "tpu"}, "unknown mode 'tpu'"),
        ({"seed": -1}, "seed = -1"),
        ({"val_count": 0}, "val_count = 0"),
        ({"max_epochs": 0}, "max_epochs = 0"),
    ]:
        with pytest.raises(UserError, match=message):
            made_solver(**change)


def test_shapes_name_the_layer_that_cannot_be():
    net = deploy(NetSpec("polyp", "scratch", 2))
    net.layer[1].type = "Convolutoin"
    with pytest.raises(UserError, match=r"type of layer 'conv1': 'Convolutoin'; did you mean 'Convolution'\?"):
        blob_shapes(net)
    net.layer[1].type, net.layer[1].bottom[0] = "Convolution", "dta"
    with pytest.raises(UserError, match="layer 'conv1': no layer before it makes its bottom 'dta'"):
        blob_shapes(net)


def emit_tool(*arguments):
    return run_tool("emit_prototxt", *arguments)


def test_the_tool_says_what_differs_and_puts_it_right(tmp_path):
    assert emit_tool("--root", tmp_path).returncode == 0
    assert emit_tool("--root", tmp_path, "--check").returncode == 0
    changed, stray = tmp_path / "prototxt/pe/ft-fc6.prototxt", tmp_path / "solvers/pe/old.prototxt"
    changed.write_text(changed.read_text().replace("num_output: 96", "num_output: 64"))
    stray.write_text("")
    (tmp_path / "prototxt/pe/deploy.prototxt").unlink()
    checked = emit_tool("--root", tmp_path, "--check")
    assert checked.returncode == 1
    assert "prototxt/pe/ft-fc6.prototxt: differs at line 5" in checked.stdout
    assert "prototxt/pe/deploy.prototxt: missing" in checked.stdout
    assert "solvers/pe/old.prototxt: not emitted" in checked.stdout
    assert emit_tool("--root", tmp_path).returncode == 0
    assert not stray.exists() and emission.differences(tmp_path) == []
