"""Every architecture against what was published of it: names, shapes, counts, stages; and what ARCH= does to a run."""

import math
import re
import subprocess
from fractions import Fraction
from pathlib import Path

import pytest
from packing_lab import samples

from pycaffe_ext import nets
from pycaffe_ext.applications.base import Collection
from pycaffe_ext.applications.polyp import APPLICATION
from pycaffe_ext.applications.preparation import Found, packed_folder
from pycaffe_ext.applications.registry import APPLICATIONS
from pycaffe_ext.command_line.options import SETTINGS
from pycaffe_ext.donor import weights
from pycaffe_ext.errors import UserError
from pycaffe_ext.nets import ARCHITECTURES, NetSpec, emission
from pycaffe_ext.nets.shapes import blob_shapes, parameter_shapes
from pycaffe_ext.proto import caffe_pb2, parse, to_text
from pycaffe_ext.runs import donors, prototxts
from pycaffe_ext.runs.settings import Settings, parse_name, short_hash
from pycaffe_ext.schemes import CHAINS, NEW_HEAD, SAME_WEIGHTS, SCRATCH, STAGES, family, links, param_specs, schemes
from pycaffe_ext.training.score_model import describe, from_train_val

MAKEFILE = Path(__file__).resolve().parents[2] / "Makefile"
OTHERS = [name for name in ARCHITECTURES if name != "alexnet"]
SIZES = {
    "alexnet": 227,
    "caffenet": 227,
    "vgg16": 224,
    "googlenet": 224,
    "squeezenet": 227,
    "resnet50": 224,
    "lenet": 28,
    "googlenet_torch": 224,
    "resnet50_torch": 222,
    "googlenet_112": 112,
    "squeezenet_centre": 227,
}
COUNTS = {  # learned values with 1000 classes, LeNet with 10; of ResNet-50 without the statistics of BatchNorm
    "alexnet": 60_965_224,
    "caffenet": 60_965_224,
    "vgg16": 138_357_544,
    "googlenet": 13_378_280,  # 6 998 552 without the auxiliary classifiers
    "squeezenet": 1_235_496,
    "resnet50": 25_557_032 + 64,  # the published Caffe net has biases in conv1
    "lenet": 431_080 + 20 * 2 * 25,  # conv1 reads 3 channels, not 1
    "googlenet_torch": 6_624_904,  # torchvision's, without the auxiliary classifiers
    "resnet50_torch": 25_557_032,
}
COUNTS |= {variant: COUNTS[net] for variant, net in SAME_WEIGHTS.items()}
SHAPES = {  # blobs of one patch, as published
    "caffenet": {"norm1": (96, 27, 27), "norm2": (256, 13, 13), "pool5": (256, 6, 6), "fc7": (4096,)},
    "vgg16": {"conv1_2": (64, 224, 224), "pool3": (256, 28, 28), "conv5_3": (512, 14, 14), "pool5": (512, 7, 7)},
    "googlenet": {
        "conv1/7x7_s2": (64, 112, 112),
        "pool2/3x3_s2": (192, 28, 28),
        "inception_3a/output": (256, 28, 28),
        "inception_3b/output": (480, 28, 28),
        "inception_4a/output": (512, 14, 14),
        "inception_4d/output": (528, 14, 14),
        "inception_4e/output": (832, 14, 14),
        "pool4/3x3_s2": (832, 7, 7),
        "inception_5b/output": (1024, 7, 7),
        "pool5/7x7_s1": (1024, 1, 1),
    },
    "squeezenet": {
        "conv1": (64, 113, 113),
        "pool1": (64, 56, 56),
        "fire3/concat": (128, 56, 56),
        "pool3": (128, 28, 28),
        "pool5": (256, 14, 14),
        "fire9/concat": (512, 14, 14),
        "conv10_polyp": (2, 14, 14),
        "pool10": (2, 1, 1),
        "prob": (2, 1, 1),
    },
    "resnet50": {
        "conv1": (64, 112, 112),
        "pool1": (64, 56, 56),
        "res2c": (256, 56, 56),
        "res3d": (512, 28, 28),
        "res4f": (1024, 14, 14),
        "res5c": (2048, 7, 7),
        "pool5": (2048, 1, 1),
    },
    "lenet": {"conv1": (20, 24, 24), "pool1": (20, 12, 12), "conv2": (50, 8, 8), "pool2": (50, 4, 4), "ip1": (500,)},
}
SHAPES["resnet50_torch"] = {**SHAPES["resnet50"], "conv1": (64, 111, 111)}
SHAPES["googlenet_torch"] = SHAPES["googlenet"]
SHAPES["squeezenet_centre"] = {**SHAPES["squeezenet"], "rows10": (2, 1, 14), "centre10": (2, 1, 1)}
SHAPES["googlenet_112"] = {
    "pool2/3x3_s2": (192, 14, 14),
    "inception_4a/output": (512, 7, 7),
    "pool4/3x3_s2": (832, 3, 3),
    "pool5/7x7_s1": (1024, 1, 1),
}
MODULES = ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
UNITS = ("2a", "2b", "2c", "3a", "3b", "3c", "3d", "4a", "4b", "4c", "4d", "4e", "4f", "5a", "5b", "5c")


