"""One run, from frames to the FROC curve: prepare, transfer, train with early stopping, test, draw.

Each stage leaves files in the run's folder; result.json is the last. A repeat of a finished run only shows it, one of
an interrupted run goes on, and a folder that belongs to other settings is never touched.
"""

from __future__ import annotations

import importlib
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from pycaffe_ext import __version__, nets
from pycaffe_ext.applications import APPLICATIONS, slices
from pycaffe_ext.applications.packed import Packed
from pycaffe_ext.applications.results import (
    CURVE_HEADER,
    ROC_HEADER,
    SCORE_HEADER,
    WHO,
    Evaluation,
    curve_rows,
    roc_rows,
    score_rows,
    summary,
)
from pycaffe_ext.applications.slices import PatchScores
from pycaffe_ext.data.pack import database_path
from pycaffe_ext.donor import DONOR, weights
from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import froc
from pycaffe_ext.files import digest, read_json, reading, write_csv, write_json
from pycaffe_ext.nets.shapes import parameter_shapes
from pycaffe_ext.nets.spec import SCALABLE
from pycaffe_ext.parts import sweep_all
from pycaffe_ext.proto import read_blobs, write_text
from pycaffe_ext.report import figures
from pycaffe_ext.runs import preflight
from pycaffe_ext.runs import summary as closing
from pycaffe_ext.runs.settings import Settings
from pycaffe_ext.schemes import is_fine_tuning
from pycaffe_ext.training import log, resumes
from pycaffe_ext.training.command import Caffe
from pycaffe_ext.training.fit import FitResult, Validation, fit
from pycaffe_ext.training.scoring import positive, score
from pycaffe_ext.training.snapshots import Snapshot

READY = ("polyp",)  # applications that can run; the others' nets and solvers are emitted already
EPOCH_ITERATIONS = 50  # at least so many per epoch, else the net's own batch is halved
SCORE_BATCH = 50
DISTRIBUTIONS = (
    "torch",
    "numpy",
    "opencv-python-headless",
    "simplejpeg",
    "pillow",
    "tifffile",
    "imagecodecs",
    "lmdb",
    "protobuf",
    "scikit-learn",
    "scipy",
    "h5py",
)


@dataclass(frozen=True)
class Donor:
    """The weights a fine-tuning starts from: the user's, or the embedded donor's; no file where none are needed."""

    file: Path | None
    blobs: weights.Blobs
    width: Fraction
    embedded: bool


@dataclass(frozen=True)
class Run:
    """A run whose data are packed and whose donor is known."""

    settings: Settings
    folder: Path
    data: Packed
    donor: Donor
    spec: nets.NetSpec

    @property
    def fine_tunes(self) -> bool:
        return is_fine_tuning(self.settings.scheme, self.settings.arch)

    @property
    def test_folder(self) -> Path:
        """Where the test patches are scored: they lie with the others, or come into the run's folder by slices."""
        return self.data.folder if self.data.slices == 1 else self.folder

    @property
    def output(self) -> str:
        """The blob of the head's raw values, by which patches are scored."""
        return nets.architecture(self.spec.arch).output(self.spec)


def run(
    settings: Settings,
    runs: Path,
    name: str | None = None,
    say: Callable[[str], None] = print,
    cache_gb: float | None = None,
) -> Path:
    """Carry out a run in `runs`/`name` (or a folder named after the settings) and return that folder.

    cache_gb : bound of the embedded engine's store of frozen layers' outputs; it changes the time, not the numbers.
    Raises UserError if the application is not there yet, if the folder holds a run of other settings, and for
    whatever the stages find wrong.
    """
    application = load(settings.app)
    folder = runs / (name or settings.name())
    saved = read_json(folder / "run.json") if (folder / "run.json").exists() else None
    if saved and (differing := settings.differences(saved["settings"])):
        raise UserError(
            f"{folder} holds a run of other settings ({'; '.join(differing)}); choose another RUN= or remove it"
        )
    if (folder / "result.json").exists():
        say(f"{folder} is finished; remove it to run again")
    else:
        caffe = Caffe.from_setting(settings.caffe, settings.gpu, settings.precision, cache_gb)
        _carry_out(settings, runs, folder, application, caffe, saved, say)
    say(closing.text(read_json(folder / "result.json"), folder))
    return folder


def check(jobs: Sequence[Settings], runs: Path, cache_gb: float | None = None) -> None:
    """Raise UserError for what can be known to be wrong with runs before the first of them writes anything.

    The runs differ in scheme, net, seed and length of training only.
    """
    first = jobs[0]
    caffe = Caffe.from_setting(first.caffe, first.gpu, first.precision, cache_gb)
    preflight.look(first, runs / first.name(), load(first.app).check, caffe)
    for job in {(job.arch, job.scheme): job for job in jobs}.values():
        try:
            donor = find_donor(job)
            if is_fine_tuning(job.scheme, job.arch):
                prove_transfer(job, donor)
        except UserError as error:
            raise UserError(f"{job.title}: {error}") from None


