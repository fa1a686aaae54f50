"""Donors that are not in the scale of their input are noticed, and no other."""

from pathlib import Path

import numpy as np
import pytest

from pycaffe_ext import nets
from pycaffe_ext.donor import DONOR, scale
from pycaffe_ext.nets.shapes import parameter_shapes
from pycaffe_ext.proto import read_blobs
from pycaffe_ext.schemes import SCRATCH

WEIGHTS = Path(__file__).parents[3] / "shared" / "weights"
RNG = np.random.default_rng(0)
OUTPUTS = 64  # of a large layer that are filled: the measure is a mean over outputs
STD = 57.63
REAL = {  # file -> its first layer's ratio
    "squeezenet_v1.1_caffe": 1.283,
    "bvlc_googlenet": 2.287,
    "squeezenet_v1.1_imagenet": 0.0236,
}


def filled(filler, shape):
    """Weights of some outputs of a layer as Caffe's filler makes them."""
    inputs = int(np.prod(shape[1:]))
    shape = (min(shape[0], OUTPUTS), *shape[1:])
    if filler.type == "xavier":
        return RNG.uniform(-1, 1, shape) * np.sqrt(3 / inputs)
    return RNG.normal(size=shape) * {"msra": np.sqrt(2 / inputs), "gaussian": filler.std}[filler.type]


def new(arch, scheme):
    """(blobs, names of the hidden layers) of a net from its fillers."""
    spec = nets.NetSpec("polyp", scheme, 2, arch=arch)
    made = nets.train_val(spec)
    shapes = parameter_shapes(made, image=nets.architecture(arch).input)
    blobs = {}
    for layer in made.layer:
        param = layer.convolution_param if layer.type == "Convolution" else layer.inner_product_param
        if layer.name in shapes and layer.type in ("Convolution", "InnerProduct"):
            biases = [np.full(shape, param.bias_filler.value) for shape in shapes[layer.name][1:]]
            blobs[layer.name] = [filled(param.weight_filler, shapes[layer.name][0]), *biases]
    return blobs, [name for name in blobs if name not in nets.architecture(arch).fresh(spec)]


def untrained(kind):
    """The first layers and some later ones as torchvision starts them, all biases 0."""
    fan_out = {  # shapes (out, in, rows, columns); normal with variance 2 / (out * rows * columns)
        "vgg16": [(64, 3, 3, 3), (64, 64, 3, 3), (128, 64, 3, 3), (256, 128, 3, 3), (512, 512, 3, 3)],
        "resnet50": [(64, 3, 7, 7), (64, 64, 1, 1), (64, 64, 3, 3), (256, 64, 1, 1), (128, 128, 3, 3)],
    }
    if kind == "squeezenet":  # kaiming_uniform
        shapes = [(64, 3, 3, 3), (16, 64, 1, 1), (64, 16, 1, 1), (64, 16, 3, 3)]
        weights = [RNG.uniform(-1, 1, shape) * np.sqrt(6 / np.prod(shape[1:])) for shape in shapes]
    else:
        weights = [RNG.normal(size=shape) * np.sqrt(2 / (shape[0] * shape[2] * shape[3])) for shape in fan_out[kind]]
    return {f"layer{i}": [weight, np.zeros(len(weight))] for i, weight in enumerate(weights)}


@pytest.mark.parametrize("scheme", SCRATCH)
@pytest.mark.parametrize("arch", list(nets.ARCHITECTURES))
def test_new_nets_are_in_scale(arch, scheme):
    blobs, hidden = new(arch, scheme)
    name, ratio = scale.first_ratio(blobs, hidden)
    assert name == hidden[0] and 0.4 < ratio < 1.1
    assert scale.first_layer(blobs, hidden) is None
    assert not scale.is_trained(blobs, hidden)


@pytest.mark.parametrize("kind", ["vgg16", "resnet50", "squeezenet"])
def test_untrained_nets_of_torchvision_are_in_scale_until_the_std_is_folded_in(kind):
    blobs = untrained(kind)
    assert scale.first_layer(blobs, blobs) is None and not scale.is_trained(blobs, blobs)
    blobs["layer0"][0] = blobs["layer0"][0] / STD
    assert "the weights of layer0 are" in scale.first_layer(blobs, blobs)


def test_the_embedded_donor_is_in_scale():
    blobs = read_blobs(DONOR)
    hidden = list(blobs)[:-1]
    assert 0.4 < scale.first_ratio(blobs, hidden)[1] < 3
    assert scale.first_layer(blobs, hidden) is None and scale.is_trained(blobs, hidden)