def published_names():
    """Architecture -> names of the layers with blobs in the published caffemodel, a variant's in that of its net."""
    alexnet = ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"]
    parts = ("1x1", "3x3_reduce", "3x3", "5x5_reduce", "5x5", "pool_proj")
    branches = [
        f"{unit}_branch{part}"
        for unit in UNITS
        for part in ("1", "2a", "2b", "2c")
        if part != "1" or unit.endswith("a")
    ]
    normalised = ["conv1/7x7_s2", "conv2/3x3_reduce", "conv2/3x3"]
    normalised += [f"inception_{module}/{part}" for module in MODULES for part in parts]
    residual = ["conv1", "bn_conv1", "scale_conv1", "fc1000"]
    residual += [f"{kind}{branch}" for kind in ("res", "bn", "scale") for branch in branches]
    found = {
        "alexnet": alexnet,
        "caffenet": alexnet,
        "vgg16": [
            "conv1_1",
            "conv1_2",
            "conv2_1",
            "conv2_2",
            "conv3_1",
            "conv3_2",
            "conv3_3",
            "conv4_1",
            "conv4_2",
            "conv4_3",
            "conv5_1",
            "conv5_2",
            "conv5_3",
            "fc6",
            "fc7",
            "fc8",
        ],
        "googlenet": ["conv1/7x7_s2", "conv2/3x3_reduce", "conv2/3x3", "loss3/classifier"]
        + [f"inception_{module}/{part}" for module in MODULES for part in parts]
        + [f"loss{i}/{part}" for i in (1, 2) for part in ("conv", "fc", "classifier")],
        "squeezenet": ["conv1", "conv10"]
        + [f"fire{i}/{part}" for i in range(2, 10) for part in ("squeeze1x1", "expand1x1", "expand3x3")],
        "resnet50": residual,
        "lenet": ["conv1", "conv2", "ip1", "ip2"],
        "resnet50_torch": residual,
        "googlenet_torch": ["loss3/classifier"]
        + [name + part for name in normalised for part in ("", "/bn", "/scale")],
    }
    return found | {variant: found[net] for variant, net in SAME_WEIGHTS.items()}


def single(arch):
    """The schemes of one training."""
    return [scheme for scheme in schemes(arch) if scheme not in CHAINS]


def spec_of(arch, scheme="scratch", classes=2, **rest):
    return NetSpec("polyp", scheme, classes, arch=arch, **rest)


def learned_shapes(arch, classes):
    found = ARCHITECTURES[arch]
    return parameter_shapes(found.train_val(spec_of(arch, classes=classes)), image=found.input)


