"""Voxels and points, orientations, resampling: by hand and against SimpleITK."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from ct import rotation, values

from pycaffe_ext.data.volumes.geometry import AIR, Geometry, oriented, resampled, sampled


def turned(axes, size=(6, 7, 8), spacing=(0.7, 0.8, 1.25), origin=(-10.0, 5.0, 30.0)):
    return Geometry(size, spacing, origin, tuple(np.asarray(axes, float).ravel()))


OBLIQUE = turned(rotation(30) @ rotation(-20, axis=0) @ np.diag([1, -1, -1]))


def test_a_voxel_and_its_point_by_hand():
    swapped = turned([[0, 0, -1], [1, 0, 0], [0, -1, 0]])  # x axis to the back, y to the feet, z to the right
    assert np.allclose(swapped.to_patient([2, 1, 3]), [-10 - 2 * 1.25, 5 + 3 * 0.7, 30 - 1 * 0.8])
    assert np.allclose(swapped.to_voxels([[-12.5, 7.1, 29.2]]), [[2, 1, 3]])


def test_points_are_those_of_simpleitk():
    image = sitk.GetImageFromArray(np.zeros(OBLIQUE.size, np.int16))
    image.SetSpacing(OBLIQUE.spacing)
    image.SetOrigin(OBLIQUE.origin)
    image.SetDirection(OBLIQUE.direction)
    for z, y, x in ((0, 0, 0), (5, 1, 7), (2, 6, 3)):
        assert np.allclose(OBLIQUE.to_patient([z, y, x]), image.TransformIndexToPhysicalPoint((x, y, z)))
        assert np.allclose(OBLIQUE.to_voxels(OBLIQUE.to_patient([z + 0.25, y, x])), [z + 0.25, y, x])


def test_contains_counts_half_a_voxel_around():
    plain = Geometry((2, 2, 2), (1.0, 1.0, 2.0))
    inside = plain.contains([(-0.49, 0, 0), (-0.51, 0, 0), (1.49, 1, 2.99), (0, 0, 3.01)])
    assert inside.tolist() == [True, False, True, False]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"spacing": (0.0, 1.0, 1.0)}, "spacing of 0 x 1 x 1"),
        ({"spacing": (1.0, float("nan"), 1.0)}, "spacing of 1 x nan"),
        ({"origin": (0.0, 0.0, float("inf"))}, "not finite"),
        ({"direction": (1, 0, 0.1, 0, 1, 0, 0, 0, 1)}, "not perpendicular"),
        ({"direction": (0.0,) * 9}, "not perpendicular"),
        ({"size": (0, 4, 4)}, "three axes"),
    ],
)
def test_what_is_no_geometry(change, words):
    with pytest.raises(ValueError, match=words):
        Geometry(**{"size": (4, 4, 4), "spacing": (1.0, 1.0, 1.0)} | change)


def test_same_geometries_and_others():
    assert OBLIQUE.same(OBLIQUE)
    assert OBLIQUE.same(turned(OBLIQUE.axes, origin=(-10.001, 5.0, 30.0)))
    assert not OBLIQUE.same(turned(OBLIQUE.axes, origin=(-10.1, 5.0, 30.0)))
    assert not OBLIQUE.same(turned(np.eye(3)))


@pytest.mark.parametrize("axes", ["LPS", "RAS", "SLA", "PIR"])
def test_flipped_and_swapped_axes_are_put_right_without_a_change_of_value(axes):
    """A volume of any axes, put into another orientation and back, is the volume itself."""
    volume, geometry = values(), turned([[0, 0, -1], [1, 0, 0], [0, -1, 0]])
    target = oriented(geometry, axes)
    there = resampled(volume, geometry, target)
    assert sorted(there.shape) == sorted(volume.shape)
    assert np.array_equal(np.sort(there, axis=None), np.sort(volume, axis=None))
    assert np.array_equal(resampled(there, target, geometry), volume)
    for z, y, x in ((0, 0, 0), (3, 2, 1), (5, 6, 7)):
        at = np.rint(target.to_voxels(geometry.to_patient([z, y, x]))).astype(int)
        assert there[tuple(at)] == volume[z, y, x]


def test_the_letters_say_where_the_axes_point():
    assert np.allclose(oriented(OBLIQUE, "LPS").axes, np.eye(3))
    assert np.allclose(oriented(OBLIQUE, "SAR").axes, np.array([[0, 0, -1], [0, -1, 0], [1, 0, 0]]))
    for wrong in ("LPP", "LP", "XYZ", "LRS"):
        with pytest.raises(ValueError, match="three letters"):
            oriented(OBLIQUE, wrong)


def test_an_oblique_volume_is_covered_and_a_linear_field_stays_linear():
    field = np.array([3.0, -2.0, 1.5])
    points = OBLIQUE.to_patient(np.moveaxis(np.indices(OBLIQUE.size), 0, -1))
    volume = np.rint(20 * points @ field).astype(np.int16)
    target = oriented(OBLIQUE, "LPS", (0.5, 0.5, 0.5))
    there = resampled(volume, OBLIQUE, target)
    assert target.contains(OBLIQUE.corners()).all()
    voxels = OBLIQUE.to_voxels(target.to_patient(np.moveaxis(np.indices(target.size), 0, -1)))
    inside = ((voxels >= 0) & (voxels <= np.array(OBLIQUE.size) - 1)).all(axis=-1)
    expected = 20 * target.to_patient(np.argwhere(inside)) @ field
    assert inside.mean() > 0.2
    assert (there[0, 0, 0], there[-1, -1, -1]) == (AIR, AIR)
    assert np.abs(there[inside] - expected).max() <= 1.0  # rounding, twice


def test_sampled_is_linear_in_the_volumes_own_axes():
    volume = values()
    voxels = np.array([[1.0, 2.0, 3.0], [1.5, 2.0, 3.0], [1.0, 2.25, 3.5]])
    z, y, x = 1, 2, 3
    v = volume.astype(float)
    row = [0.5 * (v[z, j, x] + v[z, j, x + 1]) for j in (y, y + 1)]
    expected = [v[z, y, x], 0.5 * (v[z, y, x] + v[z + 1, y, x]), 0.75 * row[0] + 0.25 * row[1]]
    assert np.allclose(sampled(volume, OBLIQUE, OBLIQUE.to_patient(voxels)), expected, atol=1e-2)
    assert sampled(volume, OBLIQUE, OBLIQUE.to_patient([[9.0, 0, 0]])) == [AIR]