@pytest.mark.parametrize("name", list(REAL))
def test_of_real_donors_only_the_folded_one_is_named(name):
    file = WEIGHTS / f"{name}.caffemodel"
    if not file.exists():
        pytest.skip(f"{file} is not there")
    blobs = read_blobs(file)
    hidden = list(blobs)[:-1]
    assert scale.first_ratio(blobs, hidden)[1] == pytest.approx(REAL[name], rel=0.02)
    found = scale.first_layer(blobs, hidden)
    if name != "squeezenet_v1.1_imagenet":
        assert found is None
        return
    assert found.startswith("the weights of conv1 are 42.3 times smaller than those of the next layers")
    assert "1.8e+03 times as far" in found and "SCALE=" in found and "docs/how-to/donors.md" in found
    assert "\n" not in found
    unfolded = {**blobs, "conv1": [blobs["conv1"][0] * STD, blobs["conv1"][1]]}
    assert scale.first_layer(unfolded, hidden) is None


def test_limits_and_faulty_weights():
    blobs = {name: [np.ones((4, 9))] for name in ("a", "b", "c")}
    for factor, words in ((1 / 12.9, None), (12.9, None), (1 / 13.1, "smaller"), (13.1, "larger")):
        found = scale.first_layer({**blobs, "a": [np.full((4, 9), factor)]}, blobs)
        assert (found is None) == (words is None) and (words or "") in (found or "")
    assert scale.first_layer({**blobs, "a": [np.zeros((4, 9))]}, blobs).startswith("all weights of a are 0")
    assert scale.first_layer({**blobs, "a": [np.full((4, 9), np.nan)]}, blobs) is not None
    assert scale.first_ratio({"a": blobs["a"]}, ["a", "missing"]) is None


def raw(spread, share, images=8, classes=1000):
    """(outputs of that spread over the classes, those for zeros, which all but that share of the spread is)."""
    blank = spread * (1 - share) * RNG.normal(size=classes)
    own = RNG.normal(size=(images, classes)) * spread * np.sqrt(1 - (1 - share) ** 2)
    return blank + own, blank


@pytest.mark.parametrize(
    ("values", "words"),
    [
        *((raw(*case), None) for case in ((2.8, 1.0), (4.4, 0.9), (2.1, 1.0), (6.1, 1.0), (3.4, 0.92))),
        (raw(99, 1.0), "spread by 9"),
        (raw(33, 1.0), "many times too large"),
        (raw(3.1, 0.02), "many times too small"),
        ((np.zeros((8, 5)), np.zeros(5)), "many times too small"),
        ((np.full((8, 5), np.nan), np.zeros(5)), "not finite"),
        ((np.ones((8, 5)), np.full(5, np.inf)), "not finite"),
    ],
)
def test_outputs_that_were_measured_are_told_apart(values, words):
    found = scale.outputs(*values)
    assert found is None if words is None else words in found


def after(**moves):
    """(donor, weights after an epoch): three layers moved by 0.001 of their norm, and those of `moves`."""
    donor = {name: [RNG.normal(size=(8, 5)), RNG.normal(size=8)] for name in ("a", "b", "c", *moves)}
    donor["frozen"], donor["norm"] = [np.ones((4, 4))], [np.zeros(4), np.ones(4), np.ones(1)]
    by = {**dict.fromkeys("abc", 0.001), "frozen": 0.0, **moves}
    trained = {name: [donor[name][0] * (1 + far), donor[name][-1]] for name, far in by.items()}
    return donor, {**trained, "norm": [np.full(4, 9.0)], "head_polyp": [np.ones((2, 5))]}


def test_moves_are_measured_in_the_donors_norm():
    found = scale.moves(*after(conv1=0.44))
    assert set(found) == {"a", "b", "c", "conv1"} and found["conv1"] == pytest.approx(0.44)
    legacy, trained = after(conv1=0.44)
    legacy["conv1"][0] = legacy["conv1"][0].reshape(1, 1, 8, 5)
    assert scale.moves(legacy, trained)["conv1"] == pytest.approx(0.44)


@pytest.mark.parametrize("far", [0.44, 6.8, np.nan, np.inf])
def test_a_layer_that_moved_too_far_is_named(far):
    found = scale.moved(*after(conv1=far, b=0.0008))
    assert found.startswith("the first epoch moved the weights of conv1 by ") and "BASE_LR=" in found
    assert np.isnan(far) or "(the other layers: 0.1 %)" in found


def test_layers_that_moved_as_the_others_did_are_not():
    assert scale.moved(*after()) is None
    assert scale.moved(*after(conv1=0.11, a=0.12, b=0.12, c=0.14)) is None  # a donor in its scale, tuned whole
    assert scale.moved(*after(conv1=0.015, a=0.017, b=0.017, c=0.0545)) is None  # SqueezeNet at the rate 0.001
    donor, trained = after(conv1=0.14)  # a single layer that learns has no others
    only = {"conv1": trained["conv1"]}
    assert scale.moved(donor, only) is None and scale.moved(donor, {}) is None
    assert scale.moved(*after(conv1=1.1, a=1.0, b=1.0, c=1.0)) is not None
