"""Is a colonoscopy frame informative? (paper, section 6): sub-patches of resized frames, averaged per frame; ROC.

Without DATA= the synthetic sequences with half of their frames degraded stand in, and with DEGRADE=1 the frames of a
set of polyps, degraded likewise; both are semi-synthetic. The baseline is a forest on hand-crafted features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pycaffe_ext.applications import polyp
from pycaffe_ext.applications.base import Collection, as_split, check_dataset
from pycaffe_ext.applications.whole import WholePictures, samples_of
from pycaffe_ext.data import frame_sets, images, sources
from pycaffe_ext.data.frames import Frame, damaged_frames, fingerprint, map_frames
from pycaffe_ext.data.images import Image
from pycaffe_ext.data.items import Floats, Samples
from pycaffe_ext.data.reading import Reading
from pycaffe_ext.data.sources.listing import not_taken
from pycaffe_ext.data.synthetic import sequences
from pycaffe_ext.detector import quality
from pycaffe_ext.errors import UserError, known
from pycaffe_ext.evaluation.metrics.by_class import Evaluation, RocByClass
from pycaffe_ext.files import digest
from pycaffe_ext.runs.settings import DataRequest
from pycaffe_ext.threads import one_thread_each

MODEL = "quality.npz"  # the forest that was trained on the training frames
VIDEOS, FRAMES = 32, 8  # synthetic sequences: long enough for runs of bad frames
DEGRADE = ("0", "1")


class FrameRoc(RocByClass):
    word = "frame"
    baseline = "hand-crafted features"


class Frames(WholePictures[Evaluation]):
    """Option DEGRADE=1: DATA= is a set of polyp frames, of which half are degraded."""

    slug = "frames"
    words = ("frame", "sample")
    metric = FrameRoc()

    def check(self, request: DataRequest) -> None:
        super().check(request)
        degrades = known(request.option("degrade"), DEGRADE, "DEGRADE") == "1"
        check_dataset(request, sources.SOURCES if degrades else frame_sets.SOURCES)
        if not request.data:
            if degrades:
                raise UserError("DEGRADE=1 degrades the frames of DATA=; without DATA= synthetic ones are degraded")
        elif degrades:
            sources.recognise(request.data, request.dataset)
        else:
            frame_sets.recognise(request.data, request.dataset)

    def data_name(self, request: DataRequest) -> str:
        if not request.data:
            return "semi-synthetic frames"
        return f"{request.source}, semi-synthetic" if request.option("degrade") == "1" else request.source

    def same_items(self, request: DataRequest) -> bool:
        return super().same_items(request) and request.option("degrade") != "1"

    def classes(self, request: DataRequest) -> tuple[str, ...]:
        return frame_sets.CLASSES

    def items(self, request: DataRequest, runs: Path) -> Collection:
        if not request.data:
            drawn = polyp.synthetic_frames(runs, request.seed, VIDEOS, FRAMES)
            return Collection(degraded(drawn, "synthetic", runs, request.seed))
        if request.option("degrade") == "1":
            home = sources.recognise(request.data, request.dataset)[1]
            return as_split(_degraded_set(request.data, request, runs), home, lambda image: image.pristine, request)
        return _labelled(request.data, request, whole=False)

    def whole(self, request: DataRequest, runs: Path) -> Collection:
        if not request.data:
            return self.items(request, runs)
        if request.option("degrade") == "1":
            return _degraded_set(request.data, request, runs)
        return _labelled(request.data, request, whole=True)

    def propose(self, parts: Mapping[str, Sequence[Image]], workspace: Path, request: DataRequest) -> Samples:
        """Frames with the scores of a forest on hand-crafted features, trained on the training frames only.

        Those of the training frames come from forests that never saw the frame's group, as with all other frames.
        """
        train = parts["train"]
        table, label = features_of(train), np.array([image.label for image in train])
        model = quality.train(table, label, request.seed)
        model.save(workspace / MODEL)
        scores = [quality.cross_fitted(table, label, [image.group for image in train], request.seed)]
        others = [image for split, part in parts.items() if split != "train" for image in part]
        scores.append(model.score(features_of(others)))
        return samples_of([*train, *others], np.concatenate(scores))

    def apply(self, items: Sequence[Image], workspace: Path) -> Samples:
        return samples_of(items, quality.Model.load(workspace / MODEL).score(features_of(items)))

    def fitted(self, workspace: Path) -> Mapping[str, str]:
        return {MODEL: digest(workspace / MODEL)}


def _degraded_set(folder: str, request: DataRequest, runs: Path) -> Collection:
    """The frames of a polyp data set, half of them degraded; damaged ones that are kept are named."""
    reading = Reading(damaged=request.option("damaged"))
    frames = sources.find(folder, request.dataset, runs / "data" / "videos", reading=reading)
    left_out = sources.left_out(Path(folder), frames)
    return Collection(degraded(frames, request.source, runs, request.seed), left_out, damaged_frames(frames))


def _labelled(folder: str, request: DataRequest, whole: bool) -> Collection:
    found = frame_sets.find(folder, request.dataset, request.option("damaged") == "keep", whole)
    left_out = not_taken(Path(folder), (image.path for image in found.images))
    return Collection(found.images, left_out, images.damaged(found.images))


def features_of(items: Sequence[Image]) -> Floats:
    """(n, features) of `detector.quality`."""
    with one_thread_each():
        return np.stack(map_frames(lambda image: quality.features(image.pixels()), items, "describing frames"))


def degraded(frames: Sequence[Frame], source: str, runs: Path, seed: int) -> list[Image]:
    """The frames with half of each group degraded, written once into `runs`/data."""
    folder = runs / "data" / f"semi-synthetic-{source}-{seed}-{fingerprint(frames)[:10]}"
    if any(frame.reading.keeps_damaged for frame in frames):
        folder = folder.with_name(f"{folder.name}-kept")  # what was kept must not pass where damage is refused
    shots = [
        sequences.Shot(frame.name, frame.image, frame.group, frame.reading.keeps_damaged)
        for frame in sorted(frames, key=_in_order)
    ]
    if not folder.exists():
        sequences.write(folder, shots, seed)
    return sequences.read(folder, shots, f"semi-synthetic {source}")


def _in_order(frame: Frame) -> tuple[str, str]:
    return frame.group, frame.name


APPLICATION = Frames()
