"""The phantom of an artery: its walls where it says, its patients, its files."""

from __future__ import annotations

import time

import numpy as np
import pytest

from pycaffe_ext.data import boundaries
from pycaffe_ext.data.boundaries.burned_in import marks_of
from pycaffe_ext.data.synthetic import artery
from pycaffe_ext.data.synthetic.artery import draw_frame, draw_patient, write_phantom
from pycaffe_ext.detector.walls.far_wall import find_far_wall
from pycaffe_ext.detector.walls.gradients import baseline, edges_along, fitted_offsets
from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.boundary_errors import column_errors


def patient(number, seed=0):
    return draw_patient(np.random.default_rng([seed, number]))


@pytest.fixture(scope="module")
def frames():
    """(patient, image, walls) of 14 patients."""
    return [(one, *draw_frame(one, 0)) for one in map(patient, range(14))]


def test_the_same_patient_and_number_is_the_same_image(frames):
    again, walls = draw_frame(frames[3][0], 0)
    assert np.array_equal(again, frames[3][1])
    assert np.array_equal(walls.li, frames[3][2].li)
    other, moved = draw_frame(frames[3][0], 1)
    assert not np.array_equal(other, again)
    assert np.abs(moved.li - walls.li).mean() < 1.5  # the same vessel, seen again


def test_walls_are_in_order_and_inside(frames):
    for one, image, walls in frames:
        assert image.shape == artery.SIZE
        assert (walls.near < walls.lumen).all()
        assert (walls.lumen + 3 < walls.li).all()
        assert (walls.li < walls.ma).all()
        assert (walls.ma < walls.end).all()
        assert walls.ma.max() / one.mm_per_pixel < artery.SIZE[0] - 10


def test_thickness_of_patients():
    rng = np.random.default_rng(7)
    drawn = np.array([draw_patient(rng).thickness for _ in range(2000)])
    low, high = artery.POSSIBLE
    assert np.median(drawn) == pytest.approx(0.66, abs=0.02)
    assert np.log(drawn).std() == pytest.approx(0.2, abs=0.02)
    assert drawn.min() >= low
    assert drawn.max() <= high


def test_thickness_varies_along_the_wall(frames):
    for one, _, walls in frames:
        thickness = walls.ma - walls.li
        assert thickness.mean() == pytest.approx(one.thickness, rel=0.2)
        assert thickness.std() > 0.005


def profile(frames, kind):
    """Mean grey by depth around a boundary, (41,) from -1 to 1 mm."""
    steps = np.linspace(-1, 1, 41)
    found = []
    for one, image, walls in frames:
        depth = getattr(walls, kind)
        for x in range(0, len(depth), 4):
            rows = (depth[x] + steps) / one.mm_per_pixel
            found.append(np.interp(rows, np.arange(len(image)), image[:, x]))
    return steps, np.mean(found, axis=0)


def test_greys_rise_at_the_boundaries(frames):
    """Steepest within a pulse's length above each boundary: a log-compressed edge seems to lie before the true one."""
    for kind, inside in (("li", (-0.8, -0.4)), ("ma", (-0.25, -0.2))):
        steps, grey = profile(frames, kind)
        rise = steps[np.argmax(np.where((steps > -0.3) & (steps < 0.3), np.gradient(grey), -np.inf))]
        assert -0.2 <= rise <= 0.1
        before = grey[(steps >= inside[0]) & (steps <= inside[1])].mean()
        assert grey[(steps >= 0.05) & (steps <= 0.15)].mean() > before + 5


def test_far_wall_and_baseline_find_it(frames):
    """The region holds both boundaries in every column; offsets of seven patients serve for seven others."""
    errors, inside = [], []
    for one, image, walls in frames:
        mm = one.mm_per_pixel
        wall = find_far_wall(image, marks_of(image), mm)
        top, height = wall.region(mm)
        true = walls.li[wall.x] / mm, walls.ma[wall.x] / mm
        inside.append((true[0] > top) & (true[1] < top + height - 1))
        found = baseline(edges_along(image, wall, mm), mm)
        errors.append(tuple(column_errors(*pair, mm) for pair in zip(found, true, strict=True)))
    assert np.concatenate(inside).mean() >= 0.98
    offsets = fitted_offsets(errors[:7])
    for kind, offset in enumerate(offsets):
        left = np.concatenate([each[kind] for each in errors[7:]]) + 1000 * offset
        assert np.median(np.abs(left)) < 100


def test_a_phantom_is_a_folder_that_the_adapter_reads(tmp_path):
    write_phantom(tmp_path / "phantom", patients=2, frames=2, workers=1, progress=False)
    found = boundaries.find(tmp_path / "phantom", progress=False)
    assert [image.name for image in found] == ["patient000/00", "patient000/01", "patient001/00", "patient001/01"]
    assert [image.group for image in found] == ["patient000", "patient000", "patient001", "patient001"]
    one = patient(1)
    curves = found[3].curves()
    mm = found[3].mm_per_pixel
    assert mm == pytest.approx(one.mm_per_pixel, abs=1e-5)
    assert curves.x.tolist() == list(range(artery.SIZE[1]))
    assert curves.thickness(mm).mean() == pytest.approx(one.thickness, rel=0.2)
    write_phantom(tmp_path / "again", patients=2, frames=2, workers=1, progress=False)
    for path in (tmp_path / "phantom").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "again" / path.relative_to(tmp_path / "phantom")).read_bytes()


def test_numbers_that_are_too_small(tmp_path):
    with pytest.raises(UserError, match="phantom: 0 patients; at least 1"):
        write_phantom(tmp_path / "phantom", patients=0)
    assert not list(tmp_path.iterdir())


def test_a_frame_takes_less_than_a_third_of_a_second(frames):
    start = time.process_time()
    for number in range(3):
        draw_frame(frames[0][0], number)
    assert time.process_time() - start < 1
