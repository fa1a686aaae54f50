"""Training of the detector's two stages on frames with masks, by group.

Candidates come from models that never saw the candidate's group.

The groups are dealt into three folds. A first-stage forest is grown on every fold, pair of folds and all of them. The
second stage of a model learns from the outputs that its frames get from the forest of the model's other folds, as
frames to come will get them. The model of two folds finds the candidates of the third one's frames.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from typing import Any

import cv2
import numpy as np

from pycaffe_ext.data.frames import Frame, map_frames, read_frame, read_mask
from pycaffe_ext.detector.candidates import SMALLEST_FRAME, detect_all
from pycaffe_ext.detector.choice import NOTHING, Compared, choose, compare
from pycaffe_ext.detector.context import surroundings
from pycaffe_ext.detector.edges import Edges, View, find_edges
from pycaffe_ext.detector.field import view_of
from pycaffe_ext.detector.forest import Forest, grow
from pycaffe_ext.detector.labels import AHEAD, BEHIND, DARK, INSIDE, OTHER, SPOT, classify
from pycaffe_ext.detector.model import Model, first_stage
from pycaffe_ext.detector.oriented import describe
from pycaffe_ext.detector.settings import Detector, untrained
from pycaffe_ext.errors import UserError
from pycaffe_ext.processes import map_processes
from pycaffe_ext.threads import cores

FOLDS = 3
FRAME_SAMPLES = 200  # edge pixels of a frame, at most
SHARES = {AHEAD: 0.26, BEHIND: 0.16, INSIDE: 0.16, SPOT: 0.1, DARK: 0.06, OTHER: 0.26}  # of a frame's samples, at most
Key = tuple[int, ...]  # folds that something was trained on, rising
ALL: Key = tuple(range(FOLDS))


@dataclass(frozen=True)
class Samples:
    """Described edge pixels: features float32 (n, k), label int8 (n,) as in `labels`, fold (n,)."""

    features: np.ndarray
    label: np.ndarray
    fold: np.ndarray

    def of(self, folds: Key) -> tuple[np.ndarray, np.ndarray]:
        rows = np.isin(self.fold, folds)
        return self.features[rows], self.label[rows]


def train(
    frames: Sequence[Frame],
    settings: Detector,
    seed: int,
    workers: int | None = None,
    progress: bool = True,
    compared: bool = True,
) -> Model:
    """The detector trained on `frames`; the same frames, settings and seed give the same one, whatever `workers`.

    Time and memory are bounded: of more than settings.train_frames frames that many are drawn. It is the untrained one
    where that finds more, as `cross_fitted` says, unless `compared` is False.
    Raises UserError if frames with polyps come from fewer than two groups, or no polyp has an edge.
    """
    if not compared:
        return _models(frames, settings, seed, (ALL,), workers, progress)[0][ALL]
    return cross_fitted({"train": frames}, settings, seed, workers, progress)[1]


def cross_fitted(
    parts: Mapping[str, Sequence[Frame]],
    settings: Detector,
    seed: int,
    workers: int | None = None,
    progress: bool = True,
) -> tuple[dict[str, list[np.ndarray]], Model]:
    """Candidates of the frames of every part, and the detector trained on all of parts["train"] and on nothing else.

    The candidates of the training frames come from models that saw no frame of their group, as candidates of other
    frames do; those of the other parts from the returned model. Where the candidates of the trained models hit fewer
    polyps of the training frames than those of the untrained one, the untrained one is kept (see `Choice.trained`);
    for the candidates of a fold the other two folds decide that. Raises UserError as `train` does.
    """
    frames = parts["train"]
    pairs = tuple(combinations(ALL, FOLDS - 1))
    models, fold_of = _models(frames, settings, seed, (ALL, *pairs), workers, progress)
    folds = np.array([fold_of[frame.group] for frame in frames])
    plain = Model(untrained(settings))
    both: list[Compared] = [NOTHING] * len(frames)
    for pair in pairs:
        own = np.flatnonzero(~np.isin(folds, pair)).tolist()
        seen = compare([frames[i] for i in own], (models[pair], plain), workers, progress)
        for i, compared in zip(own, seen, strict=True):
            both[i] = compared
    choice = choose(both)
    model = replace(models[ALL] if choice.trained else plain, choice=choice)
    kept = [choose([b for b, other in zip(both, folds, strict=True) if other != fold]).trained for fold in ALL]
    found = {"train": [compared.candidates[0 if kept[fold] else 1] for compared, fold in zip(both, folds, strict=True)]}
    for part, others in parts.items():
        if part != "train":
            found[part] = detect_all(others, model, workers, progress)
    return found, model


def deal(frames: Sequence[Frame], positive: np.ndarray, seed: int) -> dict[str, int]:
    """Fold of each group: drawn by seed, groups with polyps first, so that every fold gets some.

    positive: bool (n,), the frame shows a polyp. Raises UserError if fewer than two groups do.
    """
    with_polyps = sorted({f.group for f, p in zip(frames, positive, strict=True) if p})
    if len(with_polyps) < 2:
        raise UserError(
            f"detector: {len(with_polyps)} group(s) among {len(frames)} training frames show polyps; it is trained by"
            " group and needs two: give more videos or patients, or smaller groups"
        )
    without = sorted({frame.group for frame in frames} - set(with_polyps))
    rng = np.random.default_rng(seed)
    ordered = [*rng.permutation(with_polyps), *rng.permutation(without)]
    return {str(group): i % FOLDS for i, group in enumerate(ordered)}


def draw(frames: Sequence[Frame], positive: np.ndarray, most: int, seed: int) -> list[Frame]:
    """At most `most` frames: those with polyps take up to two thirds, those without the rest; group after group."""
    chosen = [_spread([f for f, p in zip(frames, positive, strict=True) if p == kind], seed) for kind in (True, False)]
    with_polyps = min(len(chosen[0]), max(most - len(chosen[1]), 2 * most // 3))
    return chosen[0][:with_polyps] + chosen[1][: most - with_polyps]


def _spread(frames: Sequence[Frame], seed: int) -> list[Frame]:
    """The frames in random order, but a second one of a group only when every group has given one."""
    rng, rank = np.random.default_rng(seed), list[int]()
    seen: dict[str, int] = {}
    shuffled = [frames[i] for i in rng.permutation(len(frames))]
    for frame in shuffled:
        rank.append(seen.setdefault(frame.group, 0))
        seen[frame.group] += 1
    return [shuffled[i] for i in np.argsort(rank, kind="stable")]


def _models(
    frames: Sequence[Frame], settings: Detector, seed: int, keys: Sequence[Key], workers: int | None, progress: bool
) -> tuple[dict[Key, Model], dict[str, int]]:
    """A model for each of `keys`, and the fold of each group."""
    positive = np.array(map_frames(lambda frame: bool(read_mask(frame).any()), frames, "reading masks", progress), bool)
    fold_of = deal(frames, positive, seed)
    shows = {frame.name for frame, p in zip(frames, positive, strict=True) if p}
    how: dict[str, Any] = {"workers": workers or cores(), "progress": progress}
    chosen = draw(frames, positive, settings.train_frames, seed)
    first = _first_forests(chosen, fold_of, settings, seed, keys, **how)
    if missing := [key for key in keys if key not in first]:
        raise UserError(f"detector: no edge of a polyp in {len(missing)} of {len(keys)} training sets; check the masks")
    some = draw(chosen, np.array([frame.name in shows for frame in chosen]), settings.context_frames, seed + 1)
    second = _second_forests(some, fold_of, first, settings, seed, keys, **how)
    return {key: Model(settings, first[key], second[key]) for key in keys}, fold_of


def _first_forests(
    frames: Sequence[Frame],
    fold_of: Mapping[str, int],
    settings: Detector,
    seed: int,
    keys: Sequence[Key],
    workers: int,
    progress: bool,
) -> dict[Key, Forest]:
    """Forests of `keys` and of each without one of its folds, but of folds that show no polyp."""
    work = partial(_describe, settings=settings, seed=seed, count=_per_frame(settings, len(frames)))
    found = list(map_processes(work, frames, "patches", workers, progress))
    folds = [np.full(len(label), fold_of[frame.group]) for frame, (_, label) in zip(frames, found, strict=True)]
    samples = Samples(*(np.concatenate(column) for column in (*zip(*found, strict=True), folds)))
    wanted = {part for key in keys for part in (key, *(_without(key, fold) for fold in key))}
    return {key: grow(*samples.of(key), settings, seed, workers) for key in sorted(wanted) if _teaches(samples, key)}


def _second_forests(
    frames: Sequence[Frame],
    fold_of: Mapping[str, int],
    first: Mapping[Key, Forest],
    settings: Detector,
    seed: int,
    keys: Sequence[Key],
    workers: int,
    progress: bool,
) -> dict[Key, Forest]:
    jobs = [(frame, _teachers(fold_of[frame.group], keys, first)) for frame in frames]
    count = _per_frame(settings, len(frames))
    work = partial(_describe_context, first=first, settings=settings, seed=seed, count=count)
    seen = list(map_processes(work, jobs, "context", workers, progress))
    grown = {}
    for key in keys:
        learnt = zip(*(found.pop(key) for found in seen if key in found), strict=True)
        features, label = map(np.concatenate, learnt)
        grown[key] = grow(features, label, settings, seed + 1, workers)
    return grown


def _without(key: Key, fold: int) -> Key:
    return tuple(k for k in key if k != fold)


def _teaches(samples: Samples, key: Key) -> bool:
    """Whether these folds show what a polyp's boundary is."""
    return bool((samples.label[np.isin(samples.fold, key)] == AHEAD).any())


