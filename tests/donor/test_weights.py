"""The proof of a transfer, and what WEIGHTS= may name."""

import numpy as np
import pytest

from pycaffe_ext import proto
from pycaffe_ext.donor import weights
from pycaffe_ext.errors import UserError
from pycaffe_ext.nets import NetSpec, train_val
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
    for blobs in (donor(fc6=None), donor(fc6=[])):
        with pytest.raises(UserError, match="no AlexNet: it has no weights of a layer fc6"):
            weights.donor_width(blobs)


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
