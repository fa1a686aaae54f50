"""Pulmonary embolism in CT angiography (paper, section 6): candidates by tobogganing, patches along vessels, FROC.

What is about CT stands in `data.volumes` and `detector.vessels`; everything else is shared with other applications.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.applications.base import Collection, as_split, check_dataset, length
from pycaffe_ext.applications.detecting import Detecting, Sheet, Sight
from pycaffe_ext.data import volumes
from pycaffe_ext.data.items import Floats, Ints, Picture, Samples
from pycaffe_ext.data.sources.listing import not_taken
from pycaffe_ext.data.synthetic.chest import Size, write_phantom
from pycaffe_ext.data.volumes import Volume, clots, image_files, shown
from pycaffe_ext.data.volumes import folder as volume_folder
from pycaffe_ext.data.volumes.aligned import CHANNELS, Views, aligned_patches
from pycaffe_ext.data.volumes.clots import MARGIN
from pycaffe_ext.data.volumes.loan import on_loan
from pycaffe_ext.detector.vessels import volumes as search
from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.metrics.base import Table
from pycaffe_ext.evaluation.metrics.detection import Detection
from pycaffe_ext.evaluation.words import Words
from pycaffe_ext.report.overlay import draw_boxes
from pycaffe_ext.runs.settings import DataRequest
from pycaffe_ext.threads import cores, in_order

SHOWN = 0.5  # probability of a clot from which a candidate is drawn
PATIENTS = 26  # of the phantom
SIZE = Size()  # of its volumes: a part of the chest at 1.25 mm, around the hila
PHANTOM_TEST = 0.46  # share of them that is kept for the test
STORE = "pe-candidates"  # beside the folders of found data, which share it
NEAR_MM = (0.5, 50.0)  # what NEAR_MM may be
DRAWN = 4  # of its volumes at a time
READERS = 2  # masks that are read side by side at most
HEADER = (
    "volume",
    "rank",
    "probability",
    "x_lps_mm",
    "y_lps_mm",
    "z_lps_mm",
    "voxel_z",
    "voxel_y",
    "voxel_x",
    "slice",
    "toboggan_score",
)


class Pe(Detecting[Volume]):
    """Volumes with clots; samples are candidates, positive if they lie in a clot of the mask, or near a position.

    Options: NEAR_MM, the distance from a clot's stated position within which a candidate hits it.
    """

    slug = "pe"
    words = ("volume", "candidate")
    target = "clot"
    places = ("x_mm", "y_mm", "z_mm", "axis_x", "axis_y", "axis_z")
    endings = image_files.SUFFIXES
    test_views = 6  # of 45
    views = Views()
    metric = Detection(Words("volume", "clot", "patient"))
    rule = (
        f"A candidate is positive if it lies in a clot of the mask or at most {MARGIN:g} mm beside it, or at most"
        f" NEAR_MM= from the stated position of a clot; each can give {len(Views())} patches (3 extents x 5 angles"
        " about the vessel's axis x 3 shifts along it)."
    )
    size = "volume, ml", "ml"

    def check(self, request: DataRequest) -> None:
        length(request, "near_mm", NEAR_MM)
        self.check_test_views(request)
        check_dataset(request, volumes.SOURCES)
        if request.data:
            volumes.recognise(request.data, request.dataset)

    def data_name(self, request: DataRequest) -> str:
        return request.source if request.data else "a phantom of the chest"

    def reference(self, request: DataRequest) -> str:
        return "clots marked in the data set" if request.data else super().reference(request)

    def classes(self, request: DataRequest) -> tuple[str, ...]:
        return "no clot", "clot"

    def items(self, request: DataRequest, runs: Path) -> Collection:
        """Volumes of the user's data set, or of the phantom, which is drawn once."""
        if not request.data:
            return Collection(phantom(runs, request.seed, PATIENTS))
        home = volumes.recognise(request.data, request.dataset)[1]
        return as_split(self.whole(request, runs), home, lambda volume: volume.files[0], request)

    def whole(self, request: DataRequest, runs: Path) -> Collection:
        """Volumes of a data set, whatever its splits are."""
        if not request.data:
            return self.items(request, runs)
        near = length(request, "near_mm", NEAR_MM)
        found = [replace(volume, reach=near) for volume in volumes.find(request.data, request.dataset)]
        left_out = not_taken(Path(request.data), (path for volume in found for path in volume.every_file()))
        return Collection(found, left_out, notes=[note for volume in found for note in volume.notes])

    def test_fraction(self, request: DataRequest) -> float:
        return super().test_fraction(request) if request.data else PHANTOM_TEST

    def strata(self, items: Sequence[Volume]) -> tuple[Ints, tuple[str, ...]]:
        """Whether a volume has a clot."""
        counts = np.array(list(in_order(lambda volume: volume.clots, items, readers(items))), np.int64)
        if not counts.any():
            raise UserError(
                f"no clot is marked in any of {len(items)} volumes, from {items[0].name} on; nothing to learn"
            )
        return (counts > 0).astype(np.int64), ("", "clots")

    def propose(self, parts: Mapping[str, Sequence[Volume]], workspace: Path, request: DataRequest) -> Samples:
        """Candidates by tobogganing, which learns nothing: they are the same in every split."""
        return self.apply_labelled([volume for part in parts.values() for volume in part], workspace)

    def apply(self, items: Sequence[Volume], workspace: Path) -> Samples:
        return samples_of(search.search(items, labelled=False))

    def apply_labelled(self, items: Sequence[Volume], workspace: Path) -> Samples:
        return samples_of(search.search(items, workspace.parent / STORE))

    def pictures(self, folder: Path, cache: Path) -> Mapping[str, Path]:
        """The volumes of a data set, of any other folder all volumes in it; or the folder is one series of slices."""
        return volume_folder.unmarked(folder)

    def unlabelled(self, pictures: Sequence[tuple[str, Path]], request: DataRequest) -> list[Volume]:
        return [volume_folder.read_volume(name, place, "volumes") for name, place in pictures]

    def cut(self, item: Volume, places: NDArray[np.float32], views: Ints, size: int) -> Iterator[Picture]:
        chosen = [self.views.view(view) for view in np.asarray(views).tolist()]
        with on_loan(item) as values:
            patches = aligned_patches(values, item.geometry, places, chosen, size)
        yield from patches

    def predictions(self, items: Sequence[Volume], samples: Samples, probability: Floats) -> Sequence[Table]:
        """candidates.csv: place in the patient (LPS, mm) and in the array of voxels, the most probable first."""
        rows = [
            _row(volume, rank, samples, row, float(probability[row, 1]))
            for i, volume in enumerate(items)
            for rank, row in enumerate(_best_first(samples.item, probability, i), start=1)
        ]
        return [Table("candidates.csv", HEADER, rows)]

    def overlay(self, item: Volume, samples: Samples, probability: Floats, classes: Sequence[str]) -> Picture:
        """The slice of the most probable candidate, which is marked."""
        best = np.argsort(-probability[:, 1], kind="stable")[:1]
        return next(iter(self._marked(item, samples.place[best], probability[best, 1]).values()))

    def overlays(
        self, item: Volume, samples: Samples, probability: Floats, classes: Sequence[str]
    ) -> Mapping[str, Picture]:
        """Slices through the candidates with a probability of SHOWN or more, through the best one in any case."""
        rows = np.flatnonzero(probability[:, 1] >= min(SHOWN, probability[:, 1].max(initial=0)))
        return self._marked(item, samples.place[rows], probability[rows, 1])

    def _marked(self, item: Volume, places: NDArray[np.float32], score: Floats) -> dict[str, Picture]:
        with on_loan(item) as values:
            slices = shown.Slices(item.geometry, values)
            level = slices.level(places[:, :3])
            return {
                _slice_name(number): draw_boxes(
                    slices.picture(number), slices.boxes(places[level == number, :3]), score[level == number], SHOWN
                )
                for number in np.unique(level).tolist()
            }

    def hits(self, item: Volume, places: NDArray[np.float32]) -> NDArray[np.bool_]:
        return item.clots_at(places[:, :3].astype(np.float64))[0] > 0

    def sight(self, item: Volume, places: NDArray[np.float32]) -> Sight:
        """The slice through the first place, the middle one where there is none."""
        with on_loan(item) as values:
            slices = shown.Slices(item.geometry, values)
            level = slices.level(places[:, :3])
            first = int(level[0]) if len(level) else slices.upright.size[0] // 2
            image = slices.picture(first)
        return Sight(image, self._clots(item, slices, first), slices.boxes(places[:, :3]), slices.near(level))

    @staticmethod
    def _clots(item: Volume, slices: shown.Slices, level: int) -> NDArray[np.bool_]:
        """(H, W) the clots of a slice; of stated positions a disc of the distance within which they are hit."""
        labels = item.labels()
        if labels is not None:
            return np.asarray(shown.Slices(item.geometry, labels).plane(level) > 0)
        return slices.discs(np.array(item.positions).reshape(-1, 3), level, item.reach)

    def sizes(self, items: Sequence[Volume]) -> list[Floats]:
        """Volumes in ml."""

        def volumes_of(volume: Volume) -> Floats:
            labels = volume.labels()
            if labels is None:
                raise UserError("positions of clots say nothing of their sizes")
            return clots.sizes(labels, volume.geometry)[:, 0] / 1000

        return list(in_order(volumes_of, items, readers(items)))

    def sheet(self, item: Volume, place: NDArray[np.float32], side: int) -> Sheet:
        patches = np.stack(list(self.cut(item, np.tile(place, (len(self.views), 1)), np.arange(len(self.views)), side)))
        return aligned_sheet(patches, self.views)

    def key(self) -> Mapping[str, Any]:
        return search.settings()


