"""Patches along a vessel, against shapes whose planes are known."""

from __future__ import annotations

import numpy as np
import pytest
from ct import rotation

from pycaffe_ext.data.items import Views as Protocol
from pycaffe_ext.data.volumes.aligned import EXTENTS, View, Views, aligned_patches, frame, plane_points
from pycaffe_ext.data.volumes.geometry import Geometry
from pycaffe_ext.data.volumes.window import Window
from pycaffe_ext.detector.vessels.axis import second_derivatives, vessel_axes

WHOLE = Window(0, 1000)
MIDDLE = np.array([3.0, -4.0, 5.0])


def grid(axes=None, spacing=(0.9, 0.9, 1.2), size=(30, 36, 36)):
    """A geometry whose middle voxel lies at MIDDLE."""
    axes = np.eye(3) if axes is None else axes
    origin = MIDDLE - axes @ ((np.array(size[::-1]) - 1) / 2 * spacing)
    return Geometry(size, spacing, tuple(origin), tuple(axes.ravel()))


def tube(geometry, axis, radius=3.0, inside=300.0, outside=-400.0, half=0.0):
    """(z, y, x) of a soft-edged tube through MIDDLE; half : HU that one side of a plane through its axis has less."""
    points = geometry.to_patient(np.moveaxis(np.indices(geometry.size), 0, -1)) - MIDDLE
    along, side, _ = frame(axis)
    gap = np.linalg.norm(points - (points @ along)[..., None] * along, axis=-1)
    part = np.clip(0.5 - (gap - radius) / 1.0, 0, 1)
    return outside + part * (inside - outside - half * (points @ side > 0))


AXES = [(0, 0, 1.0), (1.0, 0, 0), (0.6, 0.48, 0.64), (-0.5, 0.7, 0.2)]


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("turned", [np.eye(3), rotation(35) @ rotation(20, axis=0), np.diag([-1.0, 1, -1])])
def test_the_axis_of_a_tube_under_any_voxels(axis, turned):
    geometry = grid(turned)
    found = vessel_axes(tube(geometry, axis), geometry, MIDDLE[None])[0]
    unit = np.array(axis) / np.linalg.norm(axis)
    assert np.linalg.norm(found) == pytest.approx(1)
    assert np.degrees(np.arccos(min(abs(found @ unit), 1))) < 4
    assert found[np.abs(found).argmax()] > 0


def test_a_clot_does_not_turn_the_axis():
    """Half of the tube has the density of a clot, as in an eccentric one."""
    geometry = grid()
    axis = np.array([0.6, 0.48, 0.64])
    found = vessel_axes(tube(geometry, axis, half=250.0), geometry, MIDDLE[None])[0]
    assert np.degrees(np.arccos(min(abs(found @ axis), 1))) < 5


def test_no_points_no_axes():
    assert vessel_axes(np.zeros((4, 4, 4)), Geometry((4, 4, 4), (1, 1, 1)), np.zeros((0, 3))).shape == (0, 3)


def test_weights_are_second_derivatives():
    offsets, kernels = second_derivatives(1.5)
    x, y, z = offsets.T
    found = np.einsum("m,mij->ij", 5 + 2 * x - z + 1.5 * x**2 - 0.5 * z**2 + 2 * x * y, kernels)
    assert np.allclose(found, [[3, 2, 0], [2, 0, 0], [0, 0, -1]], atol=1e-9)


@pytest.mark.parametrize("axis", AXES)
def test_a_rotated_tube_gives_the_same_patches(axis):
    """Along the axis a band as wide as the tube; across a disc: whichever way the tube lies."""
    geometry = grid(rotation(25) @ rotation(-15, axis=1), spacing=(0.6, 0.6, 0.6), size=(60, 60, 60))
    place = np.array([[*MIDDLE, *axis]])
    patch = aligned_patches(tube(geometry, axis), geometry, place, [View(20.0)], 40, WHOLE)[0].astype(float)
    place_mm = ((np.arange(40) + 0.5) / 40 - 0.5) * 20
    band = np.clip(0.5 - (np.abs(place_mm) - 3.0), 0, 1)
    disc = np.clip(0.5 - (np.hypot(*np.meshgrid(place_mm, place_mm)) - 3.0), 0, 1)
    inner = slice(8, 32)
    for channel, shape in ((0, np.tile(band, (40, 1))), (1, np.tile(band, (40, 1))), (2, disc)):
        expected = 255 * (0.1 + 0.7 * shape)
        wrong = np.abs(patch[channel] - expected)[inner, inner]
        assert wrong.mean() < 4
        assert wrong.max() < 30  # at the edge, which falls by 180 in a millimetre


def test_turning_about_the_axis_shows_the_other_side():
    geometry = grid(spacing=(0.6, 0.6, 0.6), size=(60, 60, 60))
    axis = (0.0, 0.0, 1.0)
    values = tube(geometry, axis, half=400.0)
    place = np.array([[*MIDDLE, *axis]] * 2)
    upright, turned = aligned_patches(values, geometry, place, [View(10.0), View(10.0, angle=180)], 20, WHOLE)
    assert upright[0][:, 12].mean() < upright[0][:, 7].mean() - 60  # the dark half is on the side of the first vector
    assert np.abs(upright[0].astype(int) - turned[0][:, ::-1]).max() <= 1
    quarter = aligned_patches(values, geometry, place[:1], [View(10.0, angle=90)], 20, WHOLE)[0]
    assert np.abs(quarter[0].astype(int) - upright[1]).max() <= 1


def test_extent_and_shift_are_millimetres():
    points = plane_points(MIDDLE, np.array([0.0, 0, 2.0]), View(10.0, shift=2.0), 5)
    assert np.allclose(points[0, 2, 2], MIDDLE + [0, 0, 2])
    assert np.allclose(points[0, 1, 2] - points[0, 0, 2], [0, 0, 2])
    assert np.ptp(points[0, :, 2, 2]) == pytest.approx(8)
    assert np.allclose(points[2, :, :, 2], MIDDLE[2] + 2)


def test_frames_are_right_handed_and_turn():
    for axis in AXES:
        for angle in (0, 30, 200):
            found = frame(np.array(axis), angle)
            assert np.allclose(found @ found.T, np.eye(3), atol=1e-12)
            assert np.linalg.det(found) == pytest.approx(1)
    assert frame(AXES[2])[1] @ frame(AXES[2], 30)[1] == pytest.approx(np.cos(np.radians(30)))


def test_views_are_all_combinations():
    views: Protocol = Views()
    rows = [views.row(i) for i in range(len(views))]
    assert len(set(rows)) == len(views) == 45
    assert {row[0] for row in rows} == set(EXTENTS)
    assert rows[0] == (10.0, 0.0, 0.0)
    assert len(views.columns) == len(rows[0])
