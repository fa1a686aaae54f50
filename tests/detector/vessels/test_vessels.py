"""Lungs, vessels, tobogganing and candidates: by brute force, on shapes, and on a phantom."""

from __future__ import annotations

import numpy as np
import pytest

from pycaffe_ext.data.synthetic.chest import Size, draw_phantom
from pycaffe_ext.data.volumes.clots import clot_in_mask
from pycaffe_ext.data.volumes.geometry import AIR, Geometry, resampled
from pycaffe_ext.detector.vessels import candidates, lungs, segmentation
from pycaffe_ext.detector.vessels.candidates import find_candidates, merged, share_around, spread
from pycaffe_ext.detector.vessels.grid import GRID, coarsened
from pycaffe_ext.detector.vessels.toboggan import NEIGHBOURS, slide

STEP = (1.0, 1.0, 1.0)


def slides_by_hand(values, mask):
    """Voxel -> where it ends, one step after the other."""
    order = {tuple(v): i for i, v in enumerate(np.argwhere(mask))}

    def darkest(voxel):
        around = [voxel, *(tuple(np.add(voxel, offset)) for offset in NEIGHBOURS)]
        return min((v for v in around if v in order), key=lambda v: (values[v], order[v]))

    ends = []
    for voxel in order:
        while (after := darkest(voxel)) != voxel:
            voxel = after
        ends.append(order[voxel])
    return ends


@pytest.mark.parametrize("levels", [3, 1000])
def test_sliding_is_what_one_step_after_the_other_gives(levels):
    """Also with many equal values."""
    rng = np.random.default_rng(levels)
    values = rng.integers(0, levels, (5, 6, 7)).astype(np.float32)
    mask = rng.uniform(size=values.shape) < 0.7
    places, end = slide(values, mask)
    assert np.array_equal(places, np.argwhere(mask))
    assert end.tolist() == slides_by_hand(values, mask)


def test_all_of_a_bowl_slides_to_its_middle_and_nothing_leaves_the_mask():
    z, y, x = np.indices((9, 9, 9)) - 4
    bowl = (z**2 + y**2 + x**2).astype(np.float32)
    places, end = slide(bowl, np.ones(bowl.shape, bool))
    assert len(np.unique(end)) == 1
    assert places[end[0]].tolist() == [4, 4, 4]
    halves = np.ones(bowl.shape, bool)
    halves[4] = False
    assert len(np.unique(slide(bowl, halves)[1])) == 2
    flat = slide(np.zeros((3, 4, 5), np.float32), np.ones((3, 4, 5), bool))[1]
    assert flat.tolist() == [0] * 60
    assert slide(bowl, np.zeros(bowl.shape, bool))[1].size == 0


def chest():
    """(40, 60, 80) HU at 3 mm: a body in air, two lungs, a vessel in each and a dense bay."""
    values = np.full((40, 60, 80), -1000, np.int16)
    values[:, 5:55, 5:75] = 40
    values[:, 12:48, 10:36] = values[:, 12:48, 44:70] = -850
    values[:, 28:31, 20:23] = 350  # vessels
    values[:, 28:31, 55:58] = 50
    return values


def test_lungs_have_their_vessels_and_no_air_from_outside():
    step = (3.0, 3.0, 3.0)
    field = lungs.find_lungs(chest(), step)
    whole = field.mask(tuple(slice(0, n) for n in chest().shape))
    assert whole[chest() == -850].all()
    assert whole[:, 28:31, 20:23].all()
    assert whole[:, 28:31, 55:58].all()
    assert not whole[:, :5].any()
    assert not whole[:, :12, 20].any()
    box = field.box()
    assert [(b.start, b.stop) for b in box][1:] == [(12, 48), (10, 70)]
    assert whole.mean() == pytest.approx(2 * 36 * 26 / (60 * 80), rel=0.2)


def lungs_of(values, step=(3.0, 3.0, 3.0)):
    return lungs.find_lungs(values, step).mask(tuple(slice(0, n) for n in values.shape))


