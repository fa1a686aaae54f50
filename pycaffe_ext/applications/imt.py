"""Intima-media boundaries of the carotid artery in ultrasound (paper, section 6): three classes of pixels, two curves.

Places around the far wall, found by hand-crafted means, are classified by the patch around them: background,
lumen-intima interface, media-adventitia interface.  The probabilities of a column and its neighbours become both curves
at once (`wall_curves`).  The baseline is gradients through the same regulariser.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.applications.base import Application, Collection, as_split, check_dataset, length
from pycaffe_ext.applications.wall_curves import WallBoundaries
from pycaffe_ext.data import boundaries
from pycaffe_ext.data.boundaries import WallImage, lattice
from pycaffe_ext.data.boundaries.folder import FOLDER
from pycaffe_ext.data.boundaries.reading import SUFFIXES
from pycaffe_ext.data.boundaries.spacing import spacing_of
from pycaffe_ext.data.fixed import fixed_splits
from pycaffe_ext.data.frames import map_frames
from pycaffe_ext.data.items import Floats, Ints, Parts, Picture, Samples
from pycaffe_ext.data.sources.listing import not_taken
from pycaffe_ext.data.synthetic.artery import write_phantom
from pycaffe_ext.detector.walls import maps
from pycaffe_ext.detector.walls import places as wall_places
from pycaffe_ext.detector.walls.far_wall import ABOVE, BELOW
from pycaffe_ext.errors import UserError, known
from pycaffe_ext.evaluation.boundary_errors import mean_thickness, thickness
from pycaffe_ext.evaluation.metrics.base import Table
from pycaffe_ext.evaluation.metrics.boundaries import MEASURES, Evaluation
from pycaffe_ext.files import digest, read_json, write_json
from pycaffe_ext.report.overlay import draw_curves, with_caption
from pycaffe_ext.runs.settings import DataRequest
from pycaffe_ext.threads import one_thread_each

CLASSES = ("background", "lumen-intima", "media-adventitia")
PATIENTS, FRAMES = 24, 2  # of the phantom
PHANTOM_TEST = 0.35  # share of its images that is kept for the test
MODEL = "walls.json"  # what the baseline learnt on the training images
PATCH_MM, NEAR_MM = (1.0, 12.0), (0.02, 0.5)  # what PATCH_MM and NEAR_MM may be
THICKNESS_HEADER = ("image", "mm_per_pixel", "columns", "mean_thickness_mm", "least_mm", "most_mm")
CURVE_HEADER = ("image", "x", "li", "ma", "thickness_mm")  # pixels, but for the last


class MirrorViews:
    """A patch as it is, and mirrored left to right."""

    columns = ("mirror",)

    def __len__(self) -> int:
        return 2

    def row(self, view: int) -> tuple[int]:
        return (int(view),)


class Imt(Application[WallImage, Evaluation]):
    """Options: PATCH_MM, about the side of a patch; NEAR_MM, the distance within which a pixel is of a boundary;
    DENSE=1, in the test nets see whole regions."""

    slug = "imt"
    words = ("image", "pixel")
    places = ("x", "y")
    measures = MEASURES
    endings = SUFFIXES
    test_views = 1  # of 2: not mirrored
    views = MirrorViews()
    metric = WallBoundaries()

    def check(self, request: DataRequest) -> None:
        length(request, "patch_mm", PATCH_MM)
        length(request, "near_mm", NEAR_MM)
        self.check_test_views(request)
        check_dataset(request, boundaries.SOURCES)
        known(request.option("dense"), ("0", "1"), "DENSE")
        if self.dense(request) and request.test_views not in (None, 1):
            raise UserError(f"TEST_VIEWS={request.test_views}: DENSE=1 scores every place once; leave TEST_VIEWS= out")
        if request.data:
            boundaries.recognise(request.data, request.dataset)

    def data_name(self, request: DataRequest) -> str:
        return request.source if request.data else "an ultrasound phantom"

    def reference(self, request: DataRequest) -> str:
        return "boundaries drawn by an expert" if request.data else super().reference(request)

    def classes(self, request: DataRequest) -> tuple[str, ...]:
        return CLASSES

    def items(self, request: DataRequest, runs: Path) -> Collection:
        """Images of the user's data set, or of the phantom, which is made once."""
        if not request.data:
            return Collection(measured(phantom(runs, request.seed, PATIENTS, FRAMES), request))
        home = boundaries.recognise(request.data, request.dataset)[1]
        return as_split(self.whole(request, runs), home, lambda image: image.path, request)

    def whole(self, request: DataRequest, runs: Path) -> Collection:
        """Images of a data set, whatever its splits are."""
        if not request.data:
            return self.items(request, runs)
        images = measured(boundaries.find(request.data, request.dataset), request)
        return Collection(images, not_taken(Path(request.data), (image.path for image in images)))

    def fixed_splits(self, items: Sequence[WallImage]) -> Mapping[str, Sequence[WallImage]] | None:
        return fixed_splits(items)

    def strata(self, items: Sequence[WallImage]) -> tuple[Ints, tuple[str, ...]]:
        """One stratum: every image shows both boundaries."""
        return np.zeros(len(items), np.int64), ("images",)

    def test_fraction(self, request: DataRequest) -> float:
        return super().test_fraction(request) if request.data else PHANTOM_TEST

    def propose(self, parts: Mapping[str, Sequence[WallImage]], workspace: Path, request: DataRequest) -> Samples:
        """Places around the far wall, where the expert drew; of training and validation only judged columns.

        By how much edges lie beside the boundaries is learnt on the training images and on nothing else.
        """
        images = [image for part in parts.values() for image in part]
        part_of = [split for split, part in parts.items() for _ in part]
        with one_thread_each():
            walls = map_frames(wall_places.wall_of, images, "finding the far wall")
        train = [(image, wall) for image, wall, split in zip(images, walls, part_of, strict=True) if split == "train"]
        offsets = wall_places.offsets_of(train)
        write_json(workspace / MODEL, {"offsets_mm": list(offsets)})
        walls = [wall_places.moved(wall, offsets, image) for image, wall in zip(images, walls, strict=True)]
        shown = [w if split == "test" else wall_places.judged(w) for w, split in zip(walls, part_of, strict=True)]
        return wall_places.samples_of(images, shown)

    def dense(self, request: DataRequest) -> bool:
        return request.option("dense") == "1"

    def canvas(self, item: WallImage, size: int) -> Picture:
        grey = lattice.canvas_for(item, size).grey
        return np.broadcast_to(grey, (3, *grey.shape))

    def corners(self, item: WallImage, places: NDArray[np.float32], size: int) -> Ints:
        column, row = _places(item, places)
        return np.column_stack(lattice.canvas_for(item, size).corner(column, row, size))

    def pictures(self, folder: Path, cache: Path) -> Mapping[str, Path]:
        """The images of a data set; of any other folder all pictures."""
        try:
            boundaries.recognise(str(folder), None)
        except UserError:
            return super().pictures(folder, cache)
        return {image.name: image.path for image in boundaries.find(str(folder), None)}

    def unlabelled(self, pictures: Sequence[tuple[str, Path]], request: DataRequest) -> list[WallImage]:
        """Raises UserError for a picture whose mm per pixel nothing says."""
        return measured([WallImage(name, name, "", path, spacing_of(path)) for name, path in pictures], request)

    def apply(self, items: Sequence[WallImage], workspace: Path) -> Samples:
        """Places in all columns that show tissue."""
        offsets = read_json(workspace / MODEL)["offsets_mm"]
        with one_thread_each():
            walls = map_frames(wall_places.wall_of, items, "finding the far wall")
        return wall_places.samples_of(
            items, [wall_places.moved(wall, offsets, item) for item, wall in zip(items, walls, strict=True)]
        )

    def cut(self, item: WallImage, places: NDArray[np.float32], views: Ints, size: int) -> Iterator[Picture]:
        return lattice.cut(item, places, np.asarray(views) == 1, size)

    def as_tested(self, test: Mapping[str, Any]) -> Imt:
        """With the finder that the run chose."""
        found = copy(self)
        found.metric = replace(self.metric, finder=maps.Finder.of(test["chosen"]))
        return found

    def predictions(self, items: Sequence[WallImage], samples: Samples, probability: Floats) -> Sequence[Table]:
        """thickness.csv, a line an image, and curves.csv, a line a column."""
        ends = np.searchsorted(samples.item, np.arange(len(items) + 1)).tolist()
        found = [
            (item, *self.found(item, samples.chosen(slice(start, end)), probability[start:end]))
            for item, start, end in zip(items, ends, ends[1:], strict=False)
        ]
        return [
            Table("thickness.csv", THICKNESS_HEADER, [_thickness_row(item, x, rows) for item, x, rows in found]),
            Table("curves.csv", CURVE_HEADER, [row for each in found for row in _curve_rows(*each)]),
        ]

    def found(self, item: WallImage, samples: Samples, probability: Floats) -> tuple[Floats, Floats]:
        """x (K,) and rows (K, 2) of both boundaries in an image, in pixels.

        samples : n, of this item.   probability : (n, 3)
        """
        column, row = _places(item, samples.place)
        edges = wall_places.edges_of(samples)
        rows = (self.metric.finder or maps.Finder()).curves(column, row, probability, edges)
        return np.unique(column) * (lattice.ACROSS * lattice.STEP / item.mm_per_pixel), rows * (
            lattice.STEP / item.mm_per_pixel
        )

    def overlay(self, item: WallImage, samples: Samples, probability: Floats, classes: Sequence[str]) -> Picture:
        """Both curves above the mean thickness."""
        x, rows = self.found(item, samples, probability)
        mean = mean_thickness(rows[:, 0], rows[:, 1], item.mm_per_pixel)
        return with_caption(draw_curves(item.picture(), x, rows), [f"mean thickness {mean:.3f} mm"])

    def fitted(self, workspace: Path) -> Mapping[str, str]:
        return {MODEL: digest(workspace / MODEL)}

    def key(self) -> Mapping[str, Any]:
        lattices = {"step": lattice.STEP, "across": lattice.ACROSS, "region": (ABOVE, BELOW)}
        return {**lattices, "measures": MEASURES, "edges": "where their boundaries are"}

    def facts(self, items: Parts, samples: Samples, patches: Ints) -> dict[str, Any]:
        """split -> images, groups, and of each class its places and packed patches."""
        split = np.repeat(list(items), [len(part) for part in items.values()])[samples.item]
        return {
            part: {
                "images": len(own),
                "groups": len({image.group for image in own}),
                "pixels": _by_class(samples.label[split == part]),
                "patches": _by_class(samples.label[split == part], patches[split == part]),
            }
            for part, own in items.items()
        }

    def data_text(self, facts: Mapping[str, Any], patches: Mapping[str, int]) -> list[str]:
        return [
            f"{split:5s} {fact['images']} images in {fact['groups']} groups, "
            + ", ".join(f"{count} {kind}" for kind, count in fact["pixels"].items())
            + f" pixels; {patches[split]} patches"
            for split, fact in facts.items()
        ]