def _teachers(fold: int, keys: Sequence[Key], first: Mapping[Key, Forest]) -> dict[Key, Key]:
    """For each model that a frame of `fold` teaches: the forest whose outputs it is shown with.

    That of the model's other folds; where these show no polyp, as with two groups in all, the model's own.
    """
    taught = (key for key in keys if fold in key and key in first)
    return {key: rest if (rest := _without(key, fold)) in first else key for key in taught}


def _opened(frame: Frame, settings: Detector) -> tuple[View, Edges, np.ndarray]:
    """View, edges and the class of each edge, both ways, of a training frame; one too small for shapes has none."""
    image, mask = read_frame(frame), read_mask(frame)
    if min(image.shape[:2]) < SMALLEST_FRAME:
        image, mask = np.zeros((SMALLEST_FRAME, SMALLEST_FRAME, 3), np.uint8), np.zeros((SMALLEST_FRAME,) * 2, bool)
    view, field = view_of(image, settings.working_side)
    small = (
        cv2.resize(field.of(mask).astype(np.uint8) * 255, view.scene.shape[1::-1], interpolation=cv2.INTER_AREA) > 127
    )
    edges = find_edges(view, settings)
    return view, edges, classify(edges, view, small)


def _per_frame(settings: Detector, frames: int) -> int:
    return max(1, min(FRAME_SAMPLES, settings.samples // frames))


def _picked(label: np.ndarray, count: int, key: str) -> np.ndarray:
    """Rows of a frame's samples: of each class up to its share, drawn by `key`, so whatever other frames there are."""
    rng = np.random.default_rng(int(hashlib.sha256(os.fsencode(key)).hexdigest()[:12], 16))
    most = {kind: round(share * count) for kind, share in SHARES.items()}
    return np.concatenate([rng.permutation(np.flatnonzero(label == kind))[:n] for kind, n in most.items()])


def _describe(frame: Frame, settings: Detector, seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Features and classes of a frame's samples for the first stage."""
    view, edges, label = _opened(frame, settings)
    rows = _picked(label, count, f"{seed} first {frame.name}")
    pixels, n = np.unique(rows % max(len(edges), 1)), len(edges)
    features = describe(view, edges.at(pixels))
    place = np.searchsorted(pixels, rows % max(n, 1)) + np.where(rows >= n, len(pixels), 0)
    return features[place], label[rows]


def _describe_context(
    job: tuple[Frame, dict[Key, Key]], first: Mapping[Key, Forest], settings: Detector, seed: int, count: int
) -> dict[Key, tuple[np.ndarray, np.ndarray]]:
    """Features and classes of a frame's samples for the second stage of each model that it teaches."""
    frame, teachers = job
    view, edges, label = _opened(frame, settings)
    rows = _picked(label, count, f"{seed} second {frame.name}")
    found, described = {}, describe(view, edges)
    for key, teacher in teachers.items():
        directed, probability = first_stage(edges, described, first[teacher])
        found[key] = surroundings(directed, probability, view.scene, settings, rows), label[rows]
    return found
