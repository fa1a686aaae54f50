"""Vessels by Murray's law: radii, angles, and where they grow."""

from __future__ import annotations

import numpy as np
import pytest

from pycaffe_ext.data.synthetic.chest.tree import STRAIGHT, grow, joined, murray_angles


@pytest.fixture(scope="module")
def tree():
    rng = np.random.default_rng(3)
    points = rng.uniform((-30, -40, -50), (30, 40, 50), (3000, 3))
    return grow(points, np.array([-45.0, 0, 0]), np.array([1.0, 0, 0]), 6.0, 0.8, rng)


def forks(tree):
    """(segment, its two daughters) wherever both are thick enough to be there."""
    for i in range(len(tree)):
        found = np.flatnonzero((tree.parent == i) & (tree.order == tree.order[i] + 1))
        if len(found) == 2:
            yield i, found


def direction(tree, i):
    way = tree.end[i] - tree.start[i]
    return way / np.linalg.norm(way)


def test_angles_by_hand():
    """Two equal daughters leave at cos a = 2^(-1/3); a thin twig at nearly a right angle, its stem goes on."""
    equal = 2 ** (-1 / 3)
    assert np.degrees(murray_angles(1.0, equal, equal)) == pytest.approx([37.47, 37.47], abs=0.01)
    stem, twig = murray_angles(1.0, (1 - 0.1**3) ** (1 / 3), 0.1)
    assert np.degrees(stem) < 1
    assert np.degrees(twig) > 70


def test_radii_obey_murrays_law(tree):
    both = list(forks(tree))
    assert len(both) > 100
    for i, (a, b) in both:
        assert tree.radius[a, 0] ** 3 + tree.radius[b, 0] ** 3 == pytest.approx(tree.radius[i, 1] ** 3, rel=1e-9)


def test_daughters_leave_at_murrays_angles(tree):
    for i, (a, b) in forks(tree):
        expected = murray_angles(tree.radius[i, 1], tree.radius[a, 0], tree.radius[b, 0])
        seen = [np.arccos(np.clip(direction(tree, i) @ direction(tree, k), -1, 1)) for k in (a, b)]
        assert seen == pytest.approx(expected, abs=1e-4)


def test_the_tree_is_connected_and_tapers_to_its_thinnest(tree):
    for i in np.flatnonzero(tree.parent >= 0):
        assert np.allclose(tree.start[i], tree.end[tree.parent[i]])
        assert tree.radius[i, 0] <= tree.radius[tree.parent[i], 1] + 1e-9
    assert (tree.parent == -1).sum() == 1
    assert 0.8 <= tree.radius.min() < 0.9


def test_it_fills_the_lung(tree):
    """Most ends lie in the tissue, in each of its eight parts."""
    ends = tree.end[~np.isin(np.arange(len(tree)), tree.parent)]
    inside = (np.abs(ends) <= (33, 44, 55)).all(axis=1)
    assert inside.mean() > 0.9
    assert len({tuple(row) for row in (ends[inside] > 0).tolist()}) == 8


def test_volume_of_a_segment_and_joining(tree):
    i = int(np.argmax(tree.length))
    assert tree.volume[i] == pytest.approx(np.pi * tree.radius[i, 0] ** 2 * tree.length[i])
    both = joined([tree, tree])
    assert (both.parent[len(tree) :] >= len(tree)).sum() == len(tree) - 1
    assert np.allclose(both.start[both.parent[-1]], tree.start[tree.parent[-1]])
    assert 0 < STRAIGHT < 1
