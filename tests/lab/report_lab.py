"""A small study as its run folders: frames with round polyps, packed data, and runs whose scores are random."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np

from pycaffe_ext.applications.polyp import MODEL, Polyp, labelled
from pycaffe_ext.applications.preparation import Prepared, prepare
from pycaffe_ext.data.frames import Frame
from pycaffe_ext.data.items import Samples
from pycaffe_ext.detector import UNTRAINED_MODEL
from pycaffe_ext.evaluation.metrics.base import PatchScores, TestData
from pycaffe_ext.evaluation.metrics.detection import Detection, Evaluation
from pycaffe_ext.files import write_csv
from pycaffe_ext.proto import array_to_blob, caffe_pb2, write_weights
from pycaffe_ext.runs import external
from pycaffe_ext.runs.external_data import outside
from pycaffe_ext.runs.finished import RunFiles
from pycaffe_ext.runs.records import VALIDATION_SCORES, Best, ResultRecord, RunRecord, write_result
from pycaffe_ext.runs.records import write_run as write_record
from pycaffe_ext.runs.settings import DataRequest, Machine, Settings, TestSet
from pycaffe_ext.schemes import SCRATCH
from pycaffe_ext.training.table import Row, write_rows

GROUPS, PER_GROUP = 12, 3  # two thirds of the groups are for the test
SIDE = 64
LESIONS = 2  # at most, in a frame


def write_frames(folder: Path, groups: int = GROUPS, seed: int = 0) -> None:
    """Frames of some groups, every third of a group without a polyp."""
    rng = np.random.default_rng(seed)
    for group in range(groups):
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


class Scripted(Polyp):
    """Candidates at the polyps (but for one in five) and at two places beside; splits by the number of the video."""

    test_views = 2

    def fixed_splits(self, items: Sequence[Frame]) -> dict[str, list[Frame]]:
        splits: dict[str, list[Frame]] = {}
        for frame in items:
            splits.setdefault(split_of(int(frame.group[-2:])), []).append(frame)
        return splits

    def propose(self, parts, workspace: Path, request: DataRequest) -> Samples:
        UNTRAINED_MODEL.save(workspace / MODEL)
        return self._candidates([frame for part in parts.values() for frame in part], request.seed)

    def apply_labelled(self, items, workspace: Path) -> Samples:
        return self._candidates(items, len(str(workspace)))

    def _candidates(self, frames, seed: int) -> Samples:
        rng, found = np.random.default_rng(seed), {}
        for frame in sorted(frames, key=lambda frame: frame.name):
            count = int(frame.name[-1]) % (LESIONS + 1)
            places = [(x - 9, y - 9) for x, y in ((20, 20), (50, 40))[:count] if rng.random() > 0.2]
            places += [(60, 2), (2, 44)]
            scores = np.sort(rng.random(len(places)))[::-1]
            found[frame.name] = np.array(
                [(x, y, 18, 18, s) for (x, y), s in zip(places, scores, strict=True)], np.float32
            )
        return labelled(frames, [found[frame.name] for frame in frames])


def write_packed(runs: Path, settings: Settings) -> Prepared:
    return prepare(Scripted(), settings.request, 8, runs)


def write_run(runs: Path, settings: Settings, prepared: Prepared, skill: float, donor: Path) -> Path:
    """A finished run whose net tells polyps by `skill` standard deviations."""
    folder = runs / settings.name()
    folder.mkdir(parents=True)
    rng = np.random.default_rng(crc32(f"{settings.scheme} {settings.seed}".encode()))
    test = prepared.test
    lesion, score = test.samples.target, test.samples.score
    probability = 1 / (1 + np.exp(-rng.normal(skill * (lesion > 0))))
    rows = zip(test.samples.item, test.samples.number, lesion, probability.tolist(), score.tolist(), strict=True)
    scores = [(test.items[i], rank, hit, repr(chance), repr(own)) for i, rank, hit, chance, own in rows]
    write_csv(folder / "scores.csv", ("frame", "candidate", "lesion", "probability", "detector"), scores)
    write_rows(folder / "auc.csv", [Row(10 * i, float(i), 0.5, 0.6, 0.6 + 0.1 * (i == 2)) for i in (1, 2, 3)])
    tuned = settings.scheme not in SCRATCH
    validation = evaluated(prepared.validation, skill, rng)
    table = Detection().scores(validation)
    write_csv(folder / VALIDATION_SCORES, table.header, table.rows)
    thresholds = Detection().thresholds(validation, Detection().read(folder, test), settings.seed)
    write_weights(folder / "best.caffemodel", net_of(np.random.default_rng(int(10 * skill))))
    data = str(prepared.packed.folder)
    resolved = {"width": "1", "batch": 16, "data": data, "donor": str(donor) if tuned else None}
    versions = {"caffe": "caffe version 1.0.0 (lab)"}
    write_result_and_record(folder, settings, resolved, versions, donor, skill, len(scores), thresholds)
    return folder


def evaluated(data: TestData, skill: float, rng: np.random.Generator) -> Evaluation:
    """Of a net that tells polyps by `skill` standard deviations, with a patch for each candidate."""
    positive = 1 / (1 + np.exp(-rng.normal(skill * (data.samples.target > 0))))
    probability = np.stack([1 - positive, positive], axis=1)
    return Detection().evaluate(data, PatchScores(np.arange(len(data.samples)), data.samples.label, probability))


def write_result_and_record(folder, settings, resolved, versions, donor, skill, candidates, thresholds):
    write_record(folder, RunRecord(settings.record(), {}, resolved, {}, [], [], {}, versions))
    test = {
        "patch_auc": round(0.5 + skill / 10 + settings.seed / 100, 6),
        "frames": 24,
        "lesions": 24,
        "candidates": candidates,
    }
    text = str(donor) if settings.scheme not in SCRATCH else "none, trained from scratch"
    precision = settings.training.precision
    result = ResultRecord(
        settings.title,
        text,
        Best(20, 2.0, 0.7),
        3,
        "patience",
        {},
        {},
        [],
        test,
        [],
        precision=precision,
        thresholds=thresholds,
    )
    write_result(folder, result)


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
        jobs = [Settings.of("polyp", scheme, data=str(frames), seed=seed, **options) for scheme in schemes]
        prepared = write_packed(runs, jobs[0])
        folders += [write_run(runs, job, prepared, SKILLS[job.scheme], donor) for job in jobs]
    return folders


class Silent:
    """In place of a caffe."""

    def version(self) -> str:
        return "caffe version 1.0.0 (lab)"

    def check_gpu(self) -> None:
        pass


def test_outside(monkeypatch, run: RunFiles, folder: Path, skill: float) -> str:
    """Test a finished run on the frames in `folder`, where its net tells polyps by `skill`; returns NAME-DIGEST."""
    run.__dict__["application"] = Scripted()
    other = outside(run.settings.request, TestSet(str(folder)), run.folder.parent)
    other.__dict__["application"] = run.application

    def scores(run, prepared, folder, caffe) -> PatchScores:
        rng = np.random.default_rng(crc32(f"{run.settings.scheme} {run.settings.seed} outside".encode()))
        samples = prepared.test.samples
        positive = 1 / (1 + np.exp(-rng.normal(skill * (samples.target > 0))))
        return PatchScores(np.arange(len(samples)), samples.label, np.stack([1 - positive, positive], axis=1))

    monkeypatch.setattr(external, "_scores", scores)
    monkeypatch.setattr(external, "text", lambda *_: "")  # the result of a run here has not all figures
    monkeypatch.setattr(external.Caffe, "from_setting", lambda *_: Silent())
    monkeypatch.setattr(external.rescoring, "input_size", lambda run: 8)
    return external.run_test(run, other, Machine(), lambda _: None).name


test_outside.__test__ = False  # it is no test
