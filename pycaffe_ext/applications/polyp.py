"""Polyp detection in colonoscopy frames (paper, section 6): frames -> candidates -> patches -> LMDB, and FROC.

What is about polyps stands here; the stages themselves are in `data`, `detector` and `evaluation`. Each stage leaves
its file in the folder of packed data and is not repeated while that file is there, so an interrupted preparation goes
on. Test frames are only looked at by what training left behind: the detector's model, the mean image and the nets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np

from pycaffe_ext import __version__, detector, nets
from pycaffe_ext.applications import APPLICATIONS, cases, packed
from pycaffe_ext.applications.cases import LABEL_KINDS, Cases
from pycaffe_ext.applications.packed import Packed, TestSet
from pycaffe_ext.applications.results import Evaluation, tested_frames
from pycaffe_ext.applications.slices import PatchScores
from pycaffe_ext.data import frames as frame_files
from pycaffe_ext.data import pack, sources, splits, synthetic, verify
from pycaffe_ext.data.balance import Selection, choose, take_all
from pycaffe_ext.data.frames import Frame
from pycaffe_ext.data.groups import check_near_duplicates, join_near_duplicates
from pycaffe_ext.data.sources import plain
from pycaffe_ext.errors import UserError, known
from pycaffe_ext.evaluation import froc
from pycaffe_ext.nets import emission
from pycaffe_ext.programs import compute_image_mean
from pycaffe_ext.runs.settings import Settings, short_hash

SLUG = "polyp"
MODEL = "detector.npz"  # the detector that was trained on the training frames
SLICE = 50_000  # test patches packed at a time: 8 GB of raw AlexNet patches
LAYOUT = 3  # of the folder of packed data; older ones are packed again


def check(settings: Settings) -> None:
    """Raise UserError for what is wrong with DATA= and DATASET= and can be told before a frame is read."""
    if settings.data:
        sources.recognise(settings.data, settings.dataset)
    elif settings.dataset:
        known(settings.dataset, sources.SOURCES, "data set")
        raise UserError(f"DATASET={settings.dataset} says what DATA= holds; give DATA= too, or leave DATASET= out")


def prepare(settings: Settings, runs: Path, say: Callable[[str], None] = lambda line: None) -> Packed:
    """Pack the patches that `settings` ask for, unless they are packed already, check them and return their record.

    Runs that differ only in training share one folder, `runs`/data/polyp-SOURCE-DIGEST; other frames, even of the same
    names, get another one.  `say` is told first which pictures no frame was made from.  Raises UserError for unusable
    frames, and if what lies in the folder is not what belongs there: LMDB and index, index and splits, pixels and
    frames, near-duplicates or groups in two splits.
    """
    frames = frames_of(settings, runs)
    left = sources.left_out(Path(settings.data), frames) if settings.data else []
    if left:
        say(sources.left_out_text(left))
    fingerprint = frame_files.fingerprint(frames)
    folder = folder_of(settings, runs, fingerprint)
    folder.mkdir(parents=True, exist_ok=True)
    parts = _split(settings, frames, folder)
    check_near_duplicates(parts)
    found = _cases(settings, parts, folder)
    done = packed.load(folder) or _pack(settings, found, fingerprint, folder, frame_files.damaged_frames(frames))
    _check(settings, done, found)
    return replace(done, left_out=tuple(left))


def frames_of(settings: Settings, runs: Path) -> list[Frame]:
    """Frames of the user's data set, or of the synthetic sequences, which are made once; sorted by name."""
    if settings.data:
        return sources.find(settings.data, settings.dataset, runs / "data" / "videos", reading=settings.reading)
    folder = runs / "data" / f"synthetic-{settings.seed}"
    if not folder.exists():
        synthetic.write_sequences(folder, seed=settings.seed)
    return [replace(frame, source="synthetic") for frame in plain.find(folder)]


