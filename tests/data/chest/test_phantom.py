"""The phantom of the chest: clots where it says and as large as in patients, its noise, its files."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from pycaffe_ext.data import volumes
from pycaffe_ext.data.synthetic.chest import Size, draw_phantom, emboli, scanner, write_phantom
from pycaffe_ext.data.synthetic.chest.phantom import in_one_part
from pycaffe_ext.data.synthetic.chest.raster import Grid, ellipsoid, mix, paint_tree
from pycaffe_ext.data.synthetic.chest.tree import Tree
from pycaffe_ext.data.volumes import clots
from pycaffe_ext.errors import UserError

CLOTS = Path(__file__).parents[4] / "shared" / "data" / "fumpe-clots.csv"
TINY = Size(pixel=2.0, height=90.0, thickness=2.0, thinnest=2.5)
TINIER = Size(pixel=4.0, height=60.0, thickness=4.0, thinnest=4.0)


def single(start, end, radius):
    return Tree(
        np.array([start], float), np.array([end], float), np.array([[radius, radius]]), np.array([-1]), np.array([1])
    )


@pytest.fixture(scope="module")
def phantom():
    return draw_phantom(np.random.default_rng(5), TINY, clots=5)


# --- shapes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("radius", "tolerance"), [(6.0, 0.03), (3.0, 0.08), (0.6, 0.35)])
def test_a_tube_fills_its_volume(radius, tolerance):
    grid = Grid((40, 40, 60), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    field = np.zeros(grid.shape, np.float32)
    paint_tree(field, grid, single((15, 12, 10), (45, 30, 28), radius))
    length = np.linalg.norm([30, 18, 18])
    expected = np.pi * radius**2 * length + 4 / 3 * np.pi * radius**3
    assert field.sum() == pytest.approx(expected, rel=tolerance)


def test_an_ellipsoid_fills_its_volume_whichever_way_it_lies():
    grid = Grid((40, 50, 60), (1.0, 0.8, 0.8), (-24.0, -20.0, -20.0))
    expected = 4 / 3 * np.pi * 4 * 6 * 9
    for turn in (None, np.array([[0.6, 0.8, 0], [-0.8, 0.6, 0], [0, 0, 1.0]])):
        _, part = ellipsoid(grid, (0.3, -0.2, 0.1), (4, 6, 9), turn)
        assert part.sum() * 0.64 == pytest.approx(expected, rel=0.05)


def test_mixing_is_in_proportion():
    values = np.array([0.0, 0.0, -1000.0], np.float32)
    mix(values, np.array([0.0, 0.5, 1.0], np.float32), 400)
    assert values.tolist() == [0, 200, 400]


# --- clots --------------------------------------------------------------------------------------------------------


def test_numbers_and_volumes_are_those_of_the_published_fit():
    rng = np.random.default_rng(0)
    counts = np.array([emboli.draw_count(rng) for _ in range(4000)])
    assert (counts == 0).mean() == pytest.approx(2 / 35, abs=0.02)
    assert counts[counts > 0].mean() == pytest.approx(95 / 33, abs=0.2)
    assert counts.max() <= emboli.MOST
    drawn = emboli.draw_volumes(4000, rng)
    assert np.median(drawn) == pytest.approx(1000, rel=0.2)
    assert emboli.VOLUMES[0] <= drawn.min() <= drawn.max() <= emboli.VOLUMES[1]


@pytest.mark.skipif(not CLOTS.exists(), reason="../shared/data/fumpe-clots.csv is not there")
def test_they_fit_the_clots_of_fumpe():
    """By Kolmogorov and Smirnov's test; five times as large, or twice as many, would be found out."""
    from scipy.stats import ks_2samp

    with CLOTS.open() as file:
        rows = list(csv.DictReader(file))
    real = np.array([float(row["volume_mm3"]) for row in rows])
    real = real[(real >= emboli.VOLUMES[0]) & (real <= emboli.VOLUMES[1])]
    rng = np.random.default_rng(1)
    drawn = emboli.draw_volumes(5000, rng)
    assert ks_2samp(real, drawn).pvalue > 0.05
    assert ks_2samp(real, 5 * drawn).pvalue < 0.001
    counts = np.unique([row["patient"] for row in rows], return_counts=True)[1]
    with_clots = np.array([n for n in (emboli.draw_count(rng) for _ in range(5000)) if n])
    assert ks_2samp(counts, with_clots).pvalue > 0.05
    assert ks_2samp(counts, 2 * with_clots).pvalue < 0.001


def test_clots_lie_in_arteries_and_are_as_large_as_drawn(phantom):
    assert 3 <= len(phantom.emboli) <= 5
    for number, embolus in enumerate(phantom.emboli, start=1):
        voxels = np.argwhere(phantom.labels == number)
        volume = len(voxels) * phantom.geometry.voxel_volume
        assert 0.3 < volume / embolus.volume < 3
        points = phantom.geometry.to_patient(voxels)
        start, end = phantom.arteries.start[embolus.segments], phantom.arteries.end[embolus.segments]
        reach = emboli.WIDER * phantom.arteries.radius[embolus.segments].max() + 2
        assert all(_to_segment(point, start, end) < reach for point in points)


def _to_segment(point, start, end):
    along = end - start
    t = np.clip(((point - start) * along).sum(axis=1) / (along**2).sum(axis=1), 0, 1)
    return np.linalg.norm(start + t[:, None] * along - point, axis=1).min()


