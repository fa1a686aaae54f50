"""A small study as its run folders: frames with round polyps, packed data, and runs whose scores are random."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np

from pycaffe_ext.applications import polyp
from pycaffe_ext.data.balance import Selection, choose, take_all
from pycaffe_ext.data.pack import Candidates, pack
from pycaffe_ext.files import write_csv, write_json
from pycaffe_ext.proto import array_to_blob, caffe_pb2, write_weights
from pycaffe_ext.runs.settings import Settings
from pycaffe_ext.schemes import SCRATCH
from pycaffe_ext.training.table import Row, write_rows

GROUPS, PER_GROUP = 12, 3  # two thirds of the groups are for the test
SIDE = 64
LESIONS = 2  # at most, in a frame


def write_frames(folder: Path) -> None:
    """Frames of GROUPS groups, every third of a group without a polyp."""
    rng = np.random.default_rng(0)
    for group in range(GROUPS):
        for i in range(PER_GROUP):
            image = rng.integers(60, 120, (SIDE, SIDE + 16, 3), np.uint8)
            mask = np.zeros(image.shape[:2], np.uint8)
            for centre in ((20, 20), (50, 40))[: i % (LESIONS + 1)]:
                cv2.circle(mask, centre, 9, 255, -1)
            for part, content in (("images", image), ("masks", mask)):
                path = folder / part / f"video{group:02d}" / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), content)


def split_of(group: int) -> str:
    return "train" if group < 3 else "val" if group < 4 else "test"


def write_packed(folder: Path, frames: Path, seed: int, test_views: int = 2) -> None:
    """What an application leaves: candidates at the polyps (but for one in five) and at two places beside."""
    rng = np.random.default_rng(seed)
    found, labels, lesions = [], [], []
    listed = polyp.frames_of(Settings("polyp", "scratch", data=str(frames)), folder.parent.parent)
    for frame in listed:
        count = int(frame.name[-1]) % (LESIONS + 1)
        places = [(n + 1, x - 9, y - 9) for n, (x, y) in enumerate(((20, 20), (50, 40))[:count]) if rng.random() > 0.2]
        places += [(0, 60, 2), (0, 2, 44)]
        scores = np.sort(rng.random(len(places)))[::-1]
        for rank, ((lesion, x, y), score) in enumerate(zip(places, scores, strict=True)):
            found.append((frame.name, rank, x, y, 18, 18, score))
            labels.append((frame.name, rank, lesion))
        lesions.append((frame.name, frame.group, split_of(int(frame.group[-2:])), count))
    write_csv(folder / "candidates.csv", ("frame", "candidate", "x", "y", "w", "h", "score"), found)
    write_csv(folder / "labels.csv", ("frame", "candidate", "lesion"), labels)
    write_csv(folder / "lesions.csv", ("frame", "group", "split", "lesions"), lesions)
    _write_patches(folder, listed, found, labels, lesions, test_views)


def _write_patches(folder, listed, found, labels, lesions, test_views):
    row = {frame.name: i for i, frame in enumerate(listed)}
    table = Candidates(
        np.array([row[r[0]] for r in found]),
        np.array([r[1] for r in found]),
        np.array([r[2:6] for r in found], np.float32),
        np.array([int(r[2] > 0) for r in labels]),
    )
    splits = {name: split for name, _, split, _ in lesions}
    patches, facts = {}, {}
    for split in ("train", "val", "test"):
        members = np.array([i for i, r in enumerate(found) if splits[r[0]] == split])
        chosen = take_all(table.label[members], test_views) if split == "test" else choose(table.label[members], 40)
        selection = Selection(members[chosen.candidate], chosen.view, chosen.label)
        pack(listed, table, selection, folder, split, size=8, progress=False)
        patches[split] = len(selection)
        own = [r for r in lesions if r[2] == split]
        hit = {(labels[i][0], labels[i][2]) for i in members if labels[i][2]}
        polyps = sum(r[3] for r in own)
        positive, counts = int(table.label[members].sum()), np.bincount(selection.label, minlength=2)
        bare = sum(r[3] == 0 for r in own)
        facts[split] = {
            "frames": len(own),
            "groups": len({r[1] for r in own}),
            "frames_with_polyps": len(own) - bare,
            "frames_without_polyps": bare,
            "polyps": polyps,
            "candidates": len(members),
            "positive_candidates": positive,
            "negative_candidates": len(members) - positive,
            "candidates_per_frame": len(members) / len(own),
            "covered": len(hit) / polyps,
            "patches_before_balancing": {"positive": 120 * positive, "negative": 120 * (len(members) - positive)},
            "patches": {"positive": int(counts[1]), "negative": int(counts[0])},
        }
    write_json(folder / "data.json", {"fingerprint": "f" * 64, "patches": patches, "facts": facts})


def write_run(runs: Path, settings: Settings, packed: Path, skill: float, donor: Path) -> Path:
    """A finished run whose net tells polyps by `skill` standard deviations."""
    folder = runs / settings.name()
    folder.mkdir(parents=True)
    rng = np.random.default_rng(crc32(f"{settings.scheme} {settings.seed}".encode()))
    rows = [line.split(",") for line in (packed / "labels.csv").read_text().splitlines()[1:]]
    own = {
        tuple(line.split(",")[:2]): line.split(",")[-1]
        for line in (packed / "candidates.csv").read_text().splitlines()[1:]
    }
    splits = {line.split(",")[0]: line.split(",")[2] for line in (packed / "lesions.csv").read_text().splitlines()[1:]}
    scores = [
        (frame, rank, lesion, repr(float(1 / (1 + np.exp(-rng.normal(skill * (lesion != "0")))))), own[frame, rank])
        for frame, rank, lesion in rows
        if splits[frame] == "test"
    ]
    write_csv(folder / "scores.csv", ("frame", "candidate", "lesion", "probability", "detector"), scores)
    write_rows(folder / "auc.csv", [Row(10 * i, float(i), 0.5, 0.6, 0.6 + 0.1 * (i == 2)) for i in (1, 2, 3)])
    tuned = settings.scheme not in SCRATCH
    write_weights(folder / "best.caffemodel", net_of(np.random.default_rng(int(10 * skill))))
    write_json(
        folder / "run.json",
        {
            "settings": asdict(settings),
            "resolved": {"width": "1", "batch": 16, "data": str(packed), "donor": str(donor) if tuned else None},
            "versions": {"caffe": "caffe version 1.0.0 (lab)"},
        },
    )
    frames = [split for split in splits.values() if split == "test"]
    write_json(
        folder / "result.json",
        {
            "name": settings.title,
            "precision": settings.precision,
            "donor": str(donor) if tuned else "none, trained from scratch",
            "best": {"iteration": 20, "epoch": 2.0, "validation_auc": 0.7},
            "snapshots": 3,
            "stopped_by": "patience",
            "resumes": [],
            "test": {
                "patch_auc": round(0.5 + skill / 10 + settings.seed / 100, 6),
                "frames": len(frames),
                "lesions": 24,
                "candidates": len(scores),
            },
        },
    )
    return folder


def net_of(rng: np.random.Generator) -> caffe_pb2.NetParameter:
    blobs = [array_to_blob(rng.normal(size=shape).astype(np.float32)) for shape in ((6, 3, 5, 5), (6,))]
    return caffe_pb2.NetParameter(layer=[caffe_pb2.LayerParameter(name="conv1", type="Convolution", blobs=blobs)])


SKILLS = {"ft-fc8": 0.5, "ft-fc7": 1.0, "ft-conv3": 2.0, "ft-conv1": 3.0, "scratch": 1.5}


def write_study(root: Path, schemes=tuple(SKILLS), seeds=(0, 1), **options) -> list[Path]:
    """Folders of the runs of every scheme and seed below root/runs; the frames are in root/frames."""
    frames, runs, donor = root / "frames", root / "runs", root / "donor.caffemodel"
    if not frames.exists():
        write_frames(frames)
        write_weights(donor, net_of(np.random.default_rng(7)))
    folders = []
    for seed in seeds:
        packed = runs / "data" / f"polyp-frames-{seed}"
        if not packed.exists():
            packed.mkdir(parents=True)
            write_packed(packed, frames, seed)
        folders += [
            write_run(
                runs, Settings("polyp", scheme, data=str(frames), seed=seed, **options), packed, SKILLS[scheme], donor
            )
            for scheme in schemes
        ]
    return folders