def load(app: str) -> ModuleType:
    """The module of an application; UserError for those that cannot run yet."""
    if app not in READY:
        raise UserError(
            f"{app} ({APPLICATIONS[app].title}) cannot be run yet, only {', '.join(READY)} can;"
            f" its nets and solvers are in prototxt/{app} and solvers/{app}"
        )
    return importlib.import_module(f"pycaffe_ext.applications.{app}")


def _carry_out(
    settings: Settings,
    runs: Path,
    folder: Path,
    application: ModuleType,
    caffe: Caffe,
    saved: Any,
    say: Callable[[str], None],
) -> None:
    caffe_version = preflight.look(settings, folder, application.check, caffe)
    donor = find_donor(settings)
    if is_fine_tuning(settings.scheme, settings.arch):
        say(prove_transfer(settings, donor))
    sweep_all(runs)
    data = application.prepare(settings, runs, say)
    say(closing.data_text(data.facts, data.patches, data.damaged))
    job = Run(settings, folder, data, donor, net_spec(settings, data, donor))
    solver = emit(job)
    _record(job, caffe_version, saved)
    fitted = train(job, caffe, solver, lambda start: _note_resume(job, caffe_version, start, say))
    _finish(job, runs, caffe, fitted, application)


def find_donor(settings: Settings) -> Donor:
    """The donor that WEIGHTS= names, or the embedded one, an AlexNet; also AlexNet from scratch takes its width, to be
    comparable.  UserError where another net is to be fine-tuned and WEIGHTS= is not given."""
    alexnet = settings.arch == SCALABLE
    if settings.weights or alexnet:
        file = weights.resolve(settings.weights, Path("weights")) if settings.weights else DONOR
        blobs = read_blobs(file)
        return Donor(file, blobs, weights.donor_width(blobs) if alexnet else Fraction(1), not settings.weights)
    if is_fine_tuning(settings.scheme, settings.arch):
        choices = " or ".join([f"a .caffemodel of {settings.arch}", *weights.published(settings.arch)])
        raise UserError(
            f"{settings.scheme} of {settings.arch} needs a donor, and the embedded one is an AlexNet: give WEIGHTS="
            f" {choices}, or train from scratch ({settings.app}-scratch)"
        )
    return Donor(None, {}, Fraction(1), embedded=False)


def prove_transfer(settings: Settings, donor: Donor) -> str:
    """Check that every layer but the new classifiers starts from the donor, and say so."""
    arch, spec = nets.architecture(settings.arch), _net(settings, donor)
    fresh = arch.fresh(spec)
    weights.check_transfer(donor.blobs, parameter_shapes(arch.train_val(spec), image=arch.input), fresh)
    start = "starts from its filler" if len(fresh) == 1 else "start from their fillers"
    return f"transfer proved: {', '.join(sorted(fresh))} {start}, every other blob is the donor's ({donor.file})"


def net_spec(settings: Settings, data: Packed, donor: Donor) -> nets.NetSpec:
    return replace(
        _net(settings, donor),
        batch_size=settings.batch or batch_size(data.patches["train"], settings.arch),
        val_batch_size=SCORE_BATCH,
        train_source=str(data.lmdb("train")),
        val_source=str(data.lmdb("val")),
        mean_file=str(data.mean_file),
    )


def _net(settings: Settings, donor: Donor) -> nets.NetSpec:
    """The net before its data are known."""
    return nets.NetSpec(
        app=settings.app,
        scheme=settings.scheme,
        arch=settings.arch,
        classes=APPLICATIONS[settings.app].classes,
        width=nets.parse_width(settings.width) if settings.width else donor.width,
    )


def batch_size(train_count: int, arch: str) -> int:
    """The net's own batch (AlexNet's: 256), halved until an epoch has EPOCH_ITERATIONS iterations, but not below 16."""
    size = nets.architecture(arch).batch_size
    while size > 16 and nets.iterations(train_count, size) < EPOCH_ITERATIONS:
        size //= 2
    return size


def emit(job: Run) -> Path:
    """Write the run's own prototxts; return the solver's path."""
    net, solver = job.folder / "train_val.prototxt", job.folder / "solver.prototxt"
    write_text(net, nets.train_val(job.spec))
    write_text(job.folder / "deploy.prototxt", nets.deploy(job.spec))
    for split in ("val", "test"):
        folder = job.test_folder if split == "test" else job.data.folder
        scores = nets.score_net(job.spec, str(database_path(folder, split)), SCORE_BATCH)
        write_text(job.folder / f"score_{split}.prototxt", scores)
    parameters = nets.solver(
        job.spec,
        train_count=job.data.patches["train"],
        val_count=job.data.patches["val"],
        net=str(net),
        max_epochs=job.settings.epochs,
        mode="gpu" if job.settings.gpu else "cpu",
        snapshot_prefix=str(job.folder / "snapshots" / job.settings.job),
        seed=job.settings.seed,
        base_lr=job.settings.base_lr,
    )
    write_text(solver, parameters)
    return solver


