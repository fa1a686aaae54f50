"""Clots with a candidate, by size: which are counted, and what is said of none."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import clots
from pycaffe_ext.data.volumes.geometry import Geometry
from pycaffe_ext.detector.vessels.volumes import Found
from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.intervals import clopper_pearson


def volume(*edges: int):
    """A volume with cubes of so many voxels of 2 x 1 x 0.5 mm along each edge, numbered from 1."""
    labels = np.zeros((10, 10, 10 * len(edges)), np.int32)
    for number, edge in enumerate(edges, 1):
        labels[:edge, :edge, 10 * number - 10 : 10 * number - 10 + edge] = number
    geometry = Geometry((10, 10, 10 * len(edges)), spacing=(2.0, 1.0, 0.5))
    return SimpleNamespace(name="v", geometry=geometry, labels=lambda: labels)


def found(*clot: int) -> Found:
    rows = len(clot)
    return Found(np.zeros((rows, 6), np.float32), np.zeros(rows), np.array(clot, np.int64), 9)


def test_a_clot_is_as_large_as_a_ball_of_its_volume_and_counts_once():
    one = clots.counted([volume(2, 4), volume(5)], [found(2, 0, 2, 0), found(0)])
    assert np.allclose(np.pi / 6 * one.diameter**3, [8, 64, 125]), "cubes of 1 mm3 voxels"
    assert one.hit.tolist() == [False, True, False] and one.most == 4


def test_the_line_of_a_seed_has_each_size_with_its_exact_interval():
    one = clots.counted([volume(2, 4), volume(5)], [found(2, 0), found(1)])
    low, high = clopper_pearson(2, 3)
    lines = clots.text({7: one}).splitlines()
    assert len(lines) == 2 and lines[1].startswith("seed 7")
    assert f"2 of 3: 0.667 [{low:.3f}, {high:.3f}]" in lines[1]
    assert "2 of 2: 1.000" in lines[1] and "1 of 1: 1.000" in lines[1], (
        "cubes of 64 and 125 mm3: balls of 5.0 and 6.2 mm"
    )


def test_several_seeds_have_a_line_for_all():
    seeds = {n: clots.counted([volume(2, 6)], [found(2)]) for n in (3, 4)}
    last = clots.text(seeds).splitlines()[-1]
    assert last.startswith("all") and "2 of 4: 0.500" in last and "2 of 2: 1.000" in last


def test_no_clot_of_a_size_is_no_share():
    assert clots.text({0: clots.counted([volume(2)], [found(1)])}).splitlines()[1].count(" - ") == 2


def test_volumes_without_masks_are_refused():
    bare = SimpleNamespace(name="v", geometry=None, labels=lambda: None)
    with pytest.raises(UserError, match="v: no mask"):
        clots.counted([bare], [found()])