def test_the_table_names_what_the_schemes_know():
    assert list(ARCHITECTURES) == list(STAGES) and all(arch.name == name for name, arch in ARCHITECTURES.items())
    assert {name: arch.input for name, arch in ARCHITECTURES.items()} == {n: (3, s, s) for n, s in SIZES.items()}


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_published_layer_is_there_and_only_classifiers_are_renamed(arch):
    spec, published = spec_of(arch), published_names()[arch]
    made, fresh = learned_shapes(arch, 2), ARCHITECTURES[arch].fresh(spec)
    assert {name.removesuffix("_polyp") if name in fresh else name for name in made} == set(published)
    assert set(made) - set(published) == fresh


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_learned_values_are_as_many_as_published(arch):
    shapes = learned_shapes(arch, 10 if arch == "lenet" else 1000)
    kinds = {layer.name: layer.type for layer in ARCHITECTURES[arch].train_val(spec_of(arch)).layer}
    learned = (s for name, blobs in shapes.items() if kinds.get(name) != "BatchNorm" for s in blobs)
    assert sum(map(math.prod, learned)) == COUNTS[arch]


def test_googlenet_in_use_has_no_auxiliary_classifier():
    net = ARCHITECTURES["googlenet"].deploy(spec_of("googlenet", classes=1000))
    assert sum(math.prod(s) for blobs in parameter_shapes(net).values() for s in blobs) == 6_998_552
    assert not [layer.name for layer in net.layer if layer.name.startswith(("loss1", "loss2"))]


@pytest.mark.parametrize("arch", SHAPES)
def test_blobs_have_the_published_shapes(arch):
    found = ARCHITECTURES[arch]
    shapes = blob_shapes(found.deploy(spec_of(arch)), image=found.input)
    assert shapes["data"] == (1, *found.input)
    assert {name: shapes[name] for name in SHAPES[arch]} == {name: (1, *s) for name, s in SHAPES[arch].items()}
    trained = blob_shapes(found.train_val(spec_of(arch, batch_size=7)), caffe_pb2.TRAIN, found.input)
    assert {name: trained[name] for name in SHAPES[arch] if name != "prob"} == {
        name: (7, *s) for name, s in SHAPES[arch].items() if name != "prob"
    }


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_both_phases_end_in_the_loss_and_the_accuracy(arch):
    net = ARCHITECTURES[arch].train_val(spec_of(arch))
    losses = {layer.top[0]: list(layer.loss_weight) for layer in net.layer if layer.type == "SoftmaxWithLoss"}
    if family(arch) == "googlenet":
        assert {name: [round(w, 6) for w in weights] for name, weights in losses.items()} == {
            "loss1/loss1": [0.3],
            "loss2/loss2": [0.3],
            "loss3/loss3": [1],
        }
    else:
        assert losses == {"loss": [1]}
    measured = [layer for layer in net.layer if layer.type == "Accuracy"]
    assert measured and all([rule.phase for rule in layer.include] == [caffe_pb2.TEST] for layer in measured)
    assert measured[-1].bottom[0] == ARCHITECTURES[arch].output(spec_of(arch))


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_score_net_ends_in_the_raw_values_and_the_label(arch):
    net = nets.score_net(spec_of(arch, mean_file="m"), "lmdb", 9)
    used = {name for layer in net.layer for name in layer.bottom}
    output = ARCHITECTURES[arch].output(spec_of(arch))
    assert {top for layer in net.layer for top in layer.top} - used == {output, "label"}
    assert math.prod(blob_shapes(net, image=ARCHITECTURES[arch].input)[output]) == 18


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_nets_in_use_do_not_depend_on_the_scheme(arch):
    assert len({to_text(nets.deploy(spec_of(arch, s))) for s in single(arch)}) == 1
    assert len({to_text(nets.score_net(spec_of(arch, s), "x", 1)) for s in single(arch)}) == 1


def stage_of(arch, name):
    """The stage that a learned layer belongs to, by its name alone."""
    if arch.startswith("googlenet"):
        if name.endswith("/classifier_polyp"):
            return "classifier"
        return {"loss1": "inception_4a", "loss2": "inception_4d"}.get(name.split("/")[0], name.split("/")[0])
    if arch.startswith("resnet50") and (unit := re.match(r"(?:res|bn|scale)(\d[a-f])", name)):
        return f"res{unit[1]}"
    return name.removeprefix("bn_").removeprefix("scale_").removesuffix("_polyp").split("/")[0]


