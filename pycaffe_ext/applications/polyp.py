"""Polyp detection in colonoscopy frames (paper, section 6): frames -> candidates -> patches -> LMDB, and FROC.

What is about polyps stands here; the stages themselves are in `data` and `evaluation`. Each stage leaves its file in
the folder of packed data and is not repeated while that file is there, so an interrupted preparation goes on.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pycaffe_ext import __version__, detector, nets
from pycaffe_ext.applications import APPLICATIONS, packed
from pycaffe_ext.applications.packed import Packed
from pycaffe_ext.applications.results import Evaluation
from pycaffe_ext.data import frames as frame_files
from pycaffe_ext.data import mean, pack, splits, synthetic, verify
from pycaffe_ext.data.balance import Selection, choose, take_all
from pycaffe_ext.data.frames import Frame
from pycaffe_ext.data.groups import join_near_duplicates
from pycaffe_ext.data.patches import SIZE
from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import froc
from pycaffe_ext.files import write_csv
from pycaffe_ext.nets import emission
from pycaffe_ext.settings import Settings, short_hash

SLUG = "polyp"
LABEL_KINDS = {"frame": str, "candidate": int, "lesion": int}  # lesion: number of the polyp that is hit, 0 = none
LESION_KINDS = {"frame": str, "group": str, "split": str, "lesions": int}  # lesions: polyps in the frame


def prepare(settings: Settings, runs: Path) -> Packed:
    """Pack the patches that `settings` ask for, unless they are packed already, and return their record.

    Runs that differ only in training share one folder, `runs`/data/polyp-SOURCE-DIGEST; other frames, even of the same
    names, get another one.  Raises UserError for unusable frames.
    """
    frames = frames_of(settings, runs)
    fingerprint = frame_files.fingerprint(frames)
    folder = _folder(settings, runs, fingerprint)
    return packed.load(folder) or _pack(settings, frames, fingerprint, folder)


def frames_of(settings: Settings, runs: Path) -> list[Frame]:
    """Frames of the user's folder, or of the synthetic sequences, made once."""
    if settings.data:
        return frame_files.find_frames(settings.data)
    folder = runs / "data" / f"synthetic-{settings.seed}"
    if not folder.exists():
        synthetic.write_sequences(folder, seed=settings.seed)
    return frame_files.find_frames(folder)


def _folder(settings: Settings, runs: Path, fingerprint: str) -> Path:
    """The folder of the packed data, named by everything that decides its content."""
    key = {
        "frames": fingerprint, "patches": settings.patches, "test_views": settings.test_views,
        "encoding": settings.encoding, "seed": settings.seed, "detector": asdict(detector.Detector()),
        "version": __version__,
    }  # fmt: skip
    if (size := _size(settings)) != SIZE:  # so that what was packed at this size before there were others is found
        key["size"] = size
    return runs / "data" / f"{SLUG}-{settings.source}-{short_hash(key)}"


def _size(settings: Settings) -> int:
    """Rows and columns of a patch: the net's input."""
    return nets.architecture(settings.arch).input[-1]


def _pack(settings: Settings, frames: list[Frame], fingerprint: str, folder: Path) -> Packed:
    folder.mkdir(parents=True, exist_ok=True)
    parts = _split(settings, frames, folder)
    ordered = [frame for split in splits.SPLITS for frame in parts[split]]
    belongs = np.repeat(splits.SPLITS, [len(parts[split]) for split in splits.SPLITS])  # split of each frame
    found = _detect(ordered, folder)
    cases = _label(ordered, belongs, found, folder)
    selections = {split: _select(settings, cases, belongs, split) for split in splits.SPLITS}
    for split, selection in selections.items():
        if not pack.database_path(folder, split).exists():
            pack.pack(
                ordered, cases.table, selection, folder, split, encoding=settings.encoding, seed=settings.seed,
                size=_size(settings),
            )  # fmt: skip
    verify.check_index({split: pack.index_path(folder, split) for split in splits.SPLITS})
    mean.write_mean(pack.database_path(folder, "train"), folder)
    counts = {split: len(selection) for split, selection in selections.items()}
    done = Packed(folder, fingerprint, counts, _facts(parts, belongs, cases))
    done.save()
    return done


def _split(settings: Settings, frames: list[Frame], folder: Path) -> splits.Splits:
    """The splits of frames, drawn and written once: by group, near-duplicate frames in one group."""
    table = folder / "splits.csv"
    if not table.exists():
        positive = frame_files.polyp_pixels(frames) > 0
        joined = join_near_duplicates(frames)
        splits.write_splits(table, splits.split_frames(joined, positive, seed=settings.seed))
    return splits.read_splits(table, frames)


def _detect(frames: list[Frame], folder: Path) -> list[np.ndarray]:
    """Candidates (n, 5) of each frame, from the frames alone."""
    table = folder / "candidates.csv"
    if not table.exists():
        detector.write_candidates(table, frames, detector.detect_all(frames))
    return detector.read_candidates(table, frames)


