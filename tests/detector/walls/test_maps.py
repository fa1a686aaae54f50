"""Curves from the probabilities of places on the lattice, and the choice of their regulariser."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pycaffe_ext.data.boundaries.image import WallImage
from pycaffe_ext.data.boundaries.lattice import ACROSS, Lattice
from pycaffe_ext.detector.walls import maps
from pycaffe_ext.detector.walls.places import Wall, moved
from pycaffe_ext.detector.walls.regulariser import Regulariser
from pycaffe_ext.errors import UserError

ROWS = 30


def scored(li, ma, first, width=1.0):
    """Places of len(li) columns from the rows `first` on, and logarithms of probabilities, highest at both curves."""
    column = np.repeat(np.arange(5, 5 + len(li)), ROWS)
    row = (np.asarray(first)[:, None] + np.arange(ROWS)).ravel()
    bumps = [np.exp(-(((row - np.repeat(curve, ROWS)) / width) ** 2) / 2) * 0.9 for curve in (li, ma)]
    return column, row, np.log(np.maximum(np.column_stack(bumps) / 2, maps.LEAST))


def test_curves_are_found_between_the_rows():
    x = np.arange(20)
    li, ma = 40.3 + 0.2 * x, 47.6 + 0.2 * x
    first = np.floor(li).astype(int) - 12
    found = maps.curves_from(*scored(li, ma, first), Regulariser(slope=0.05, parallel=0.05, smooth=0.0))
    assert found.shape == (20, 2)
    assert np.abs(found - np.column_stack([li, ma])).max() < 0.35
    assert np.abs(found - np.column_stack([li, ma])).mean() < 0.12


def test_columns_that_were_left_out_change_nothing_far_from_them():
    x = np.arange(20)
    li, ma = np.full(20, 40.0), np.full(20, 48.0)
    column, row, evidence = scored(li, ma, np.full(20, 30))
    kept = (column < 10) | (column > 13)
    found = maps.curves_from(column[kept], row[kept], evidence[kept], Regulariser())
    assert len(found) == 16 and np.abs(found - [40, 48]).max() < 0.1
    assert x.size == 20


def test_a_single_column_and_a_column_without_evidence():
    found = maps.curves_from(*scored([40.0], [47.0], [30]), Regulariser())
    assert found == pytest.approx(np.array([[40, 47]]), abs=0.1)
    column, row, evidence = scored(np.full(9, 40.0), np.full(9, 47.0), np.full(9, 30))
    evidence[column == 9] = np.log(maps.LEAST)
    assert maps.curves_from(column, row, evidence, Regulariser())[4] == pytest.approx([40, 47], abs=0.3)


def test_lines_between_columns():
    values = np.array([[0.0, 10, 40]])
    at = np.array([0, 2, 5])
    assert maps._between(values, at, np.arange(6)).tolist() == [[0, 5, 10, 20, 30, 40]]
    assert maps._between(values[:, :1], at[:1], np.arange(1)).tolist() == [[0]]
    assert ACROSS >= 1


def test_the_finder_with_the_least_error_over_images_is_chosen():
    """Every image counts the same, however many of its columns are known."""
    true = np.array([[4.0, 5], [np.nan, np.nan], [4, 5]])
    errors = {0.1: (0.4, 0.0), 0.5: (0.8, 0.9), 3.0: (0.1, 0.1), 10.0: (0.3, 0.1)}

    def pairs(choice):
        few, many = errors[choice.regulariser.slope]
        return [(true + few + choice.edges, true), (np.tile(true, (9, 1)) - many, np.tile(true, (9, 1)))]

    tried = maps.errors(pairs)
    chosen = maps.best(tried)
    assert list(tried) == list(maps.CHOICES)
    assert (chosen.regulariser.slope, chosen.regulariser.smooth, chosen.edges) == (3.0, 0.3, 0.0)
    assert tried[chosen] == pytest.approx(0.1)
    assert maps.Finder.of(json.loads(json.dumps(chosen.record()))) == chosen
    with pytest.raises(ValueError, match="no column"):
        maps.errors(lambda choice: [(true, np.full_like(true, np.nan))])


def probabilities(places):
    """The same places with (n, 3) probabilities."""
    column, row, evidence = places
    both = np.exp(evidence)
    return column, row, np.column_stack([1 - both.sum(axis=1), both])


def test_curves_go_to_the_images_edges_as_far_as_these_count():
    """The net's maxima are broad and lie a row beside the edges, which are sharp."""
    flat = np.full(12, 30)
    column, row, probability = probabilities(scored(np.full(12, 40.0), np.full(12, 48.0), flat, width=3.0))
    sharp = np.exp(scored(np.full(12, 41.0), np.full(12, 47.0), flat, width=0.7)[2]) * 2
    found = [maps.Finder(edges=weight).curves(column, row, probability, sharp).mean(axis=0) for weight in (0, 1, 10)]
    assert found[0] == pytest.approx([40, 48], abs=0.1)
    assert found[2] == pytest.approx([41, 47], abs=0.1)
    assert 40 < found[1][0] <= 41 and 47 <= found[1][1] < 48


def test_what_an_earlier_version_chose_is_refused():
    record = maps.Finder(edges=3.0).record()
    assert maps.Finder.of(record).edges == 3.0
    for old in ({**record, "offsets_mm": [0.0, 0.1]}, {name: record[name] for name in record if name != "edges"}):
        with pytest.raises(UserError, match="an earlier version found boundaries in another way; remove the run"):
            maps.Finder.of(old)


def test_edges_move_with_the_baseline():
    """An edge 2.5 rows above the boundary that it is a sign of."""
    rows = np.arange(ROWS)
    peaks = [np.maximum(1 - np.abs(rows - at) / 4, 0) for at in (10, 20)]
    edges = np.tile(np.column_stack(peaks), (2, 1))
    baseline = np.array([[100.0, 110], [101, 111]])
    wall = Wall(Lattice(np.array([3, 4]), np.array([50, 51]), ROWS), np.full((2, 2), np.nan), baseline, edges)
    found = moved(wall, (0.25, -0.1), WallImage("a", "a", "", Path("a.png"), 0.05))
    assert found.baseline.tolist() == [[105.0, 108.0], [106.0, 109.0]]
    li, ma = found.edges.reshape(2, ROWS, 2)[1].T
    assert li[12] == li[13] == pytest.approx(0.875) and ma.argmax() == 19 and ma[19] == 1
