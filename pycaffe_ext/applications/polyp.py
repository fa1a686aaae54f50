"""Polyp detection in colonoscopy frames (paper, section 6): candidates by a hand-crafted detector, FROC.

What is about polyps stands here and in `detector`; everything else is shared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext import detector
from pycaffe_ext.applications.base import Collection, as_split, check_dataset
from pycaffe_ext.applications.detecting import Detecting, Sight
from pycaffe_ext.data import frames as frame_files
from pycaffe_ext.data import sources, synthetic
from pycaffe_ext.data.frames import Frame
from pycaffe_ext.data.items import Floats, Ints, Picture, Samples
from pycaffe_ext.data.patches import VIEWS, BoxViews, cut_boxes
from pycaffe_ext.data.reading import Reading
from pycaffe_ext.data.sources import plain
from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.metrics.detection import Detection
from pycaffe_ext.files import digest
from pycaffe_ext.report.overlay import draw_boxes
from pycaffe_ext.runs.settings import DataRequest
from pycaffe_ext.threads import one_thread_each

SHOWN = 0.5  # probability of a polyp from which a candidate is drawn
VIDEOS, FRAMES = 128, 4  # synthetic videos, and frames of each
SYNTHETIC_TEST = 0.25  # share of their frames that is kept for the test: what learns needs many videos
MODEL = "detector.npz"  # the detector that was trained on the training frames
SETTINGS = detector.Detector()  # of the detector that proposes the candidates


class Polyp(Detecting[Frame]):
    """Frames with masks; samples are candidate boxes, positive if their centre lies inside the ground truth [S]."""

    slug = "polyp"
    target = "polyp"
    places = ("x", "y", "w", "h")
    test_views = 8  # of 120: the paper scores all
    views = BoxViews()
    metric = Detection()
    rule = (
        "A candidate is positive if its centre lies inside the ground truth; each can give"
        f" {len(VIEWS)} patches (3 scales x 5 shifts x 8 orientations)."
    )
    size = "area, % of the frame", "percent_of_frame"

    def check(self, request: DataRequest) -> None:
        reading_of(request)
        self.check_test_views(request)
        check_dataset(request, sources.SOURCES)
        if request.data:
            sources.recognise(request.data, request.dataset)

    def data_name(self, request: DataRequest) -> str:
        return request.source if request.data else "synthetic frames"

    def reference(self, request: DataRequest) -> str:
        if not request.data:
            return super().reference(request)
        return f"masks of the data set, read with MASK={request.option('mask')}"

    def classes(self, request: DataRequest) -> tuple[str, ...]:
        return "no polyp", "polyp"

    def items(self, request: DataRequest, runs: Path) -> Collection:
        """Frames of the user's data set, or of the synthetic sequences, which are made once."""
        if not request.data:
            return Collection(synthetic_frames(runs, request.seed))
        home = sources.recognise(request.data, request.dataset)[1]
        return as_split(self.whole(request, runs), home, lambda frame: frame.image, request)

    def whole(self, request: DataRequest, runs: Path) -> Collection:
        """Frames of a data set, whatever its splits are."""
        if not request.data:
            return self.items(request, runs)
        videos = runs / "data" / "videos"
        frames = sources.find(request.data, request.dataset, videos, reading=reading_of(request))
        left_out = sources.left_out(Path(request.data), frames)
        return Collection(frames, left_out, frame_files.damaged_frames(frames))

    def test_fraction(self, request: DataRequest) -> float:
        """The paper's half of a data set; less of the synthetic frames, because more can be drawn at any time."""
        return super().test_fraction(request) if request.data else SYNTHETIC_TEST

    def strata(self, items: Sequence[Frame]) -> tuple[Ints, tuple[str, ...]]:
        return (frame_files.polyp_pixels(items) > 0).astype(np.int64), ("", "polyps")

    def tuning(self, request: DataRequest) -> float:
        return sources.recognise(request.data, request.dataset)[0].tuning if request.data else 0.0

    def propose(self, parts: Mapping[str, Sequence[Frame]], workspace: Path, request: DataRequest) -> Samples:
        """Candidates of a detector that is trained on the training frames and on nothing else.

        Those of the training frames come from models that never saw the frame's group, as with all other frames.
        """
        boxes, model = detector.cross_fitted(parts, SETTINGS, request.seed)
        model.save(workspace / MODEL)
        frames = [frame for part in parts.values() for frame in part]
        return labelled(frames, [own for part in parts for own in boxes[part]])

    def pictures(self, folder: Path, cache: Path) -> Mapping[str, Path]:
        """The frames of a data set, without its masks; of any other folder all pictures."""
        try:
            sources.recognise(str(folder), None)
        except UserError:
            return super().pictures(folder, cache)
        return {frame.name: frame.image for frame in sources.find(str(folder), None, cache)}

    def unlabelled(self, pictures: Sequence[tuple[str, Path]], request: DataRequest) -> list[Frame]:
        return [Frame(name, path, None, name, reading=reading_of(request)) for name, path in pictures]

    def apply(self, items: Sequence[Frame], workspace: Path) -> Samples:
        boxes = detector.detect_all(items, detector.Model.load(workspace / MODEL))
        return _samples(boxes, np.zeros(sum(map(len, boxes)), np.int64), np.zeros(len(items), np.int64))

    def apply_labelled(self, items: Sequence[Frame], workspace: Path) -> Samples:
        return labelled(items, detector.detect_all(items, detector.Model.load(workspace / MODEL)))

    def cut(self, item: Frame, places: NDArray[np.float32], views: Ints, size: int) -> Iterator[Picture]:
        return cut_boxes(item.picture(), places, views, size)

    def overlay(self, item: Frame, samples: Samples, probability: Floats, classes: Sequence[str]) -> Picture:
        """Boxes of the candidates that are polyps with a probability of SHOWN or more, the best one in any case."""
        return draw_boxes(item.picture(), samples.place, probability[:, 1:].sum(axis=1), SHOWN)

    def hits(self, item: Frame, places: NDArray[np.float32]) -> NDArray[np.bool_]:
        return np.asarray(detector.inside(places, frame_files.read_mask(item)))

    def sight(self, item: Frame, places: NDArray[np.float32]) -> Sight:
        """The frame."""
        return Sight(item.picture(), frame_files.read_mask(item), places, np.ones(len(places), bool))

    def sizes(self, items: Sequence[Frame]) -> list[Floats]:
        """Areas in per cent of the frame."""

        def areas(frame: Frame) -> Floats:
            return lesion_areas(frame_files.read_mask(frame))

        return frame_files.map_frames(areas, items, "measuring", progress=False)

    def fitted(self, workspace: Path) -> Mapping[str, str]:
        return {MODEL: digest(workspace / MODEL)}

    def learnt(self, workspace: Path) -> Mapping[str, Any]:
        """Under "detector": whether the trained one was kept, and why."""
        choice = detector.Model.load(workspace / MODEL).choice
        return {"detector": choice.text()} if choice else {}

    def key(self) -> Mapping[str, Any]:
        return asdict(SETTINGS)

    def data_text(self, facts: Mapping[str, Any], patches: Mapping[str, int]) -> list[str]:
        return super().data_text(facts, patches) + [fact["detector"] for fact in facts.values() if "detector" in fact]


