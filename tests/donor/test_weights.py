"""The proof of a transfer, and what WEIGHTS= may name."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from pycaffe_ext import proto
from pycaffe_ext.donor import cards, weights
from pycaffe_ext.errors import UserError
from pycaffe_ext.nets import ARCHITECTURES, NetSpec, train_val
from pycaffe_ext.nets.shapes import parameter_shapes

SPEC = NetSpec("polyp", "ft-conv3", 2, "1/16")
NET = parameter_shapes(train_val(SPEC))


def donor(app="imagenet", **change):
    """Blobs of a net of SPEC's width with another head, some layers changed (None takes one away)."""
    shapes = parameter_shapes(train_val(NetSpec(app, "scratch", 7, "1/16")))
    blobs = {name: [np.zeros(shape, np.float32) for shape in pair] for name, pair in shapes.items()}
    return {name: pair for name, pair in {**blobs, **change}.items() if pair is not None}


def test_a_donor_that_lacks_only_the_head_is_accepted():
    weights.check_transfer(donor(), NET, {SPEC.head})


def test_legacy_shapes_are_accepted_up_to_leading_ones_only():
    blobs = donor()
    legacy = {name: [b.reshape((1,) * (4 - b.ndim) + b.shape) for b in pair] for name, pair in blobs.items()}
    weights.check_transfer(legacy, NET, {SPEC.head})
    legacy["fc7"][0] = legacy["fc7"][0].reshape(*blobs["fc7"][0].shape, 1, 1)
    with pytest.raises(UserError, match=r"shapes that differ: fc7 \(donor 256x256x1x1 and 1x1x1x256, net 256x256 and"):
        weights.check_transfer(legacy, NET, {SPEC.head})


@pytest.mark.parametrize(
    ("blobs", "fresh", "message"),
    [
        (donor(conv2=None), {SPEC.head}, "fillers: conv2, fc8_polyp; wanted: fc8_polyp; shapes that differ: none"),
        (donor(app="polyp"), {SPEC.head}, "fillers: none; wanted: fc8_polyp; shapes that differ: fc8_polyp"),
        ({}, {SPEC.head}, "fillers: conv1, conv2, conv3, conv4, conv5, fc6, fc7, fc8_polyp; wanted: fc8_polyp"),
        (donor(), set(), "fillers: fc8_polyp; wanted: none"),
        (donor(), {"fc9"}, "fillers: fc8_polyp; wanted: fc9"),
        (donor(conv1=[np.zeros((6, 3, 11, 11))]), {SPEC.head}, r"conv1 \(donor 6x3x11x11, net 6x3x11x11 and 6\)"),
        (donor(conv1=[]), {SPEC.head}, r"conv1 \(donor nothing, net"),
    ],
)
def test_any_other_transfer_stops_with_the_two_lists(blobs, fresh, message):
    with pytest.raises(UserError, match=message):
        weights.check_transfer(blobs, NET, fresh)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_donor_that_is_not_finite_is_refused(value):
    blobs = donor()
    blobs["fc6"][0][3, 5] = value
    with pytest.raises(UserError, match="not finite in fc6"):
        weights.check_transfer(blobs, NET, {SPEC.head})


def test_a_donors_width_is_read_from_fc6():
    assert weights.donor_width(donor()) == SPEC.width
    for blobs in (donor(fc6=None, conv2=None), donor(fc6=[], conv2=[])):
        with pytest.raises(UserError, match="no AlexNet: it has no weights of a layer fc6"):
            weights.donor_width(blobs)


def test_the_width_of_a_donor_without_fc6_is_read_from_conv2():
    first = {name: blobs for name, blobs in donor().items() if name.startswith("conv")}
    assert weights.donor_width(first) == SPEC.width
    with pytest.raises(UserError, match="weights of a layer fc6 or conv2"):
        weights.donor_width({name: blobs for name, blobs in first.items() if name != "conv2"})


def test_donor_and_net_meet_as_files(tmp_path):
    path = tmp_path / "donor.caffemodel.h5"
    proto.write_weights_h5(path, donor())
    weights.check_transfer(proto.read_blobs(weights.resolve(path, tmp_path)), NET, {SPEC.head})