@pytest.mark.parametrize(("arch", "scheme"), [(arch, s) for arch in ARCHITECTURES for s in single(arch)])
def test_exactly_the_stages_from_the_named_one_on_learn(arch, scheme):
    first = 0 if scheme in SCRATCH else STAGES[arch].index(scheme[3:])
    learning = set(STAGES[arch][first:])
    fresh = ARCHITECTURES[arch].fresh(spec_of(arch))
    for layer in nets.train_val(spec_of(arch, scheme)).layer:
        rates = [(spec.lr_mult, spec.decay_mult) for spec in layer.param]
        if layer.type == "BatchNorm":
            assert rates == [(0, 0)] * 3, layer.name
            assert layer.batch_norm_param.use_global_stats == (stage_of(arch, layer.name) not in learning), layer.name
            assert layer.batch_norm_param.HasField("use_global_stats") == layer.batch_norm_param.use_global_stats
        elif layer.param:
            new = layer.name in fresh and scheme not in SCRATCH
            wanted = (
                [(10, 1), (20, 0)]
                if new
                else [(1, 1), (2, 0)]
                if stage_of(arch, layer.name) in learning
                else [(0, 0), (0, 0)]
            )
            assert rates == wanted[: len(rates)], layer.name


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_each_depth_unfreezes_one_more_stage_and_every_stage_has_layers(arch):
    tuned = [s for s in single(arch) if s not in SCRATCH]
    assert [s[3:] for s in tuned] == list(STAGES[arch])
    for deep, shallow in zip(tuned, tuned[1:], strict=False):
        a, b = param_specs(deep, arch), param_specs(shallow, arch)
        assert [stage for stage in a if a[stage] != b[stage]] == [deep[3:]]
    learned = ARCHITECTURES[arch].train_val(spec_of(arch)).layer
    assert {stage_of(arch, layer.name) for layer in learned if layer.param} == set(STAGES[arch])


@pytest.mark.parametrize("arch", OTHERS)
def test_two_depths_differ_in_params_and_statistics_only(arch):
    made = [nets.train_val(spec_of(arch, s)) for s in schemes(arch)[:2]]
    assert made[0] != made[1]
    for net in made:
        net.ClearField("name")
        for layer in net.layer:
            layer.ClearField("param")
            layer.ClearField("batch_norm_param")
    assert made[0] == made[1]


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_fillers_are_the_published_ones_or_the_schemes(arch):
    kinds = {
        "alexnet": {"gaussian"},
        "caffenet": {"gaussian"},
        "squeezenet": {"xavier", "gaussian"},
        "resnet50": {"msra"},
        "resnet50_torch": {"msra"},
    }.get(family(arch), {"xavier"})
    for scheme, wanted in (("scratch", kinds), ("scratch-xavier", {"xavier"}), ("scratch-msra", {"msra"})):
        assert {p.weight_filler.type for p in weighted(nets.train_val(spec_of(arch, scheme)))} == wanted
    biases = {0, {"alexnet": 0.1, "caffenet": 1, "googlenet": 0.2}.get(family(arch), 0)}
    found = [p.bias_filler.value for p in weighted(nets.train_val(spec_of(arch))) if p.bias_term]
    assert {round(value, 6) for value in found} == biases


def weighted(net):
    for layer in net.layer:
        if layer.type in ("Convolution", "InnerProduct"):
            yield layer.convolution_param if layer.type == "Convolution" else layer.inner_product_param


def test_dropout_is_the_published_one_unless_it_is_given():
    def ratios(**rest):
        net = nets.train_val(spec_of("googlenet", **rest))
        return [round(layer.dropout_param.dropout_ratio, 6) for layer in net.layer if layer.type == "Dropout"]

    assert ratios() == [0.7, 0.7, 0.4]
    assert ratios(dropout_ratio=0) == [0, 0, 0]


def test_caffenet_is_alexnet_with_pooling_first_and_biases_of_one():
    made = [nets.train_val(spec_of(arch)) for arch in ("alexnet", "caffenet")]
    order = [[layer.name for layer in net.layer if layer.name.startswith(("norm", "pool"))] for net in made]
    assert order == [["norm1", "pool1", "norm2", "pool2", "pool5"], ["pool1", "norm1", "pool2", "norm2", "pool5"]]
    assert learned_shapes("alexnet", 2) == learned_shapes("caffenet", 2)