def readers(items: Sequence[Volume]) -> int:
    """Masks that are read side by side."""
    return min(READERS, search.workers(items))


def phantom(runs: Path, seed: int, patients: int) -> list[Volume]:
    """Volumes of the phantom of a seed, drawn once into `runs`/data."""
    home = runs / "data" / f"chest-{patients}-{seed}"
    if not home.exists():
        write_phantom(home, patients, seed, min(cores(), DRAWN), size=SIZE)
    return [replace(volume, source="phantom") for volume in volumes.find(home, volume_folder.FOLDER.slug)]


def aligned_sheet(patches: NDArray[np.uint8], views: Views) -> Sheet:
    """(views, 3, S, S) patches of a candidate, a row for each angle, a column for each extent and shift."""
    extents, angles, shifts = (len(part) for part in (views.extents, views.angles, views.shifts))
    grid = patches.reshape(extents, angles, shifts, *patches.shape[1:])
    columns = grid.transpose(1, 0, 2, 3, 4, 5).reshape(angles, extents * shifts, *patches.shape[1:])
    planes = [
        (f"{name}, {extent:g} mm", grid[i, 0, 0, channel])
        for i, extent in enumerate(views.extents)
        for channel, name in enumerate(CHANNELS)
    ]
    return Sheet(
        columns,
        [f"{angle:g}°" for angle in views.angles],
        [f"{shift:+g} mm" if shift else "centre" for shift in views.shifts] * extents,
        [f"{extent:g} mm" for extent in views.extents],
        planes,
    )