def reading_of(request: DataRequest) -> Reading:
    """How the files are read; UserError for unknown words in MASK= and DAMAGED=."""
    return Reading(request.option("mask"), request.option("damaged"))


def synthetic_frames(runs: Path, seed: int, videos: int = VIDEOS, frames: int = FRAMES) -> list[Frame]:
    """Frames of the synthetic sequences of a seed, drawn once into `runs`/data."""
    folder = runs / "data" / f"synthetic-{videos}x{frames}-{seed}"
    if not folder.exists():
        synthetic.write_sequences(folder, videos, frames, seed=seed)
    return [replace(frame, source="synthetic") for frame in plain.find(folder)]


def lesion_areas(mask: NDArray[np.bool_]) -> Floats:
    """(lesions,) area of each lesion of a mask (H, W) bool, in per cent of the frame, in the order of their numbers."""
    labels, count = detector.lesions(mask)
    return np.asarray(100 * np.bincount(labels.ravel(), minlength=count + 1)[1:] / labels.size)


def labelled(frames: Sequence[Frame], boxes: Sequence[NDArray[np.float32]]) -> Samples:
    """Label candidates by comparing them with the masks; boxes : (m, 5) x, y, w, h, score of each frame.

    A mask is held only while its own candidates are compared.
    """
    boxes_of = {frame.name: own for frame, own in zip(frames, boxes, strict=True)}

    def compare(frame: Frame) -> tuple[Ints, int]:
        mask, count = detector.lesions(frame_files.read_mask(frame))
        return detector.lesion_of(boxes_of[frame.name], mask), count

    with one_thread_each():
        compared = frame_files.map_frames(compare, frames, "labelling")
    lesion = np.concatenate([hits for hits, _ in compared])
    return _samples(boxes, lesion, np.array([count for _, count in compared], np.int64))


def _samples(boxes: Sequence[NDArray[np.float32]], lesion: Ints, lesions: Ints) -> Samples:
    table = np.concatenate(boxes)
    return Samples(
        item=np.repeat(np.arange(len(boxes)), [len(own) for own in boxes]),
        number=np.concatenate([np.arange(len(own)) for own in boxes]),
        place=table[:, :4],
        label=(lesion > 0).astype(np.int32),
        target=lesion.astype(np.int64),
        targets=lesions,
        score=table[:, 4].astype(np.float64),
    )


APPLICATION = Polyp()