def test_lenets_patches_are_scaled_in_every_net():
    spec = spec_of("lenet", mean_file="m")
    for net in (nets.train_val(spec), nets.score_net(spec, "lmdb", 3)):
        assert {layer.transform_param.scale for layer in net.layer if layer.type == "Data"} == {1 / 256}


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_score_net_of_a_train_val_net_is_the_generated_one(arch):
    spec = spec_of(arch, schemes(arch)[1], mean_file="m", val_source="lmdb", val_batch_size=4)
    made, wanted = from_train_val(nets.train_val(spec), Path("lmdb")), nets.score_net(spec, "lmdb", 4)
    assert [(layer.name, list(layer.top)) for layer in made.layer] == [(la.name, list(la.top)) for la in wanted.layer]
    about = describe(made)
    assert (about.head, about.classes, about.layer) == (ARCHITECTURES[arch].output(spec), 2, spec.head)


def test_a_score_net_has_no_layer_that_the_head_does_not_need():
    """One that changes a blob after the head has read it, and a silenced label: the label is an output."""
    text = """layer { name: "data" type: "Data" top: "data" top: "label" data_param { source: "x" batch_size: 2 } }
        layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 2 } }
        layer { name: "later" type: "ReLU" bottom: "data" top: "data" }
        layer { name: "quiet" type: "Silence" bottom: "label" }
        layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }"""
    made = from_train_val(parse(text, caffe_pb2.NetParameter()), Path("lmdb"))
    assert [layer.name for layer in made.layer] == ["data", "fc"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('type: "Concat" bottom: "a" bottom: "b" top: "c"', "1x2x4x4 and 1x2x5x5 can't be joined along axis 1"),
        ('type: "Eltwise" bottom: "a" bottom: "b" top: "c"', "1x2x4x4 and 1x2x5x5 can't be taken element by element"),
        (
            'type: "Slice" bottom: "a" top: "c" top: "d" slice_param { axis: 2 slice_point: 4 }',
            "slice_point .4. makes no 2 parts of 4",
        ),
        (
            'type: "Slice" bottom: "b" top: "c" top: "d" slice_param { axis: 3 }',
            "slice_point .2. makes no 2 parts of 5",
        ),
    ],
)
def test_shapes_that_cannot_meet_are_told(text, message):
    blob = 'layer {{ name: "{0}" type: "Input" top: "{0}" input_param {{ shape {{ dim: [1, 2, {1}, {1}] }} }} }}'
    join = f'layer {{ name: "join" {text} }}'
    net = parse(blob.format("a", 4) + blob.format("b", 5) + join, caffe_pb2.NetParameter())
    with pytest.raises(UserError, match=f"layer 'join': {message}"):
        blob_shapes(net)


def test_a_slice_has_the_parts_that_are_named_or_equal_ones():
    text = """layer { name: "a" type: "Input" top: "a" input_param { shape { dim: [1, 6, 4, 4] } } }
        layer { name: "equal" type: "Slice" bottom: "a" top: "b" top: "c" top: "d" }
        layer { name: "named" type: "Slice" bottom: "a" top: "e" top: "f" slice_param { axis: -1 slice_point: 1 } }"""
    found = blob_shapes(parse(text, caffe_pb2.NetParameter()))
    assert [found[name][1] for name in "bcd"] == [2, 2, 2] and [found[name][3] for name in "ef"] == [1, 3]


# Emission


def test_files_of_another_net_are_emitted_where_asked(tmp_path):
    (tmp_path / "kept.prototxt").write_text("")
    written = emission.write_to(tmp_path, "lenet", ["polyp"])
    names = {f"{folder}/polyp/{s}.prototxt" for folder in ("prototxt", "solvers") for s in single("lenet")}
    for chain in CHAINS:  # each link's net is that of its own scheme
        names |= {f"solvers/polyp/{chain}/{i}-{s}.prototxt" for i, s in enumerate(links(chain, "lenet"), start=1)}
    assert {str(path.relative_to(tmp_path)) for path in written} == names | {"prototxt/polyp/deploy.prototxt"}
    solver = parse((tmp_path / "solvers/polyp/ft-ip1.prototxt").read_text(), caffe_pb2.SolverParameter())
    assert solver.net == "prototxt/polyp/ft-ip1.prototxt" and (tmp_path / "kept.prototxt").exists()
    net = parse((tmp_path / solver.net).read_text(), caffe_pb2.NetParameter())
    assert net == nets.train_val(emission.paper_spec(APPLICATIONS["polyp"], "ft-ip1", "lenet"))