@pytest.mark.parametrize("kind", emboli.KINDS)
def test_each_kind_by_its_shape(kind):
    """In a straight vessel of 5 mm radius: what a slice through the middle shows."""
    grid = Grid((31, 41, 41), (0.5, 0.5, 0.5), (-10.0, -10.0, -7.5))
    tree = single((0, 0, -7), (0, 0, 7), 5.0)
    lumen = np.zeros(grid.shape, np.float32)
    paint_tree(lumen, grid, tree)
    area = lumen[15].sum() * 0.25
    side = np.array([1.0, 0, 0])
    embolus = emboli.Embolus(kind, np.array([0]), np.array([1.0]), side, 50.0, 100.0)
    box, part = emboli.paint_embolus(grid, tree, embolus, lumen)
    clot = np.zeros(grid.shape, np.float32)
    clot[box] = part
    assert (clot <= lumen + 1e-6).all()
    share = clot[15].sum() * 0.25 / area
    assert share == pytest.approx(emboli.FILLS[kind], rel=0.35)
    middle, left, right = clot[15, 20, 20], clot[15, 20, 11], clot[15, 20, 29]
    if kind == "central":
        assert (middle, left, right) == (1, 0, 0)
    elif kind == "eccentric":
        assert (left, right) == (0, 1)
    elif kind == "occlusion":
        assert lumen[15].sum() * 0.25 == pytest.approx(area * emboli.WIDER**2, rel=0.05)
        assert (clot[15] == lumen[15]).all()
    else:
        assert (middle, left, right) == (1, 0, 0)
        assert clot[15, 12:29, 20].min() == 1  # from wall to wall


# --- the scan -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", scanner.KERNELS)
def test_noise_has_the_deviation_and_the_texture_of_the_kernel(kernel):
    rng = np.random.default_rng(0)
    grid = Grid((4, 96, 96), (1.0, 0.8, 0.8), (0.0, 0.0, 0.0))
    scan = scanner.Scanner(kernel, *scanner.KERNELS[kernel], thickness=1.0, noise=20.0)
    found = scanner.noise(np.zeros(grid.shape, np.float32), grid, scan, rng)
    assert found.std() == pytest.approx(20 * np.sqrt(0.5 * (96 * 0.8 * 2) / 150), rel=0.1)  # by the water around
    power = (np.abs(np.fft.fft2(found)) ** 2).mean(axis=0)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(96, 0.8), np.fft.fftfreq(96, 0.8)))
    expected = (frequency + 0.02) * np.exp(-((frequency / scan.peak) ** 2))
    rings = np.digitize(frequency, np.arange(0.05, 0.6, 0.05))
    ratio = np.bincount(rings.ravel(), power.ravel()) / np.bincount(rings.ravel(), expected.ravel())
    assert np.abs(ratio / ratio.mean() - 1).max() < 0.25


def test_slices_are_06_to_15_mm_and_kernels_differ():
    rng = np.random.default_rng(2)
    drawn = [scanner.draw_scanner(rng) for _ in range(200)]
    thickness = [scan.thickness for scan in drawn]
    assert 0.6 <= min(thickness) < 0.7
    assert 1.4 < max(thickness) <= 1.5
    assert {scan.kernel for scan in drawn} == set(scanner.KERNELS)


def test_hounsfield_units_of_a_chest(phantom):
    """Air around, lung, contrast brighter than clots by far."""
    values, clot = phantom.values, phantom.labels > 0
    assert values.dtype == np.int16
    assert np.median(values[:, :3, :3]) < -950
    lung = values[(values < -700) & (values > -930)]
    assert lung.size > 0.15 * values.size
    inside = values[clot]
    assert 20 < np.median(inside) < 130
    assert np.percentile(values[values > 150], 50) > 180


def test_a_clot_is_one_part_so_that_the_only_one_is_read_as_one():
    labels = np.zeros((6, 8, 8), np.uint8)
    labels[1:3, 1:4, 1:4] = 1
    labels[5, 7, 7] = labels[0, 0, 7] = 1  # crumbs in thin branches
    assert clots.numbered(labels).max() == 3
    assert clots.numbered(in_one_part(labels.copy())).max() == 1
    labels[4, 4:6, 4:6] = 2
    kept = in_one_part(labels.copy())
    assert np.array_equal(kept == 2, labels == 2)
    assert np.count_nonzero(kept == 1) == 18


def test_the_same_seed_is_the_same_patient_and_another_one_is_not():
    again = [draw_phantom(np.random.default_rng(seed), TINIER, clots=2) for seed in (5, 5, 6)]
    assert np.array_equal(again[0].values, again[1].values)
    assert np.array_equal(again[0].labels, again[1].labels)
    assert not np.array_equal(again[0].values, again[2].values)


def test_files_are_a_data_set_with_the_clots_that_were_drawn(tmp_path):
    write_phantom(tmp_path / "set", patients=3, seed=4, workers=1, progress=False, size=TINIER)
    found = volumes.find(tmp_path / "set")
    assert [v.name for v in found] == [f"patient{i:03d}" for i in range(3)]
    assert len({v.group for v in found}) == 3
    for number, volume in enumerate(found):
        drawn = draw_phantom(np.random.default_rng([4, number]), TINIER)
        assert np.array_equal(volume.hounsfield(), drawn.values)
        assert np.array_equal(volume.labels(), drawn.labels)
        assert volume.geometry.same(drawn.geometry)


def test_the_same_seed_is_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_phantom(tmp_path / name, patients=1, seed=4, workers=1, progress=False, size=TINIER)
    for place in ("volumes", "masks"):
        first, second = ((tmp_path / name / place / "patient000.nii.gz").read_bytes() for name in ("a", "b"))
        assert first == second


def test_too_few_patients(tmp_path):
    with pytest.raises(UserError, match="0 patients; at least 1"):
        write_phantom(tmp_path / "set", patients=0)
    assert not (tmp_path / "set").exists()