@dataclass(frozen=True)
class Cases:
    """Candidates of all frames with what the masks say of them.

    table : a row per candidate.  score : (n,) the detector's.  lesion : (n,) int, number of the polyp in the frame
    that holds the candidate's centre, 0 = none.  lesions : (frames,) int, polyps in each frame.
    """

    table: pack.Candidates
    score: np.ndarray
    lesion: np.ndarray
    lesions: np.ndarray


def _label(frames: list[Frame], belongs: np.ndarray, found: list[np.ndarray], folder: Path) -> Cases:
    """Hold the candidates against the masks: positive if its centre lies inside the ground truth [S]."""
    marked = frame_files.map_frames(lambda frame: detector.lesions(frame_files.read_mask(frame)), frames, "labelling")
    hits = [detector.lesion_of(boxes, mask) for boxes, (mask, _) in zip(found, marked, strict=True)]
    frame = np.repeat(np.arange(len(frames)), [len(boxes) for boxes in found])
    number = np.concatenate([np.arange(len(boxes)) for boxes in found])
    boxes, lesion = np.concatenate(found), np.concatenate(hits)
    lesions = np.array([count for _, count in marked])
    names = (frames[i].name for i in frame)
    write_csv(folder / "labels.csv", tuple(LABEL_KINDS), zip(names, number, lesion, strict=True))
    rows = ((f.name, f.group, split, n) for f, split, n in zip(frames, belongs, lesions, strict=True))
    write_csv(folder / "lesions.csv", tuple(LESION_KINDS), rows)
    table = pack.Candidates(frame, number, boxes[:, :4], (lesion > 0).astype(np.int32))
    return Cases(table, boxes[:, 4], lesion, lesions)


def _select(settings: Settings, cases: Cases, belongs: np.ndarray, split: str) -> Selection:
    """Which patches of a split are packed: balanced for training and validation, every candidate for the test."""
    members = np.flatnonzero(belongs[cases.table.frame] == split)
    labels = cases.table.label[members]
    if split == "test":
        chosen = take_all(labels, settings.test_views)
    else:
        limit = dict(zip(("train", "val"), emission.split(settings.patches), strict=True))[split]
        chosen = choose(labels, limit, seed=settings.seed, classes=APPLICATIONS[SLUG].classes)
    return Selection(members[chosen.candidate], chosen.view, chosen.label)


def _facts(parts: splits.Splits, belongs: np.ndarray, cases: Cases) -> dict[str, Any]:
    """Counts at each stage, per split; `covered` is the share of polyps that some candidate hits."""
    facts = {}
    for split, frames in parts.items():
        inside = belongs == split
        own = inside[cases.table.frame]
        polyps = int(cases.lesions[inside].sum())
        hit = {(f, n) for f, n in zip(cases.table.frame[own], cases.lesion[own], strict=True) if n}
        facts[split] = {
            "frames": len(frames), "groups": len({frame.group for frame in frames}),
            "frames_with_polyps": int((cases.lesions[inside] > 0).sum()), "polyps": polyps,
            "candidates": int(own.sum()), "positive_candidates": int(cases.table.label[own].sum()),
            "candidates_per_frame": float(own.sum() / len(frames)), "covered": len(hit) / polyps if polyps else None,
        }  # fmt: skip
    return facts


def evaluate(done: Packed, probabilities: np.ndarray) -> Evaluation:
    """The test candidates, each scored by the mean probability of its patches (paper, section 6).

    probabilities : (n,) float, of being a polyp, in the order of the test LMDB.
    """
    frames = packed.read_columns(done.folder / "lesions.csv", LESION_KINDS)
    test = frames["split"] == "test"
    row = {name: i for i, name in enumerate(frames["frame"][test])}
    own, hits = (_of_frames(done.folder / name, kinds, row) for name, kinds in
                 (("candidates.csv", detector.KINDS), ("labels.csv", LABEL_KINDS)))  # fmt: skip
    names = tuple(zip(own["frame"].tolist(), own["candidate"].tolist(), strict=True))
    if names != tuple(zip(hits["frame"].tolist(), hits["candidate"].tolist(), strict=True)):
        raise UserError(f"{done.folder}: candidates.csv and labels.csv differ; remove the folder and run again")
    patches = packed.read_columns(done.index("test"), {"frame": str, "candidate": int, "label": int})
    place = {name: i for i, name in enumerate(names)}
    owner = [place[key] for key in zip(patches["frame"].tolist(), patches["candidate"].tolist(), strict=True)]
    scores = froc.candidate_scores(np.array(owner), probabilities, len(names))
    frame = np.array([row[name] for name, _ in names])
    cases = [froc.Cases(frame, s, hits["lesion"], frames["lesions"][test]) for s in (scores, own["score"])]
    return Evaluation(
        *cases, group=frames["group"][test], names=names, patch_label=patches["label"],
        patch_candidate=np.array(owner),
    )  # fmt: skip


def _of_frames(table: Path, kinds: dict[str, type], frames: dict[str, int]) -> dict[str, np.ndarray]:
    """Rows of a table that are about `frames`."""
    columns = packed.read_columns(table, kinds)
    keep = np.array([name in frames for name in columns["frame"]], bool)
    return {name: column[keep] for name, column in columns.items()}