# What ARCH= does to a run


def test_run_folders_of_alexnet_keep_their_names():
    assert Settings.of("polyp", "ft-conv3").name() == "polyp-ft-conv3"
    changed = short_hash({"patches": 100})
    assert Settings.of("polyp", "ft-conv3", patches=100).name() == f"polyp-ft-conv3-synthetic-{changed}"


def test_run_folders_of_other_nets_name_them():
    names = {Settings.of("polyp", "ft-conv1", arch=arch).name() for arch in ("alexnet", "caffenet", "resnet50")}
    assert len(names) == 3 and any(name.startswith("polyp-ft-conv1-resnet50-synthetic-") for name in names)


def test_another_net_is_another_run():
    ours, other = (Settings.of("polyp", "ft-conv3", arch=arch) for arch in ("alexnet", "caffenet"))
    assert ours.differences(ours) == [] and other.differences(ours) == ["arch: alexnet -> caffenet"]


def test_patches_are_packed_at_the_nets_size_each_size_in_its_folder(tmp_path):
    request = Settings.of("polyp", "scratch").request
    found = Found(APPLICATION, request, tmp_path, "mark", {}, samples([0], [0], [[0] * 4], [0]), Collection([]))

    def folder(arch):
        return packed_folder(found, sizes[arch])

    sizes = {arch: nets.architecture(arch).input[-1] for arch in ARCHITECTURES}
    assert sizes == SIZES
    for one in ARCHITECTURES:
        for other in ARCHITECTURES:
            assert (folder(one) == folder(other)) == (sizes[one] == sizes[other]), (one, other)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: Settings.of("polyp", "ft-fire5"),
            "alexnet has no scheme ft-fire5, ARCH=squeezenet or squeezenet_centre has; .*ft-conv1, .*",
        ),
        (
            lambda: Settings.of("polyp", "ft-fc8", arch="lenet"),
            "lenet has no scheme ft-fc8, ARCH=alexnet or caffenet or",
        ),
        (
            lambda: Settings.of("polyp", "ft-res6", arch="resnet50"),
            "unknown resnet50 scheme 'ft-res6'.*ft-fc1000, gradual, lp-ft, scr",
        ),
        (lambda: Settings.of("polyp", "scratch", arch="vgg"), "unknown ARCH 'vgg'; did you mean 'vgg16'"),
        (lambda: Settings.of("polyp", "scratch", arch="vgg16", width="1/2"), "width 1/2: only alexnet can be narrowed"),
        (lambda: parse_name("polyp-ft-conv4", "lenet"), "lenet has no scheme ft-conv4"),
        (lambda: NetSpec("polyp", "scratch", 2, "1/8", arch="lenet"), "width 1/8: only alexnet"),
        (lambda: nets.architecture("inception"), "unknown architecture 'inception'"),
        (
            lambda: donors.find_donor(Settings.of("polyp", "ft-fire5", arch="squeezenet")),
            r"ft-fire5 of squeezenet needs a donor.*WEIGHTS= .* or squeezenet_v1.1, .*polyp-scratch",
        ),
    ],
)
def test_mistakes_are_told_in_one_line(call, message):
    with pytest.raises(UserError, match=message) as told:
        call()
    assert "\n" not in str(told.value)


def test_published_donors_say_whose_they_are():
    archs = [source.arch for source in weights.KNOWN.values()]
    imported = {"googlenet_torch", "resnet50_torch"}  # from files that a user has
    assert set(archs) == set(ARCHITECTURES) - {"lenet"} - imported - set(SAME_WEIGHTS) and len(set(archs)) == len(archs)