def folder_of(settings: Settings, runs: Path, fingerprint: str) -> Path:
    """The folder of the packed data, named by everything that decides its content."""
    key = {
        "frames": fingerprint,
        "dataset": settings.dataset,
        "mask": settings.mask,
        "damaged": settings.damaged,
        "patches": settings.patches,
        "test_views": settings.test_views,
        "encoding": settings.encoding,
        "seed": settings.seed,
        "size": _size(settings),
        "slice": SLICE,
        "detector": asdict(detector.Detector()),
        "version": __version__,
        "layout": LAYOUT,
    }
    return runs / "data" / f"{SLUG}-{settings.source}-{short_hash(key)}"


def test_set(settings: Settings, runs: Path, done: Packed) -> TestSet:
    """The test patches of packed data, in slices; what is packed twice has the same bytes."""
    found = _cases(settings, _split(settings, frames_of(settings, runs), done.folder), done.folder)
    slices = _slices(settings, found)

    def write(number: int, folder: Path) -> None:
        if folder != done.folder:
            _pack_split(settings, found, _every_view(settings, found, slices[number]), folder, "test")
            _check_split(settings, found, folder, "test")

    return TestSet(found.names(found.of("test")), done.slices, write)


def evaluate(done: Packed, scores: PatchScores) -> Evaluation:
    """The test candidates, each scored by the mean probability of its patches (paper, section 6)."""
    row, lesions, group = tested_frames(done.folder)
    own, hits = (
        _of_frames(done.folder / name, kinds, row)
        for name, kinds in (("candidates.csv", detector.KINDS), ("labels.csv", LABEL_KINDS))
    )
    names = tuple(zip(own["frame"].tolist(), own["candidate"].tolist(), strict=True))
    if names != tuple(zip(hits["frame"].tolist(), hits["candidate"].tolist(), strict=True)):
        raise UserError(f"{done.folder}: candidates.csv and labels.csv differ; remove the folder and run again")
    network = froc.candidate_scores(scores.candidate, scores.probability, len(names))
    frame = np.array([row[name] for name, _ in names])
    both = [froc.Cases(frame, s, hits["lesion"], lesions) for s in (network, own["score"])]
    return Evaluation(*both, group=group, names=names, patch_label=scores.label, patch_candidate=scores.candidate)


def _cases(settings: Settings, parts: splits.Splits, folder: Path) -> Cases:
    """The labelled candidates of all frames, split by split."""
    return cases.label(parts, _detect(settings, parts, folder), folder)


def _split(settings: Settings, frames: list[Frame], folder: Path) -> splits.Splits:
    """The splits of frames, drawn and written once."""
    table = folder / "splits.csv"
    if not table.exists():
        splits.write_splits(table, draw_splits(frames, settings.seed))
    return splits.read_splits(table, frames)


def draw_splits(frames: list[Frame], seed: int) -> splits.Splits:
    """Training, validation and test frames: by group, near-duplicate frames in one group."""
    positive = frame_files.polyp_pixels(frames) > 0
    return splits.split_frames(join_near_duplicates(frames), positive, seed=seed)


def _detect(settings: Settings, parts: splits.Splits, folder: Path) -> list[np.ndarray]:
    """Candidates (n, 5) of each frame; the detector is trained on the training frames and on nothing else.

    Those of the training frames come from models that did not see their group, as it is with all other frames.
    """
    table, frames = folder / "candidates.csv", [frame for part in parts.values() for frame in part]
    if not table.exists():
        found, model = detector.cross_fitted(parts, detector.Detector(), settings.seed)
        model.save(folder / MODEL)
        detector.write_candidates(table, frames, [boxes for part in parts for boxes in found[part]])
    return detector.read_candidates(table, frames)


