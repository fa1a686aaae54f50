"""The places of an image that are looked at, what is known of their columns, and the baseline there.

Where they lie comes from the image alone; where an expert drew, only the columns between the first and the last drawn
one are taken, because no other can be judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pycaffe_ext.data.boundaries import WallImage, lattice
from pycaffe_ext.data.boundaries.lattice import Lattice
from pycaffe_ext.data.items import Floats, Ints, Samples
from pycaffe_ext.detector.walls import gradients
from pycaffe_ext.detector.walls.far_wall import ABOVE, BELOW, FarWall, find_far_wall
from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.boundary_errors import column_errors

EDGES = slice(5, 7)  # columns of an image's table
STRONG, LEAST = 99, 1e-6  # percentile of an image's edges that counts as 1, and what it is at least


@dataclass(frozen=True)
class Wall:
    """An image's places, and what is known of its columns.

    truth, baseline : (K, 2) rows in pixels.   edges : (K rows, 2) how much the image itself looks like the lumen-intima
    and the media-adventitia boundary at the places; their 99th percentile is 1.
    """

    places: Lattice
    truth: Floats
    baseline: Floats
    edges: Floats


def far_wall_of(item: WallImage) -> FarWall:
    """Where the far wall is, roughly; raises UserError that names the image if it cannot be there."""
    grey, marks = item.scan()
    try:
        return find_far_wall(grey, marks, item.mm_per_pixel)
    except ValueError as error:
        raise UserError(f"{item.path}: {error}") from None


def wall_of(item: WallImage) -> Wall:
    """The places of an image, in the columns where something was drawn, or in all; baseline and edges not `moved`."""
    grey, marks = item.scan()
    wall, mm = far_wall_of(item), item.mm_per_pixel
    places = lattice.lattice_along(wall.x, wall.li, mm, ABOVE, BELOW)
    curves = item.curves()
    if curves is not None:
        places = places.inside(float(curves.x[0]), float(curves.x[-1]), mm)
    x = places.columns_x(mm)
    edges = gradients.edges_along(grey, wall, mm)
    baseline = [np.interp(x, wall.x, rows) for rows in gradients.baseline(edges, mm)]
    seen = _edges_at(edges, wall, *lattice.in_pixels(*places.places(), mm))
    return Wall(places, lattice.truth_at(curves, x, marks.valid(), mm), np.column_stack(baseline), seen)


def _edges_at(edges: tuple[Floats, Floats, Floats], wall: FarWall, x: Floats, y: Floats) -> Floats:
    from scipy.ndimage import map_coordinates  # here: it takes a while to load

    top, *both = edges
    at = [y - np.interp(x, wall.x, top), x - wall.x[0]]
    found = np.column_stack([map_coordinates(one, at, order=1, mode="nearest") for one in both])
    return np.asarray(found / np.maximum(np.percentile(found, STRONG, axis=0), LEAST), np.float64)


def edges_of(samples: Samples) -> Floats:
    """(n, 2) Wall.edges of samples that `samples_of` made."""
    if samples.measures is None:
        raise ValueError("samples without measures")
    return samples.measures[:, EDGES]


def offsets_of(train: Sequence[tuple[WallImage, Wall]]) -> tuple[float, float]:
    """The baseline's, from the images in which something is judged; raises UserError if there is none."""
    known = [(image, wall) for image, wall in train if np.isfinite(wall.truth).all(axis=1).any()]
    if not known:
        raise UserError(
            f"no column of {len(train)} training images can be judged: graphics lie on the wall in every one; give"
            " images without callipers"
        )
    return gradients.fitted_offsets([_signed(image, wall) for image, wall in known])


def _signed(image: WallImage, wall: Wall) -> tuple[Floats, Floats]:
    li, ma = (column_errors(wall.baseline[:, i], wall.truth[:, i], image.mm_per_pixel) for i in (0, 1))
    return li, ma


def moved(wall: Wall, offsets: Sequence[float], image: WallImage) -> Wall:
    """Baseline and edges where the boundaries are that they are signs of: `offsets` mm below."""
    from scipy.ndimage import shift  # here: it takes a while to load

    by_row = wall.edges.reshape(-1, wall.places.rows, 2)
    edges = [shift(by_row[..., i], (0, down / lattice.STEP), order=1, mode="nearest") for i, down in enumerate(offsets)]
    baseline = wall.baseline + np.array(offsets) / image.mm_per_pixel
    return replace(wall, baseline=baseline, edges=np.stack(edges, axis=-1).reshape(-1, 2))


def judged(wall: Wall) -> Wall:
    """Only the columns whose boundaries are known."""
    kept, places = np.isfinite(wall.truth).all(axis=1), wall.places
    left = Lattice(places.column[kept], places.first[kept], places.rows)
    return Wall(left, wall.truth[kept], wall.baseline[kept], wall.edges[np.repeat(kept, places.rows)])


def samples_of(images: Sequence[WallImage], walls: Sequence[Wall]) -> Samples:
    """Every place a sample, of the class of the boundary that it is near to."""
    tables = [_table(image, wall) for image, wall in zip(images, walls, strict=True)]
    place, measures, label = (np.concatenate([table[i] for table in tables]) for i in range(3))
    counts = [len(table[2]) for table in tables]
    return Samples(
        item=np.repeat(np.arange(len(images)), counts),
        number=np.concatenate([np.arange(count) for count in counts]),
        place=place.astype(np.float32),
        label=label.astype(np.int32),
        target=np.zeros(len(label), np.int64),
        targets=np.zeros(len(images), np.int64),
        measures=measures,
    )


def _table(image: WallImage, wall: Wall) -> tuple[Floats, Floats, Ints]:
    """Places, measures and labels of an image."""
    mm, rows = image.mm_per_pixel, wall.places.rows
    x, y = lattice.in_pixels(*wall.places.places(), mm)
    of_column = np.column_stack([wall.truth, wall.baseline, np.full(len(wall.truth), mm)])
    measures = np.column_stack([np.repeat(of_column, rows, axis=0), wall.edges])
    return np.column_stack([x, y]), measures, lattice.labels_of(y, measures[:, :2], mm, image.near_mm)
