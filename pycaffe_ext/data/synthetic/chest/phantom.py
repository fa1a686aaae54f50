"""A patient of the phantom, and a data set of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data.synthetic.chest import artefacts, body, emboli, scanner
from pycaffe_ext.data.synthetic.chest.body import CARINA, HILUM, LUNG_POINTS, TRUNK, Body, Contrast
from pycaffe_ext.data.synthetic.chest.emboli import Embolus
from pycaffe_ext.data.synthetic.chest.raster import Field, Grid, mix, paint_tree
from pycaffe_ext.data.synthetic.chest.tree import Floats, Tree, grow, joined
from pycaffe_ext.data.volumes import image_files
from pycaffe_ext.data.volumes.geometry import AIR, Geometry, Hounsfield
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import writing_folder
from pycaffe_ext.processes import map_processes

ROOT = {"right": 9.5, "left": 9.0}  # mm, radius of a lung's artery
VEIN = 6.5  # mm, radius of a lung's vein
BRONCHUS = 6.0
THINNEST_AIRWAY = 1.6
MUCUS = (0, 4)  # bronchi that are filled
SCANNED = 3.0  # mm below the outer voxels in which clots begin
MASKED = 0.5  # of a voxel that a clot fills if it is in the mask


@dataclass(frozen=True)
class Size:
    """pixel : mm in a slice.   width, depth, height : mm of the part of the chest that is scanned.
    thickness : mm of slices, which follow each other without a gap; None = 0.6 to 1.5, drawn for each patient.
    thinnest : mm, diameter of the last arteries."""

    pixel: float = 1.25
    width: float = 290.0
    depth: float = 190.0
    height: float = 170.0
    thickness: float | None = None
    thinnest: float = 1.0


USUAL = Size()


@dataclass(frozen=True)
class Phantom:
    """values : (z, y, x) int16 HU.   labels : (z, y, x) uint8, numbers of the clots from 1, 0 = none.
    emboli : clot number i + 1 is the i-th.   arteries : the tree in mm of the phantom, to which `geometry` leads."""

    values: Hounsfield
    labels: NDArray[np.uint8]
    geometry: Geometry
    emboli: list[Embolus]
    arteries: Tree = field(repr=False)


def draw_phantom(rng: np.random.Generator, size: Size = USUAL, clots: int | None = None) -> Phantom:
    """A patient; the same state of `rng`, the same one.   clots : how many, None = as patients have them."""
    scan = scanner.draw_scanner(rng, thickness=size.thickness)
    grid = _grid(size, scan.thickness)
    shape = body.draw_body(rng)
    contrast = _draw_contrast(rng)
    arteries = _grow(shape, ROOT, HILUM, TRUNK, size.thinnest / 2, rng)
    count = emboli.draw_count(rng) if clots is None else clots
    inside = grid.holds(arteries.start, SCANNED) & grid.holds(arteries.end, SCANNED)
    found = emboli.draw_emboli(arteries, emboli.draw_volumes(count, rng), inside, rng)
    values = _surroundings(grid, shape, contrast, arteries, size, rng)
    labels = _paint_arteries(values, grid, arteries, found, contrast, rng)
    artefacts.paint_beam_hardening(values, grid, contrast.cava, rng)
    seen = scanner.scanned(artefacts.moved(values, grid, rng), grid, scan, rng)
    geometry = Geometry(grid.shape, (size.pixel, size.pixel, scan.thickness), grid.low)
    kept = [i for i in range(len(found)) if (labels == i + 1).any()]
    numbers = np.zeros(len(found) + 1, np.uint8)
    numbers[[i + 1 for i in kept]] = np.arange(1, len(kept) + 1)
    whole = np.rint(np.clip(seen, AIR, 3071)).astype(np.int16)
    return Phantom(whole, numbers[labels], geometry, [found[i] for i in kept], arteries)


def write_phantom(
    folder: str | Path, patients: int = 24, seed: int = 0, workers: int = 2, progress: bool = True, size: Size = USUAL
) -> None:
    """Write volumes/PATIENT.nii.gz and masks/PATIENT.nii.gz, whole or not at all; the same seed, the same bytes.

    The layout is that of `data.volumes.folder`; a mask has a value for each clot.  Raises UserError for fewer than one.
    """
    if patients < 1:
        raise UserError(f"phantom: {patients} patients; at least 1")
    with writing_folder(folder) as part:
        for name in ("volumes", "masks"):
            (part / name).mkdir()
        work = partial(_write_patient, part, seed, size)
        list(map_processes(work, range(patients), "phantom", workers, progress, unit="patient", chunk=1))


def _write_patient(folder: Path, seed: int, size: Size, number: int) -> None:
    phantom = draw_phantom(np.random.default_rng([seed, number]), size)
    for place, array in (("volumes", phantom.values), ("masks", phantom.labels)):
        image_files.write(folder / place / f"patient{number:03d}.nii.gz", array, phantom.geometry)


def _grid(size: Size, thickness: float) -> Grid:
    lengths, step = (size.height, size.depth, size.width), (thickness, size.pixel, size.pixel)
    z, y, x = (max(round(a / s), 8) for a, s in zip(lengths, step, strict=True))
    low = [-(n - 1) / 2 * s for n, s in zip((x, y, z), step[::-1], strict=True)]
    return Grid((z, y, x), step, (low[0], low[1], low[2] + 2.0))


def _draw_contrast(rng: np.random.Generator) -> Contrast:
    artery = float(rng.uniform(280, 480))
    return Contrast(
        artery, float(artery * rng.uniform(0.55, 0.9)), float(rng.uniform(450, 900)), float(rng.uniform(140, 320))
    )


def _grow(
    shape: Body,
    radii: dict[str, float],
    hilum: dict[str, tuple[float, float, float]],
    root: tuple[float, float, float],
    thinnest: float,
    rng: np.random.Generator,
    points: int = LUNG_POINTS,
) -> Tree:
    """Both lungs' trees, each with a stem from `root` to its hilum."""
    trees = []
    for side, radius in radii.items():
        start, end = np.array(root), np.array(hilum[side])
        stem = _stem(start, end, radius)
        way = end - start + np.array([0.0, 0.0, rng.uniform(-18, -4)])
        tissue = body.lung_points(shape, side, points, rng)
        grown = grow(tissue, end, way, radius, thinnest, rng)
        trees.append(_attached(stem, grown))
    return joined(trees)