def test_lungs_in_a_volume_that_is_filled_up_are_the_same():
    """The air beyond a scan leads from the lungs' cut ends to the sides."""
    padded = np.pad(chest(), ((3, 4), (5, 2), (1, 7)), constant_values=AIR)
    expected = np.pad(lungs_of(chest()), ((3, 4), (5, 2), (1, 7)))
    assert np.array_equal(lungs_of(padded), expected)
    assert expected.any()


def test_a_lung_that_ends_at_the_border_of_what_was_scanned_is_a_lung():
    values = chest()
    z, y, x = np.indices(values.shape)
    cut = x + z < 30  # through the right lung in many slices, as in a volume that was turned
    values[cut] = AIR
    found = lungs_of(values)
    assert found[(values == -850) & ~cut].mean() > 0.98
    assert not found[cut].all()


def test_a_slice_in_which_a_lung_meets_the_air_outside_costs_no_lung():
    """A breath during one rotation."""
    values = chest()
    values[20, 25, :36] = -900
    found = lungs_of(values)
    assert found[chest() == -850].mean() > 0.99


def test_a_volume_without_lungs_has_no_candidates():
    for value in (40, -1000):
        found = find_candidates(np.full((20, 30, 30), value, np.int16), (2.0, 2.0, 2.0))
        assert len(found) == 0
        assert found.voxel.shape == (0, 3)


def test_the_enhancement_of_arteries():
    rng = np.random.default_rng(0)
    dense = np.concatenate([rng.normal(50, 15, 9000), rng.normal(380, 20, 3000)]).astype(np.int16)
    assert segmentation.enhancement(dense) == pytest.approx(390, abs=15)
    assert np.isnan(segmentation.enhancement(dense[:9000]))


def test_tubes_are_found_with_and_without_contrast_walls_are_not():
    values = np.full((24, 40, 40), -850, np.int16)
    values[:, 8:12, 8:12], values[:, 8:12, 26:30] = 350, 50
    values[:, 28:] = 50  # the chest's wall
    found = segmentation.tubes(values, np.ones(values.shape, bool), STEP)
    assert found[6:18, 9:11, 9:11].all()
    assert found[6:18, 9:11, 27:29].all()
    assert found[6:18, 28:, 6:34].mean() < 0.05
    assert found[6:18, 14:24].mean() < 0.05


def test_the_second_derivative_of_a_parabola():
    z, y, x = np.indices((21, 21, 21)).astype(np.float32)
    values = -1.5 * (y - 10) ** 2 - 0.5 * (x * 0.5 - 5) ** 2
    inside = np.zeros(values.shape, bool)
    inside[10, 10, 10] = True
    matrix = segmentation.hessian(values, inside, 1.5, (1.0, 1.0, 0.5))[0]
    assert np.allclose(matrix, np.diag([0, -3, -1]), atol=0.15)


@pytest.mark.parametrize("level", [-1.5, 0.0, 0.7])
def test_two_eigenvalues_below_a_level_by_the_eigenvalues_themselves(level):
    """Also of matrices with equal eigenvalues and with zeros."""
    rng = np.random.default_rng(4)
    matrices = rng.normal(size=(5000, 3, 3)).astype(np.float32)
    matrices += matrices.transpose(0, 2, 1)
    equal = [np.diag(values) for values in ((-2, -2, -2), (-2, -2, 3), (-2, 0, 0), (0, 0, 0), (1, 1, 1), (-2, 3, 3))]
    every = np.concatenate([matrices, np.array(equal, np.float32)])
    expected = np.linalg.eigvalsh(every)[:, 1] < level
    assert np.array_equal(segmentation.two_below(every, level), expected)
    assert expected.any() and not expected.all()


def test_ends_near_a_larger_one_give_it_their_volume():
    places = np.array([[0, 0, 0], [0, 0, 3], [0, 0, 9], [0, 0, 6]])
    kept, volume = merged(places, np.array([5.0, 9.0, 2.0, 1.0]), STEP)
    assert kept.tolist() == [[0, 0, 3], [0, 0, 9]]
    assert volume.tolist() == [15.0, 2.0]