def _places(item: WallImage, places: NDArray[np.float32]) -> tuple[Ints, Ints]:
    """Column and row of places on the lattice."""
    x, y = places.astype(np.float64).T
    return lattice.on_lattice(x, y, item.mm_per_pixel)


def measured(images: Sequence[WallImage], request: DataRequest) -> list[WallImage]:
    """The images with what PATCH_MM= and NEAR_MM= say."""
    patch, near = length(request, "patch_mm", PATCH_MM), length(request, "near_mm", NEAR_MM)
    return [replace(image, patch_mm=patch, near_mm=near) for image in images]


def phantom(runs: Path, seed: int, patients: int, frames: int) -> list[WallImage]:
    """Images of the phantom of a seed, drawn once into `runs`/data."""
    folder = runs / "data" / f"phantom-{patients}x{frames}-{seed}"
    if not folder.exists():
        write_phantom(folder, patients, frames, seed)
    return [replace(image, source="phantom") for image in boundaries.find(folder, FOLDER.slug, progress=False)]


def _thickness_row(item: WallImage, x: Floats, rows: Floats) -> tuple[object, ...]:
    each = thickness(rows[:, 0], rows[:, 1], item.mm_per_pixel)
    return item.name, item.mm_per_pixel, len(x), *(f"{value:.4f}" for value in (each.mean(), each.min(), each.max()))


def _curve_rows(item: WallImage, x: Floats, rows: Floats) -> Iterator[tuple[object, ...]]:
    each = thickness(rows[:, 0], rows[:, 1], item.mm_per_pixel)
    for at, (li, ma), mm in zip(x, rows, each, strict=True):
        yield item.name, f"{at:.2f}", f"{li:.3f}", f"{ma:.3f}", f"{mm:.4f}"


def _by_class(label: Ints, weight: Ints | None = None) -> dict[str, int]:
    counts = np.bincount(label, weight, minlength=len(CLASSES))
    return {name: int(count) for name, count in zip(CLASSES, counts, strict=True)}


APPLICATION = Imt()