def test_a_run_takes_the_nets_own_batch_halved_for_few_patches():
    own = {"alexnet": 256, "caffenet": 256, "lenet": 64}
    for arch in ARCHITECTURES:
        assert prototxts.batch_size(80_000, arch) == own.get(arch, 32)
        assert prototxts.batch_size(4_800, arch) == min(own.get(arch, 32), 64)
        assert prototxts.batch_size(100, arch) == 16


def test_other_nets_from_scratch_need_no_donor():
    donor = donors.find_donor(Settings.of("polyp", "scratch", arch="vgg16"))
    assert donor.file is None and donor.width == 1 and not donor.embedded
    assert donors.find_donor(Settings.of("polyp", "scratch")).width == Fraction(1, 8), "AlexNet's as before"


def test_make_hands_any_scheme_of_any_net_to_the_run():
    assert ", ".join(ARCHITECTURES) in next(row.help for row in SETTINGS if row.name == "arch")  # of make help
    for target, arch in (("polyp-ft-fire5", "squeezenet"), ("polyp-scratch", "vgg16"), ("pe-ft-res5a", "resnet50")):
        order = ["make", "-n", target, f"ARCH={arch}"]
        said = subprocess.run(order, cwd=MAKEFILE.parent, capture_output=True, text=True, check=True).stdout
        assert re.search(rf"train_and_test\.py '?{target}'? --arch='?{arch}", said)


@pytest.mark.parametrize("scheme", ["ft-classifier", "ft-inception_4e", "ft-conv1"])
def test_fresh_hidden_layers_learn_as_a_new_head_at_any_depth_and_no_other_layer_changes(scheme):
    """BVLC's deploy net has no auxiliary classifiers: left frozen, theirs would stay at their fillers."""
    fresh = frozenset(ARCHITECTURES["googlenet"].training_only)
    assert fresh == {"loss1/conv", "loss1/fc", "loss2/conv", "loss2/fc"}
    plain, with_fresh = (nets.train_val(spec_of("googlenet", scheme, fresh=f)) for f in (frozenset(), fresh))
    rates = {
        layer.name: [(param.lr_mult, param.decay_mult) for param in layer.param]
        for layer in with_fresh.layer
        if layer.param
    }
    assert all(rates[name] == list(NEW_HEAD) for name in fresh | ARCHITECTURES["googlenet"].fresh(spec_of("googlenet")))
    for before, after in zip(plain.layer, with_fresh.layer, strict=True):
        assert before == after or before.name in fresh


def test_a_fresh_batch_norm_normalises_by_its_batch_and_never_learns():
    fresh = frozenset({"bn2a_branch1", "scale2a_branch1"})
    net = nets.train_val(spec_of("resnet50", "ft-fc1000", fresh=fresh))
    layers = {layer.name: layer for layer in net.layer}
    assert [p.lr_mult for p in layers["scale2a_branch1"].param] == [10, 20]
    assert not layers["bn2a_branch1"].batch_norm_param.use_global_stats
    assert [p.lr_mult for p in layers["bn2a_branch1"].param] == [0, 0, 0]
    assert layers["bn2a_branch2a"].batch_norm_param.use_global_stats


def test_a_fresh_batch_norm_keeps_the_epsilon_that_it_is_tested_with():
    spec = spec_of("googlenet_torch", "ft-classifier", fresh=frozenset({"conv1/7x7_s2/bn"}))
    nets_of = nets.train_val(spec), nets.score_net(spec, "x", 3), nets.deploy(spec)
    norms = [layer for net in nets_of for layer in net.layer if layer.name == "conv1/7x7_s2/bn"]
    assert len(norms) == 3 and {round(norm.batch_norm_param.eps, 6) for norm in norms} == {0.001}


def test_mean_values_and_a_scale_of_the_spec_stand_in_every_data_layer():
    spec = spec_of("lenet", mean_file="m", mean_value=(104, 117, 123.68), scale=0.5)
    layers = [layer for net in (nets.train_val(spec), nets.score_net(spec, "x", 3)) for layer in net.layer]
    data = [layer.transform_param for layer in layers if layer.type == "Data"]
    assert len(data) == 3
    for transform in data:
        assert (list(transform.mean_value), transform.scale) == (pytest.approx([104, 117, 123.68]), 0.5)
        assert not transform.HasField("mean_file"), "Caffe refuses both"