def test_candidates_lie_apart_and_the_best_are_kept():
    places = np.array([[0, 0, 0], [0, 0, 11], [0, 0, 22], [0, 0, 60]])
    rows = spread(places, np.array([1.0, 3.0, 2.0, 0.5]), STEP)
    assert rows.tolist() == [1, 3]
    assert spread(places, np.array([1.0, 3.0, 2.0, 0.5]), (1.0, 1.0, 2.0)).tolist() == [1, 2, 0, 3]


def test_shares_of_a_ball_by_hand():
    rng = np.random.default_rng(2)
    mask, step, radius = rng.uniform(size=(9, 10, 11)) < 0.4, (1.5, 1.0, 0.8), 3.0
    voxel = np.array([[4, 5, 5], [0, 2, 10]])
    for place, share in zip(voxel, share_around(mask, voxel, step, radius), strict=True):
        seen = [
            mask[tuple(np.clip(place + offset, 0, np.array(mask.shape) - 1))]
            for offset in np.argwhere(np.ones((9, 9, 9))) - 4
            if np.linalg.norm(offset * step) <= radius
        ]
        assert share == pytest.approx(np.mean(seen))


def test_cells_are_means_of_the_voxels_in_them_and_coarse_axes_stay():
    rng = np.random.default_rng(3)
    values = rng.integers(-900, 500, (7, 12, 9)).astype(np.int16)
    cells = coarsened(values, (2.0, 0.5, 0.9))
    assert cells.step == pytest.approx((2.0, GRID, GRID))
    assert cells.values.shape == (7, 4, 6)
    fine = np.repeat(np.repeat(values.astype(float), 10, axis=1), 18, axis=2)  # of 0.05 mm
    expected = fine[:, :100, :150].reshape(7, 4, 25, 6, 25).mean(axis=(2, 4))
    assert np.abs(cells.values - expected).max() <= 0.51
    middles = cells.voxels([[3, 0, 0], [0, 3, 5]])
    assert middles.tolist() == [[3, 1, 0], [0, 8, 7]]
    mask = values > 0
    assert np.array_equal(cells.mask(mask)[3], mask[3][[1, 3, 6, 8]][:, [0, 2, 3, 4, 6, 7]])
    assert np.array_equal(coarsened(values, (2.0, 1.25, 1.3)).values, values)


def small_chest():
    """(40, 72, 96) HU at 1.25 mm, as a scanner of that sharpness shows two lungs with vessels, and its two clots."""
    from scipy.ndimage import gaussian_filter

    z, y, x = np.indices((40, 72, 96))
    values = np.full(z.shape, -1000.0)
    values[:, 4:68, 4:92] = 40
    values[:, 10:62, 8:44] = values[:, 10:62, 52:88] = -850
    for row in (20, 36, 52):
        for column in (17, 34, 62, 79):
            values[np.hypot(y - row, x - column) <= 2 + (row == 36)] = 350
    labels = np.zeros(z.shape, np.int32)
    for number, column in enumerate((34, 62), start=1):
        labels[(np.hypot(y - 36, x - column) <= 1.5) & (np.abs(z - 20) < 4)] = number
    values[labels > 0] = 50
    seen = gaussian_filter(values, 0.5) + np.random.default_rng(0).normal(0, 12, z.shape)
    return np.rint(seen).astype(np.int16), labels


@pytest.mark.parametrize(
    "spacing",
    [(1.25, 1.25, 1.25), (0.7, 0.7, 1.0), (0.7, 0.7, 1.5), (0.4, 0.55, 0.6), (1.25, 1.25, 0.6), (1.6, 1.6, 1.6)],
)
def test_the_candidates_are_the_clots_at_any_spacing(spacing):
    """Of the same volume, resampled; where edges are wider than voxels, they are not dark hollows."""
    values, labels = small_chest()
    size = labels.shape
    own = Geometry(size, (1.25, 1.25, 1.25))
    z, y, x = (int((n - 1) * 1.25 / s + 1e-9) + 1 for n, s in zip(size, spacing[::-1], strict=True))
    target = Geometry((z, y, x), spacing)
    found = find_candidates(resampled(values, own, target), target.step)
    hits = clot_in_mask(labels, own, target.to_patient(found.voxel))
    assert sorted(hits) == [1, 2]