def samples_of(found: Sequence[search.Found]) -> Samples:
    """The candidates of all volumes; found : of each."""
    sizes = [len(own.score) for own in found]
    clot = np.concatenate([own.clot for own in found]).astype(np.int64)
    return Samples(
        item=np.repeat(np.arange(len(found)), sizes),
        number=np.concatenate([np.arange(size) for size in sizes]),
        place=np.concatenate([own.place for own in found]),
        label=(clot > 0).astype(np.int32),
        target=clot,
        targets=np.array([own.clots for own in found], np.int64),
        score=np.concatenate([own.score for own in found]),
    )


def _best_first(item: Ints, probability: Floats, number: int) -> list[int]:
    rows = np.flatnonzero(item == number)
    return rows[np.argsort(-probability[rows, 1], kind="stable")].tolist()


def _row(volume: Volume, rank: int, samples: Samples, row: int, probability: float) -> tuple[str | int, ...]:
    """A line of candidates.csv."""
    assert samples.score is not None  # of tobogganing
    point = samples.place[row, :3].astype(np.float64)
    voxel = np.rint(volume.geometry.to_voxels(point)).astype(int).tolist()
    level = int(shown.levels(volume.geometry, point[None])[0])
    place = (*(f"{value:.2f}" for value in point), *voxel, _slice_name(level))
    return volume.name, rank, repr(probability), *place, repr(float(samples.score[row]))


def _slice_name(level: int) -> str:
    """Of a picture of `make predict`."""
    return f"z{level:04d}"


APPLICATION = Pe()