def _record(job: Run, caffe_version: str, saved: Any) -> None:
    """Write run.json before training; on going on, refuse inputs that have changed since."""
    inputs = {
        "frames": job.data.fingerprint,
        "mean.binaryproto": digest(job.data.mean_file),
        **{name: digest(job.data.folder / name) for name in ("splits.csv", "candidates.csv", "labels.csv")},
        **{f"patches_{split}.csv": digest(job.data.index(split)) for split in job.data.splits},
        **{path.name: digest(path) for path in sorted(job.folder.glob("*.prototxt"))},
    }
    if job.fine_tunes:
        inputs["donor"] = digest(job.donor.file)
    if saved and saved["inputs"] != inputs:
        changed = sorted(k for k in inputs if saved["inputs"].get(k) != inputs[k])
        raise UserError(
            f"{job.folder}: {', '.join(changed)} changed since this run began; remove it or choose another RUN="
        )
    record = {
        "settings": asdict(job.settings),
        "resolved": {
            "width": str(job.spec.width),
            "batch": job.spec.batch_size,
            "data": str(job.data.folder),
            "donor": str(job.donor.file) if job.fine_tunes else None,
        },
        "patches": job.data.patches,
        "damaged": list(job.data.damaged),
        "left_out": [asdict(one) for one in job.data.left_out],
        "inputs": inputs,
        "versions": {
            "pycaffe_ext": __version__,
            "caffe": caffe_version,
            "python": platform.python_version(),
            **{name: version(name) for name in DISTRIBUTIONS},
        },
        "resumes": saved.get("resumes", []) if saved else [],
    }
    write_json(job.folder / "run.json", record)


def _note_resume(job: Run, caffe_version: str, start: Snapshot | None, say: Callable[[str], None]) -> None:
    """Write into run.json, before Caffe goes on, that it does."""
    record = read_json(job.folder / "run.json")
    one = resumes.resume(start.iteration if start else 0, start.state if start else None, caffe_version)
    record["resumes"].append(one)
    write_json(job.folder / "run.json", record)
    say(f"this run was interrupted; {resumes.text([one])}")


def train(job: Run, caffe: Caffe, solver: Path, resumed: Callable[[Snapshot | None], None]) -> FitResult:
    validation = Validation(
        job.folder / "score_val.prototxt", job.data.patches["val"], SCORE_BATCH, job.output, job.spec.classes
    )
    epoch = nets.iterations(job.data.patches["train"], job.spec.batch_size)
    donor = job.donor.file if job.fine_tunes else None
    return fit(caffe, job.folder, solver, validation, donor, epoch, job.settings.patience, resumed=resumed)


def _finish(job: Run, runs: Path, caffe: Caffe, fitted: FitResult, application: ModuleType) -> None:
    """Score the test patches once with the chosen snapshot, write the tables, the figures and, last, result.json."""
    scores = score_test(job, runs, caffe, fitted.weights, application)
    evaluation = application.evaluate(job.data, scores)
    write_csv(job.folder / "scores.csv", SCORE_HEADER, score_rows(evaluation))
    for name, header, rows in (("froc.csv", CURVE_HEADER, curve_rows), ("roc.csv", ROC_HEADER, roc_rows)):
        lines = [row for who in WHO for row in rows(evaluation, who, job.settings.seed)]
        write_csv(job.folder / name, header, lines)
    draw(job, evaluation, fitted)
    result = {
        "name": job.settings.title,
        "precision": job.settings.precision,
        "donor": closing.donor_text(job.fine_tunes, job.donor.embedded, job.donor.file),
        "best": {"iteration": fitted.best.iteration, "epoch": fitted.best.epoch, "validation_auc": fitted.best.auc},
        "snapshots": len(fitted.rows),
        "stopped_by": fitted.reason,
        "resumes": read_json(job.folder / "run.json")["resumes"],
        "data": job.data.facts,
        "patches": job.data.patches,
        "left_out": [asdict(one) for one in job.data.left_out],
        "test": summary(evaluation, scores.probability, job.settings.seed),
    }
    write_json(job.folder / "result.json", result)
    slices.forget(job.folder)


def score_test(job: Run, runs: Path, caffe: Caffe, weights_file: Path, application: ModuleType) -> PatchScores:
    """What `caffe test` makes of every test patch, slice by slice."""

    def one(count: int) -> tuple[np.ndarray, np.ndarray]:
        probabilities, labels = score(
            caffe,
            job.folder / "score_test.prototxt",
            weights_file,
            count,
            SCORE_BATCH,
            job.output,
            job.spec.classes,
            progress=True,
        )
        return positive(probabilities), labels

    tests = application.test_set(job.settings, runs, job.data)
    return slices.score_slices(tests, job.data.folder, job.folder, weights_file, one)


def draw(job: Run, evaluation: Evaluation, fitted: FitResult) -> None:
    """Write froc.png and convergence.png."""
    curve, baseline = froc.curve(evaluation.cases), froc.curve(evaluation.baseline)
    title = f"{job.settings.title}, {job.settings.source if job.settings.data else 'synthetic frames'}"
    figures.froc_figure(job.folder / "froc.png", {job.settings.job: curve}, baseline, title=title)
    with reading(job.folder / "train.log") as file:
        losses = log.parse(file).losses
    figures.convergence_figure(job.folder / "convergence.png", fitted.rows, fitted.best.iteration, losses, title=title)