def vessel_with(defect, seed=0):
    """(40, 40, 60) at 1 mm: a lung with an enhanced vessel along x; `defect` of (z, y, x) becomes a clot."""
    rng = np.random.default_rng(seed)
    z, y, x = np.indices((40, 40, 60))
    values = np.full(z.shape, -850.0)
    values[np.hypot(z - 20, y - 20) <= 5] = 350
    values[defect(z, y, x)] = 50
    return np.rint(values + rng.normal(0, 12, values.shape)).astype(np.int16)


@pytest.mark.parametrize(
    "defect",
    [
        lambda z, y, x: (np.hypot(z - 20, y - 20) <= 2.5) & (np.abs(x - 30) < 6),
        lambda z, y, x: (np.hypot(z - 20, y - 20) <= 5) & (y > 20) & (np.abs(x - 30) < 6),
        lambda z, y, x: (np.hypot(z - 20, y - 20) <= 5) & (np.abs(x - 30) < 6),
    ],
    ids=["central", "eccentric", "occlusion"],
)
def test_the_first_candidate_is_the_clot(defect):
    values = vessel_with(defect)
    vessels = segmentation.find_vessels(values, np.ones(values.shape, bool), STEP)
    found = candidates.candidates_in(values, vessels, STEP)
    z, y, x = np.indices(values.shape)
    assert defect(z, y, x)[tuple(found.voxel[0])]
    assert (np.diff(found.score) <= 0).all()


def test_a_web_is_dark_and_the_edge_of_a_vessel_is_not():
    from scipy.ndimage import gaussian_filter

    z, y, x = np.indices((40, 40, 60))
    web = (np.hypot(z - 20, y - 20) <= 5) & (np.abs(y - 20) <= 1) & (np.abs(x - 30) < 4)
    for values, low, high in (
        (vessel_with(lambda z, y, x: web), 0, 175),
        (vessel_with(lambda z, y, x: web & False), 175, 400),
    ):
        blurred = np.rint(gaussian_filter(values.astype(np.float32), 0.7)).astype(np.int16)
        vessel = blurred > segmentation.DENSE
        assert low < candidates.potential_of(blurred, STEP)[vessel].min() < high


def test_a_well_filled_vessel_alone_has_no_dark_hollow():
    values = np.full((20, 20, 20), 350, np.int16)
    inside = np.ones(values.shape, bool)
    vessels = segmentation.Vessels(inside, 350.0, inside)
    assert len(candidates.candidates_in(values, vessels, STEP)) == 0
    nothing = segmentation.Vessels(~inside, float("nan"), inside)
    assert len(candidates.candidates_in(values, nothing, STEP)) == 0


def test_no_more_candidates_than_asked_for_and_the_best_of_them():
    values = vessel_with(lambda z, y, x: (np.hypot(z - 20, y - 20) <= 2.5) & (np.abs(x - 30) < 6))
    vessels = segmentation.find_vessels(values, np.ones(values.shape, bool), STEP)
    every = candidates.candidates_in(values, vessels, STEP, 10_000)
    few = candidates.candidates_in(values, vessels, STEP, 2)
    assert len(few) == min(2, len(every))
    assert np.array_equal(few.voxel, every.voxel[: len(few)])


def test_a_clot_of_the_phantom_is_among_the_candidates():
    """The largest of three."""
    size = Size(pixel=2.0, height=90.0, thickness=1.5, thinnest=3.0)
    phantom = draw_phantom(np.random.default_rng(11), size, clots=3)
    found = find_candidates(phantom.values, phantom.geometry.step)
    hits = clot_in_mask(phantom.labels.astype(np.int32), phantom.geometry, phantom.geometry.to_patient(found.voxel))
    largest = int(np.bincount(phantom.labels.ravel())[1:].argmax()) + 1
    assert len(found) <= candidates.MOST
    assert largest in hits
