"""The far wall, roughly: below the darkest wide band, the deeper of two, in every column; and on real scans."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from pycaffe_ext.data.boundaries import ucy
from pycaffe_ext.data.boundaries.burned_in import Marks
from pycaffe_ext.detector.walls.far_wall import best_path, find_far_wall, mean_of_rows
from pycaffe_ext.detector.walls.gradients import fitted_offsets

SHARED = Path(__file__).parents[4] / "shared" / "data" / "ucy-imt"
MM = 0.1


def scan(slope=0.0):
    """Muscle, a dim vein from 4 to 8 mm, 2 mm of bright wall, a black lumen from 10 to 16 mm, the far wall."""
    rows = (np.arange(250) * MM)[:, None] - slope * np.arange(120)[None, :] * MM
    grey = np.full(rows.shape, 60.0)
    grey[(rows >= 4) & (rows < 8)] = 25
    grey[(rows >= 8) & (rows < 10)] = 160
    grey[(rows >= 10) & (rows < 16)] = 3
    grey[rows >= 16] = 140
    grey[rows >= 18] = 50
    return np.random.default_rng(0).poisson(grey).astype(np.uint8)


def whole(grey, view=None):
    return Marks(np.zeros(grey.shape, bool), view or (0, grey.shape[0], 0, grey.shape[1]))


@pytest.mark.parametrize("slope", [0.0, 0.2, -0.2])
def test_the_far_wall_is_found_below_the_lumen_not_below_the_vein(slope):
    grey = scan(slope)
    wall = find_far_wall(grey, whole(grey), MM)
    assert wall.x.tolist() == list(range(120))
    assert np.abs(wall.li * MM - 16 - slope * wall.x * MM)[5:-5].max() < 0.4
    top, height = wall.region(MM)
    assert np.allclose(top, wall.li - 12)
    assert height == 37


def test_only_columns_with_tissue_are_looked_at():
    grey = scan()
    wall = find_far_wall(grey, whole(grey, (10, 240, 20, 90)), MM)
    assert wall.x.tolist() == list(range(20, 90))
    assert np.abs(wall.li * MM - 16).max() < 0.4


def test_an_image_that_is_too_low():
    grey = scan()
    with pytest.raises(ValueError, match="shows 4.0 mm of tissue by its 0.1 mm per pixel; lumen and far wall need 6.1"):
        find_far_wall(grey, whole(grey, (0, 40, 0, 120)), MM)


@pytest.mark.parametrize("seed", range(6))
def test_no_other_path_is_better(seed):
    values = np.random.default_rng(seed).normal(size=(4, 5))

    def worth(path):
        steps = np.abs(np.diff(path))
        return values[path, np.arange(5)].sum() - 0.4 * steps.sum() if steps.max() <= 1 else -np.inf

    best = max(worth(np.array(path)) for path in product(range(4), repeat=5))
    assert worth(best_path(values, 0.4)) == pytest.approx(best)


def test_means_of_rows_are_cut_off_at_the_border():
    values = np.arange(6.0)[:, None]
    assert mean_of_rows(values, 1, 3).ravel().tolist() == [1.5, 2.5, 3.5, 4.5, 5, 0]
    assert mean_of_rows(values, -2, 0).ravel().tolist() == [0, 0, 0.5, 1.5, 2.5, 3.5]


def test_offsets_are_the_median_images():
    signed = [(np.array([-100.0, np.nan]), np.array([50.0, 70])), (np.array([-200.0]), np.array([0.0]))]
    signed.append((np.array([-900.0]), np.array([10.0])))
    assert fitted_offsets(signed) == (pytest.approx(0.2), pytest.approx(-0.01))


@pytest.mark.skipif(not SHARED.exists(), reason="the IMT database is not beside the checkout")
def test_real_scans_have_both_boundaries_in_the_region():
    """Every sixth image; in all 76 every column is."""
    for image in sorted(ucy.find(SHARED), key=lambda image: image.name)[::6]:
        curves = image.curves()
        wall = find_far_wall(*image.scan(), image.mm_per_pixel)
        top, height = wall.region(image.mm_per_pixel)
        at = curves.x - wall.x[0]
        assert (curves.li > top[at]).all(), image.name
        assert (curves.ma < top[at] + height - 1).all(), image.name