def _stem(start: Floats, end: Floats, radius: float) -> Tree:
    zero = np.zeros(1, np.int64)
    return Tree(start[None], end[None], np.array([[radius, radius]]), zero - 1, zero)


def _attached(stem: Tree, tree: Tree) -> Tree:
    """The tree behind the stem's only segment."""
    whole = joined([stem, tree])
    parent = whole.parent.copy()
    parent[1:][tree.parent < 0] = 0
    return Tree(whole.start, whole.end, whole.radius, parent, whole.order)


def _surroundings(
    grid: Grid, shape: Body, contrast: Contrast, arteries: Tree, size: Size, rng: np.random.Generator
) -> Field:
    """Everything but the arteries of the lungs."""
    values, _ = body.paint_body(grid, shape, rng)
    body.paint_heart(values, grid, shape, contrast)
    body.paint_large_vessels(values, grid, contrast)
    veins = _grow(
        shape,
        {"right": VEIN, "left": VEIN},
        {"right": (-26.0, 4.0, -22.0), "left": (30.0, 4.0, -18.0)},
        (6.0, 2.0, -26.0),
        max(0.7, size.thinnest / 2),
        rng,
        LUNG_POINTS // 3,
    )
    lumen = np.zeros(grid.shape, np.float32)
    paint_tree(lumen, grid, veins)
    mix(values, lumen, contrast.vein)
    body.paint_airways(values, grid, *_airways(arteries, rng))
    artefacts.paint_nodes(values, grid, artefacts.draw_nodes(arteries, rng), rng)
    return values


def _airways(arteries: Tree, rng: np.random.Generator) -> tuple[Tree, Tree]:
    """Bronchi that run beside the arteries, 0.7 times as wide, and those of them that are filled with mucus."""
    beside = np.flatnonzero((arteries.radius[:, 0] > THINNEST_AIRWAY) & (arteries.order > 0))
    tree = arteries.take(beside)
    way = tree.end - tree.start
    aside = np.cross(way, [0.3, 1.0, 0.2])
    aside /= np.maximum(np.linalg.norm(aside, axis=1, keepdims=True), 1e-9)
    radius = 0.7 * tree.radius
    shift = aside * (tree.radius.max(axis=1) + radius.max(axis=1) + 1.2)[:, None]
    air = Tree(tree.start + shift, tree.end + shift, radius, tree.parent, tree.order)
    full = np.zeros(len(air), bool)
    thin = np.flatnonzero(radius[:, 0] < 2.5)
    if len(thin):
        full[rng.choice(thin, min(int(rng.integers(*MUCUS, endpoint=True)), len(thin)), replace=False)] = True
    main = [_stem(np.array(CARINA), np.add(HILUM[side], (0, 10, 4)), BRONCHUS) for side in HILUM]
    return joined([*main, air.take(~full)]), air.take(full)


def _paint_arteries(
    values: Field, grid: Grid, arteries: Tree, found: list[Embolus], contrast: Contrast, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Arteries with blood and clots in place; returns (z, y, x) numbers of the clots."""
    lumen = np.zeros(grid.shape, np.float32)
    paint_tree(lumen, grid, arteries)
    parts = [emboli.paint_embolus(grid, arteries, embolus, lumen) for embolus in found]
    mix(values, lumen, contrast.artery * artefacts.flow(grid, arteries, rng))
    labels = np.zeros(grid.shape, np.uint8)
    for number, ((box, part), embolus) in enumerate(zip(parts, found, strict=True), start=1):
        mix(values[box], part, embolus.hounsfield)
        labels[box][part >= MASKED] = number
    return in_one_part(labels)


def in_one_part(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Each clot's largest 26-connected part: what is left of it in branches thinner than a voxel are crumbs of a few
    voxels, and those of a patient's only clot would be read as clots of their own."""
    from scipy.ndimage import find_objects, label  # here: it takes a while to load

    for number, box in enumerate(find_objects(labels), start=1):
        if box is None:
            continue
        own = labels[box] == number
        parts = label(own, np.ones((3, 3, 3)))[0]
        largest = np.bincount(parts[own]).argmax()
        labels[box][own & (parts != largest)] = 0
    return labels