def _pack(settings: Settings, found: Cases, fingerprint: str, folder: Path, damaged: Sequence[str]) -> Packed:
    """Pack what is not packed yet; write the mean image and the record of all."""
    cases.check(found)
    slices = _slices(settings, found)
    selections: dict[str, Callable[[], Selection]] = {
        split: partial(_balanced, settings, found, split) for split in ("train", "val")
    }
    if len(slices) == 1:
        selections["test"] = partial(_every_view, settings, found, slices[0])
    patches = np.where(found.split[found.table.frame] == "test", settings.test_views, 0)  # of each candidate
    chosen = {split: select() for split, select in selections.items()}
    todo = [split for split in chosen if not pack.index_path(folder, split).exists()]
    pack.check_room(folder, sum(len(chosen[split]) for split in todo), settings.encoding, _size(settings))
    for split, selection in chosen.items():
        if split != "test":
            patches += np.bincount(selection.candidate, minlength=len(patches))
        if split in todo:
            _pack_split(settings, found, selection, folder, split)
    compute_image_mean.write_mean(pack.database_path(folder, "train"), folder)
    counts = {split: int(patches[found.of(split)].sum()) for split in splits.SPLITS}
    model = detector.Model.load(folder / MODEL).digest()
    done = Packed(folder, fingerprint, counts, cases.facts(found, patches), len(slices), model, tuple(damaged))
    done.save()
    return done


def _balanced(settings: Settings, found: Cases, split: str) -> Selection:
    """The patches of training or validation: as many of either class, chosen before any is cut."""
    members = found.of(split)
    limit = dict(zip(("train", "val"), emission.split(settings.patches), strict=True))[split]
    chosen = choose(found.table.label[members], limit, seed=settings.seed, classes=APPLICATIONS[SLUG].classes)
    return Selection(members[chosen.candidate], chosen.view, chosen.label)


def _every_view(settings: Settings, found: Cases, rows: np.ndarray) -> Selection:
    """The patches by which the test candidates in `rows` are scored."""
    chosen = take_all(found.table.label[rows], settings.test_views)
    return Selection(rows[chosen.candidate], chosen.view, chosen.label)


def _slices(settings: Settings, found: Cases) -> list[np.ndarray]:
    """Rows of the test candidates, so many at a time that their patches are a slice."""
    members, step = found.of("test"), max(1, SLICE // settings.test_views)
    return [members[start : start + step] for start in range(0, len(members), step)]


def _pack_split(settings: Settings, found: Cases, selection: Selection, folder: Path, split: str) -> None:
    pack.pack(
        found.frames,
        found.table,
        selection,
        folder,
        split,
        encoding=settings.encoding,
        seed=settings.seed,
        size=_size(settings),
    )


def _size(settings: Settings) -> int:
    """Rows and columns of a patch: the net's input."""
    return nets.architecture(settings.arch).input[-1]


def _check(settings: Settings, done: Packed, found: Cases) -> None:
    """Look at all that keeps the test honest once more, from the packed files themselves."""
    for split in done.splits:
        if (count := _check_split(settings, found, done.folder, split)) != done.patches[split]:
            raise UserError(
                f"{done.lmdb(split)}: {count} patches, data.json says {done.patches[split]}; remove {done.folder} to"
                " pack anew"
            )
    verify.check_index({split: done.index(split) for split in done.splits})
    if detector.Model.load(done.folder / MODEL).digest() != done.detector:
        raise UserError(f"{done.folder / MODEL}: not the detector that found the candidates; remove {done.folder}")


def _check_split(settings: Settings, found: Cases, folder: Path, split: str) -> int:
    """LMDB against index, index against splits, pixels against frames; returns the number of patches."""
    files = pack.database_path(folder, split), pack.index_path(folder, split)
    count = verify.verify(*files)
    verify.check_splits(files[1], split, found.parts)
    verify.check_pixels(*files, found.frames, found.table, settings.encoding, _size(settings))
    return count


def _of_frames(table: Path, kinds: dict[str, type], frames: dict[str, int]) -> dict[str, np.ndarray]:
    """Rows of a table that are about `frames`."""
    columns = packed.read_columns(table, kinds)
    keep = np.array([name in frames for name in columns["frame"]], bool)
    return {name: column[keep] for name, column in columns.items()}
