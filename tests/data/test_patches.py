"""The 120 views of a candidate, against plain slicing."""

import cv2
import numpy as np
import pytest

from pycaffe_ext.data.patches import ORIENTATIONS, SCALES, SHIFTS, VIEWS, View, crop_box, cut, orient
from pycaffe_ext.errors import UserError

RNG = np.random.default_rng(0)
IMAGE = cv2.GaussianBlur(RNG.integers(0, 256, (120, 160, 3), np.uint8), (0, 0), 1.5)


def naive(image, box, view, size):
    """One view by the words of the docstring: enlarge, move, clip, resize, mirror, turn."""
    x, y, w, h = box
    w2, h2 = w * view.scale, h * view.scale
    x2, y2 = x + w / 2 - w2 / 2 + view.dx * w2, y + h / 2 - h2 / 2 + view.dy * h2
    left, right = (min(max(int(np.floor(v + 0.5)), 0), image.shape[1]) for v in (x2, x2 + w2))
    top, bottom = (min(max(int(np.floor(v + 0.5)), 0), image.shape[0]) for v in (y2, y2 + h2))
    crop = image[top:bottom, left:right]
    method = cv2.INTER_AREA if crop.shape[0] >= size and crop.shape[1] >= size else cv2.INTER_LINEAR
    square = cv2.resize(crop, (size, size), interpolation=method)
    if view.orientation >= 4:
        square = np.fliplr(square)
    return np.rot90(square, view.orientation % 4).transpose(2, 0, 1)


def test_the_views_are_the_papers_120_in_a_stable_order():
    assert len(VIEWS) == len(set(VIEWS)) == 3 * 5 * 8
    assert VIEWS[0] == View(1.0, 0.0, 0.0, 0) and VIEWS[7] == View(1.0, 0.0, 0.0, 7)
    assert VIEWS[8] == View(1.0, -0.1, 0.0, 0) and VIEWS[40] == View(1.2, 0.0, 0.0, 0)
    assert [view.scale for view in VIEWS] == sorted(view.scale for view in VIEWS)
    assert {(view.dx, view.dy) for view in VIEWS} == set(SHIFTS)


@pytest.mark.parametrize(
    "box", [(40, 30, 50, 37), (40.3, 30.7, 21.5, 60.2), (0, 0, 30, 20), (130, 90, 30, 30), (-10, 5, 25, 20)]
)
@pytest.mark.parametrize("size", [24, 61])
def test_every_view_equals_plain_slicing(box, size):
    patches = cut(IMAGE, box, size=size)
    assert patches.shape == (120, 3, size, size) and patches.dtype == np.uint8
    for patch, view in zip(patches, VIEWS, strict=True):
        np.testing.assert_array_equal(patch, naive(IMAGE, box, view, size), err_msg=str(view))


def test_views_come_in_the_order_asked_for():
    order = RNG.permutation(120)[:17]
    some = cut(IMAGE, (40, 30, 50, 37), [VIEWS[i] for i in order], 32)
    np.testing.assert_array_equal(some, cut(IMAGE, (40, 30, 50, 37), size=32)[order])


def test_no_change_of_size_keeps_the_pixels():
    patch = cut(IMAGE, (10, 20, 40, 40), [VIEWS[0]], 40)[0]
    np.testing.assert_array_equal(patch, IMAGE[20:60, 10:50].transpose(2, 0, 1))


def test_orientations_are_the_dihedral_group():
    square = np.arange(3 * 5 * 5).reshape(3, 5, 5)
    seen = [orient(square, turn).tobytes() for turn in range(ORIENTATIONS)]
    assert len(set(seen)) == 8
    for one in range(ORIENTATIONS):
        products = [orient(orient(square, one), other).tobytes() for other in range(ORIENTATIONS)]
        assert sorted(products) == sorted(seen)  # closed, and each has its inverse
        assert seen[0] in products


def test_an_orientation_is_the_turn_its_number_says():
    square = np.array([[[1, 2], [3, 4]]])
    assert orient(square, 1)[0].tolist() == [[2, 4], [1, 3]]  # a quarter turn counter-clockwise
    assert orient(square, 4)[0].tolist() == [[2, 1], [4, 3]]  # left to right


def test_scale_and_shift_mean_what_the_paper_says():
    box, frame = (100, 200, 100, 60), (1000, 1000)
    assert crop_box(box, View(1.0, 0.0, 0.0, 0), frame) == (100, 200, 200, 260)
    assert crop_box(box, View(1.5, 0.0, 0.0, 0), frame) == (75, 185, 225, 275)
    assert crop_box(box, View(1.5, 0.1, 0.0, 0), frame) == (90, 185, 240, 275)
    assert crop_box(box, View(1.0, 0.0, -0.1, 0), frame) == (100, 194, 200, 254)


def test_a_box_beyond_the_edge_is_clipped_to_the_frame():
    assert crop_box((-20, -10, 50, 40), View(1.0, 0.0, 0.0, 0), (100, 100)) == (0, 0, 30, 30)
    assert crop_box((80, 90, 50, 40), View(1.0, 0.0, 0.0, 0), (100, 120)) == (80, 90, 120, 100)


@pytest.mark.parametrize("scale", SCALES)
def test_a_turned_frame_gives_the_turned_patch(scale):
    """Patches do not depend on how the frame lies: cutting and turning commute, up to rounding."""
    height, width = IMAGE.shape[:2]
    x, y, w, h = 40, 30, 48, 32
    turned = cut(np.ascontiguousarray(np.rot90(IMAGE)), (y, width - x - w, h, w), [View(scale, 0, 0, 0)], 24)
    plain = cut(IMAGE, (x, y, w, h), [View(scale, 0, 0, 1)], 24)
    assert np.abs(turned.astype(int) - plain).max() <= 1


@pytest.mark.parametrize(
    ("box", "says"),
    [
        ((10, 10, 0, 5), r"\[10, 10, 0, 5\].*above 0"),
        ((10, 10, 5, -1), r"\[10, 10, 5, -1\]"),
        ((float("nan"), 10, 5, 5), "nan.*finite"),
        ((10, 10, float("inf"), 5), "inf.*finite"),
        ((500, 10, 5, 5), r"\[500, 10, 5, 5\].*no pixel of the frame of 160x120"),
        ((10.1, 10, 0.2, 5), "no pixel"),
    ],
)
def test_a_degenerate_box_is_named(box, says):
    with pytest.raises(UserError, match=says):
        cut(IMAGE, box)