def test_resolve_takes_files_and_known_names_only(tmp_path):
    file = tmp_path / "my.caffemodel"
    file.write_bytes(b"x")
    assert weights.resolve(file, tmp_path) == file
    other = tmp_path / "my.pth"
    other.write_bytes(b"x")
    for given, message in [
        (tmp_path / "absent.caffemodel", "absent.caffemodel: no such weights file; check WEIGHTS="),
        ("bvlc_alexnt", "unknown weights 'bvlc_alexnt'; did you mean 'bvlc_alexnet'"),
        (other, r"my.pth: weights are a file ending in .caffemodel, .caffemodel.h5, .npy or one of: bvlc_alexnet"),
        (tmp_path, "no such weights file"),
    ]:
        with pytest.raises(UserError, match=message):
            weights.resolve(given, tmp_path)


def test_a_wrong_file_under_a_known_name_is_not_used(tmp_path):
    (tmp_path / "bvlc_alexnet.caffemodel").write_bytes(b"an error page")
    with pytest.raises(UserError, match="sha1 is .*, bvlc_alexnet has 9116a64c0fbe4459d18f4bb6b56d647b63920377; move"):
        weights.resolve("bvlc_alexnet", tmp_path)


ABSENT = donor(conv2=None, conv4=None)


def test_hidden_layers_that_the_donor_lacks_start_fresh_where_a_pattern_names_them():
    heads = {SPEC.head}
    assert weights.fresh_layers(ABSENT, NET, heads, patterns=["conv[24]"]) == {"conv2", "conv4", SPEC.head}
    found = weights.fresh_layers(ABSENT, NET, heads, ("conv2", "conv1", "conv9"), ["conv4"])
    assert found == {"conv2", "conv4", SPEC.head}, "what only training uses starts fresh where it is absent"
    weights.check_transfer(ABSENT, NET, found)
    assert weights.fresh_layers(donor(), NET, heads, ("conv2",), ["fc8*"]) == heads
    with pytest.raises(UserError, match="fillers: conv2, conv4, fc8_polyp; wanted: fc8_polyp; .*or name in FRESH= the"):
        weights.check_transfer(ABSENT, NET, weights.fresh_layers(ABSENT, NET, heads))


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("cnv2", "FRESH=cnv2: matches no layer that has weights; hidden layers that the donor lacks: conv2, conv4"),
        ("relu1", "FRESH=relu1: matches no layer that has weights"),
        (
            "conv*",
            "FRESH=conv\\*: the donor has conv1, conv3, conv5, which would be transferred; name only what it lacks",
        ),
    ],
)
def test_a_pattern_that_fits_nothing_or_a_transferred_layer_is_refused(pattern, message):
    with pytest.raises(UserError, match=message):
        weights.fresh_layers(ABSENT, NET, {SPEC.head}, patterns=["conv2", pattern])


def test_published_weights_come_with_a_card(tmp_path, monkeypatch):
    """Beside the download; a user's own card there is kept; the file is known by its sha1 wherever it lies."""
    source = replace(weights.KNOWN["squeezenet_v1.1"], sha1=hashlib.sha1(b"weights").hexdigest())
    monkeypatch.setitem(weights.KNOWN, "squeezenet_v1.1", source)
    monkeypatch.setattr(weights, "fetch", lambda urls, path, sha1, size: path.write_bytes(b"weights"))
    path = weights.get("squeezenet_v1.1", tmp_path)
    card = cards.find_card(path)
    assert card == source.card() and (card.mean_value, card.scale, card.input_size) == ((104, 117, 123), 1, 227)
    assert weights.card_of("squeezenet_v1.1", tmp_path) == (card, str(cards.card_path(path)))
    cards.card_path(path).write_text("transform_param { mean_value: 7 }")
    weights.get("squeezenet_v1.1", tmp_path)
    assert cards.find_card(path).mean_value == (7,)
    elsewhere = tmp_path / "mine.caffemodel"
    elsewhere.write_bytes(b"weights")
    assert weights.card_of(elsewhere, tmp_path) == (source.card(), "that of squeezenet_v1.1")
    elsewhere.write_bytes(b"others")
    assert weights.card_of(elsewhere, tmp_path) is None


@pytest.mark.parametrize("name", weights.KNOWN)
def test_every_published_donor_has_a_card_that_can_be_used(name, tmp_path):
    source = weights.KNOWN[name]
    (tmp_path / source.file).write_bytes(b"stands for the file")
    path = cards.write_card(tmp_path / source.file, source.card())
    card = cards.read_card(path)
    assert card.arch in ARCHITECTURES and card.input_size == ARCHITECTURES[card.arch].input[-1]
    assert len(card.mean_value) == 3 and all(100 < value < 125 for value in card.mean_value)
    assert list(card.mean_value) == sorted(card.mean_value), "blue is the darkest channel of ImageNet: B G R"
    assert card.licence and card.source.startswith("https://")
