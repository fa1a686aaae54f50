"""Places and patches of a physical size: labels by hand, pixels by where a point is seen."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pycaffe_ext.data.boundaries import WallImage, lattice
from pycaffe_ext.data.boundaries.curves import Curves
from pycaffe_ext.data.boundaries.lattice import ACROSS, STEP


def test_places_follow_a_wall_and_are_found_again():
    x = np.arange(10, 130)
    row = 100 + 0.1 * x
    places = lattice.lattice_along(x, row, 0.06, above=1.2, below=2.4)
    assert places.rows == 37
    at = places.columns_x(0.06)
    assert at[0] >= 10 and at[-1] <= 129 and np.allclose(np.diff(at), ACROSS * STEP / 0.06)
    column, rows = places.places()
    px, py = lattice.in_pixels(column, rows, 0.06)
    again = lattice.on_lattice(px.astype(np.float32).astype(float), py.astype(np.float32).astype(float), 0.06)
    np.testing.assert_array_equal(again, (column, rows))
    above = np.interp(at, x, row) - places.first * STEP / 0.06
    assert np.abs(above * 0.06 - 1.2).max() <= STEP / 2 + 1e-9
    few = places.inside(50, 80, 0.06)
    assert few.columns_x(0.06).min() >= 50 and few.columns_x(0.06).max() <= 80 and few.rows == 37


def test_a_place_is_of_the_nearer_boundary_within_the_distance():
    row = np.array([9.0, 10, 12, 14, 15, 20, 20])
    truth = np.column_stack([np.full(7, 10.0), np.full(7, 15.0)])
    truth[-1] = np.nan
    truth[3] = (12.9, 15.0)  # both near: the media-adventitia one is nearer
    assert lattice.labels_of(row, truth, 0.1, 0.1001).tolist() == [1, 1, 0, 2, 2, 0, 0]
    assert lattice.labels_of(row, truth, 0.1, 0.05).tolist() == [0, 1, 0, 0, 2, 0, 0]


def test_truth_is_unknown_beside_the_curves_and_near_what_is_burned_in():
    curves = Curves(np.arange(20, 80), np.full(60, 50.0), np.full(60, 60.0))
    valid = np.ones((100, 100), bool)
    valid[55, 70] = False  # a calliper within the wall
    x = np.array([10.0, 20.5, 66.0, 70.0, 74.0, 79.5])
    known = np.isfinite(lattice.truth_at(curves, x, valid, 0.1)).all(axis=1)
    assert known.tolist() == [False, True, True, False, True, False]
    assert np.isnan(lattice.truth_at(None, x, valid, 0.1)).all()


@pytest.mark.parametrize(("size", "mm"), [(227, 0.06), (224, 0.048), (28, 0.06), (28, 0.2)])
def test_the_middle_of_a_patch_is_its_place(tmp_path, size, mm):
    """A bright bar across the image at the depth of a row of the lattice, and one at its column."""
    scan = np.full((200, 240), 20, np.uint8) + np.random.default_rng(0).integers(0, 12, (200, 240)).astype(np.uint8)
    column, row = 3, 40
    x, y = (float(one) for one in lattice.in_pixels(np.array(column), np.array(row), mm))
    yy, xx = np.mgrid[:200, :240]
    ring = 200 * np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / (2 * (0.2 / mm) ** 2))
    path = tmp_path / "a.png"
    path.write_bytes(cv2.imencode(".png", np.clip(scan + ring, 0, 255).astype(np.uint8))[1].tobytes())
    item = WallImage("a", "a", "", path, mm)
    places = np.array([[x, y]] * 2, np.float32)
    patch, mirrored = lattice.cut(item, places, np.array([False, True]), size)
    assert patch.shape == (3, size, size) and (patch[0] == patch[1]).all() and (patch[0] == patch[2]).all()
    np.testing.assert_array_equal(mirrored, patch[:, :, ::-1])
    light = np.maximum(patch[0].astype(float) - 100, 0)
    middle = [(light.sum(axis=axis) @ np.arange(size)) / light.sum() for axis in (0, 1)]
    assert middle == pytest.approx([size // 2] * 2, abs=max(1, 0.02 * size))


def test_patches_of_neighbouring_places_share_their_pixels(tmp_path):
    path = tmp_path / "a.png"
    noise = np.random.default_rng(0).integers(0, 90, (300, 300), np.uint8)
    path.write_bytes(cv2.imencode(".png", noise)[1].tobytes())
    item = WallImage("a", "a", "", path, 0.06)
    scale = lattice.pixels_a_step(227, item.patch_mm)
    assert scale == 8
    places = np.column_stack(lattice.in_pixels(np.array([10, 10, 11]), np.array([100, 101, 100]), 0.06))
    one, below, right = lattice.cut(item, places.astype(np.float32), np.zeros(3, bool), 227)
    np.testing.assert_array_equal(one[:, scale:], below[:, :-scale])
    np.testing.assert_array_equal(one[:, :, ACROSS * scale :], right[:, :, : -ACROSS * scale])
