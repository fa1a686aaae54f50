"""One run, from a data set to the test: prepare, transfer, train with early stopping, test, draw.

Each stage leaves files in the run's folder; result.json is the last. A repeat of a finished run only shows it, one of
an interrupted run goes on, and a folder that belongs to other settings is never touched.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from pycaffe_ext import __version__, nets
from pycaffe_ext.applications import registry, sample_tables, slices
from pycaffe_ext.applications.base import Application
from pycaffe_ext.applications.packed import Packed, TestSlices
from pycaffe_ext.applications.preparation import Prepared, prepare
from pycaffe_ext.data.pack import database_path
from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.metrics.base import PatchScores
from pycaffe_ext.files import digest, write_csv
from pycaffe_ext.parts import sweep_all
from pycaffe_ext.proto import caffe_pb2, write_text
from pycaffe_ext.report import figures
from pycaffe_ext.runs import (
    board,
    costs,
    dense,
    donor_checks,
    external,
    finished,
    links,
    preflight,
    records,
    summary,
    transforms,
)
from pycaffe_ext.runs.dense import DenseNet
from pycaffe_ext.runs.donor_checks import Checked
from pycaffe_ext.runs.donors import Donor, Transfer, find_donor, net_of, prove_transfer
from pycaffe_ext.runs.external_data import Outside
from pycaffe_ext.runs.records import VALIDATION_SCORES, Best, ResultRecord, RunRecord
from pycaffe_ext.runs.settings import Machine, Settings
from pycaffe_ext.runs.transforms import Transform
from pycaffe_ext.schemes import is_fine_tuning
from pycaffe_ext.threads import at_most
from pycaffe_ext.training import chain, resumes
from pycaffe_ext.training.chain import ChainResult, Hooks, Link, Plan, fit_chain
from pycaffe_ext.training.command import Caffe
from pycaffe_ext.training.fit import Validation
from pycaffe_ext.training.scoring import ScoreNet, score
from pycaffe_ext.training.snapshots import Snapshot, listing
from pycaffe_ext.training.table import Row, print_row

EPOCH_ITERATIONS = 50  # the least per epoch, else the net's own batch is halved
SCORE_BATCH = 50
ALL_SAMPLES = {"val": "score_val_all.prototxt", "test": "score_test.prototxt"}  # score nets of all samples of a split
PROTOTXTS = "*.prototxt"
FEATURES = "features"  # beside the packed data: what the embedded engine stores of frozen layers, for all runs
Say = Callable[[str], None]
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
class Run:
    """A run whose data are packed and whose donor is known."""

    settings: Settings
    machine: Machine
    folder: Path
    application: Application[Any, Any]
    prepared: Prepared
    donor: Donor
    transfer: Transfer | None
    transform: Transform
    spec: nets.NetSpec

    @property
    def data(self) -> Packed:
        return self.prepared.packed

    @property
    def links(self) -> tuple[Link, ...]:
        """The trainings of its scheme."""
        return links.links_of(self.settings, self.folder)

    @property
    def chained(self) -> bool:
        return len(self.links) > 1

    @property
    def fine_tunes(self) -> bool:
        return is_fine_tuning(self.settings.scheme, self.settings.training.arch)

    @property
    def checked(self) -> Checked | None:
        """The donor of a fine-tuning, as it is checked."""
        return Checked(self.donor.file, self.donor.blobs, self.spec) if self.fine_tunes and self.donor.file else None

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
    machine: Machine = Machine(),  # noqa: B008 (frozen)
    say: Say = print,
    outside: Outside | None = None,
) -> Path:
    """Carry out a run in `runs`/`name` (or a folder named after the settings) and return that folder.

    outside : another data set, on which the finished run is tested too; a run that was finished before as well.
    Raises UserError if the application is not there yet, if the folder holds a run of other settings, and for
    whatever the stages find wrong.
    """
    application = registry.load(settings.app)
    folder = runs.absolute() / (name or settings.name())
    saved = records.read_run(folder) if (folder / records.RUN).exists() else None
    if saved and (differing := settings.differences(saved.parsed_settings())):
        raise UserError(
            f"{folder} holds a run of other settings ({'; '.join(differing)}); choose another RUN= or remove it"
        )
    if (folder / records.RESULT).exists():
        say(f"{folder} is finished; remove it to run again")
        if outside:
            outside.check(settings.request)
    else:
        with at_most(machine.threads):
            _carry_out(settings, machine, runs.absolute(), folder, application, saved, say, outside)
    result = records.read_result(folder)
    say(summary.text(result, folder, application.metric.text(result.test)))
    if outside:
        _test_outside(folder, outside, machine, say)
    return folder


def _test_outside(folder: Path, outside: Outside, machine: Machine, say: Say) -> None:
    run = finished.load(folder)
    assert run is not None  # its result was read
    external.run_test(run, outside, machine, say)


def check(jobs: Sequence[Settings], runs: Path, machine: Machine, outside: Outside | None = None) -> None:
    """Raise UserError for what can be known to be wrong with runs before the first of them writes anything.

    The runs differ in scheme, net, seed and length of training only.
    """
    first = jobs[0]
    application = registry.load(first.app)
    preflight.look(first.request, runs / first.name(), application, _caffe(first, machine, runs.absolute()), outside)
    for job in {(job.training.arch, job.scheme): job for job in jobs}.values():
        try:
            donor = find_donor(job)
            transform_of(job, donor)
            if is_fine_tuning(job.scheme, job.training.arch):
                prove_transfer(job, donor, len(application.classes(job.request)))
        except UserError as error:
            raise UserError(f"{job.title}: {error}") from None
    if outside:
        outside.read()


def _caffe(settings: Settings, machine: Machine, runs: Path) -> Caffe:
    shared = runs / "data" / FEATURES
    return Caffe.from_setting(machine.caffe, machine.gpu, settings.training.precision, machine.cache_gb, shared)


def _carry_out(
    settings: Settings,
    machine: Machine,
    runs: Path,
    folder: Path,
    application: Application[Any, Any],
    saved: RunRecord | None,
    say: Say,
    outside: Outside | None = None,
) -> None:
    caffe, arch = _caffe(settings, machine, runs), settings.training.arch
    caffe_version = preflight.look(settings.request, folder, application, caffe, outside)
    donor = find_donor(settings)
    transform, transfer = transform_of(settings, donor), None
    if is_fine_tuning(settings.scheme, arch):
        transfer = prove_transfer(settings, donor, len(application.classes(settings.request)))
        say(transfer.text(donor.file))
        if donor.card is None and donor.file and None in (settings.training.mean, settings.training.scale):
            say(transforms.without_card(settings.training.weights or donor.file))
    say(f"input: {transform.about}")
    if application.dense(settings.request):
        dense.check_mean(transform.mean_file(folder, Path("mean.binaryproto")))
    if outside:
        outside.read()
    sweep_all(runs)
    began = monotonic()
    prepared = prepare(application, settings.request, nets.architecture(arch).input[-1], runs, say)
    preparing = monotonic() - began
    data = prepared.packed
    say("\n".join(application.data_text(data.facts, data.patches)))
    say(summary.share_text(data.share))
    if data.damaged:
        say(summary.damage_text(data.damaged))
    spec = net_spec(settings, data, donor, transfer, transform, folder)
    job = Run(settings, machine, folder, application, prepared, donor, transfer, transform, spec)
    emit(job)
    _record(job, runs, caffe_version, saved)
    costs.add(folder, preparing, "prepare")
    if not job.links[0].begun:
        _check_donor(job, caffe, say)
        _take_links(job, runs, say)
    _finish(job, caffe, train(job, caffe, caffe_version, say))


def transform_of(settings: Settings, donor: Donor) -> Transform:
    """What MEAN=, SCALE= and the donor's card make of the patches."""
    arch = nets.architecture(settings.training.arch)
    return transforms.choose(settings.training, donor.card, donor.whose, arch.input[-1], arch.scale)


def net_spec(
    settings: Settings, data: Packed, donor: Donor, transfer: Transfer | None, transform: Transform, folder: Path
) -> nets.NetSpec:
    """The net of a run in `folder`.  transfer : of a fine-tuning."""
    training = settings.training
    return replace(
        net_of(settings, donor, len(data.classes)),
        batch_size=training.batch or batch_size(data.patches["train"], training.arch),
        val_batch_size=SCORE_BATCH,
        train_source=str(data.lmdb("train")),
        val_source=str(data.lmdb("val")),
        mean_file=str(transform.mean_file(folder, data.mean_file) or ""),
        mean_value=transform.mean_value,
        scale=transform.scale,
        fresh=frozenset(transfer.fresh if transfer else ()),
    )


def batch_size(train_count: int, arch: str) -> int:
    """The net's own batch (AlexNet's: 256), halved until an epoch has EPOCH_ITERATIONS iterations, but not below 16."""
    size = nets.architecture(arch).batch_size
    while size > 16 and nets.iterations(train_count, size) < EPOCH_ITERATIONS:
        size //= 2
    return size


def emit(job: Run) -> None:
    """Write the run's own prototxts, and its mean image if it has one."""
    job.transform.write(job.folder)
    write_text(job.folder / "deploy.prototxt", _deploy(job))
    for name, source in _scored(job).items():
        write_text(job.folder / name, nets.score_net(job.spec, str(source), SCORE_BATCH))
    for link in job.links:
        _emit_link(job, link)


def _emit_link(job: Run, link: Link) -> None:
    """The net and the solver of one training."""
    net, spec = link.folder / "train_val.prototxt", replace(job.spec, scheme=link.scheme)
    write_text(net, nets.train_val(spec))
    parameters = nets.solver(
        spec,
        nets.Schedule(job.data.patches["train"], job.data.patches["val"], job.settings.training.epochs),
        net=str(net),
        mode="gpu" if job.machine.gpu else "cpu",
        snapshot_prefix=str(link.folder / "snapshots" / job.settings.job),
        seed=job.settings.training.seed,
        base_lr=job.settings.training.base_lr,
    )
    write_text(link.solver, parameters)


def _deploy(job: Run) -> caffe_pb2.NetParameter:
    """The net to use.  What its input was in training stands in its Input layer, where a person or a program finds it:
    Caffe reads and ignores it there, for an Input layer is filled by its caller."""
    net = nets.deploy(job.spec)
    net.layer[0].transform_param.CopyFrom(nets.architecture(job.spec.arch).transform(job.spec))
    return net


def _scored(job: Run) -> dict[str, Path]:
    """Score net -> the LMDB that it reads."""
    return {
        "score_val.prototxt": database_path(job.data.folder, "val"),
        ALL_SAMPLES["val"]: database_path(job.folder, "val"),
        ALL_SAMPLES["test"]: database_path(job.test_folder, "test"),
    }


def _record(job: Run, runs: Path, caffe_version: str, saved: RunRecord | None) -> None:
    """Write run.json before training; on going on, refuse inputs that have changed since."""
    inputs = _inputs(job, runs)
    if saved and saved.inputs != inputs:
        changed = sorted(k for k in inputs.keys() | saved.inputs.keys() if saved.inputs.get(k) != inputs.get(k))
        raise UserError(
            f"{job.folder}: {', '.join(changed)} changed since this run began; remove it or choose another RUN="
        )
    record = RunRecord(
        settings=job.settings.record(),
        machine={**asdict(job.machine), "host": platform.node(), "cores": os.cpu_count()},
        resolved={
            "width": str(job.spec.width),
            "batch": job.spec.batch_size,
            "data": str(job.data.folder),
            "donor": os.path.abspath(job.donor.file) if job.fine_tunes and job.donor.file else None,
            "input": job.transform.record(),
            **(asdict(job.transfer) if job.transfer else {}),
        },
        patches=job.data.patches,
        damaged=list(job.data.damaged),
        left_out=[asdict(one) for one in job.data.left_out],
        inputs=inputs,
        versions={
            "pycaffe_ext": __version__,
            "caffe": caffe_version,
            "python": platform.python_version(),
            **{name: version(name) for name in DISTRIBUTIONS},
        },
        resumes=saved.resumes if saved else [],
        warnings=saved.warnings if saved else [],
        cost=saved.cost if saved else {},
    )
    records.write_run(job.folder, record)


def _inputs(job: Run, runs: Path) -> dict[str, str]:
    """name -> sha256 of everything that the run is made of."""
    found = job.data.found
    mean_file = job.transform.mean_file(job.folder, job.data.mean_file)
    tables = ("splits.csv", sample_tables.ITEMS, sample_tables.SAMPLES)
    inputs = {
        "items": job.data.fingerprint,
        **({"mean.binaryproto": digest(mean_file)} if mean_file else {}),
        **{name: digest(found / name) for name in tables},
        **job.application.fitted(found),
        **{f"patches_{split}.csv": digest(job.data.index(split)) for split in job.data.splits},
        **{str(path.relative_to(job.folder)): _prototxt_digest(path, runs) for path in _prototxts(job)},
    }
    if job.fine_tunes and job.donor.file:
        inputs["donor"] = digest(job.donor.file)
    return inputs


def _prototxts(job: Run) -> list[Path]:
    return sorted(
        {path for folder in (job.folder, *(one.folder for one in job.links)) for path in folder.glob(PROTOTXTS)}
    )


def _prototxt_digest(path: Path, runs: Path) -> str:
    """Where the runs lie, and whether a GPU is used, is no part of a run's identity."""
    text = path.read_bytes().replace(os.fsencode(runs), b"RUNS").replace(b"solver_mode: GPU", b"solver_mode: CPU")
    return hashlib.sha256(text).hexdigest()


def _note_resume(job: Run, caffe_version: str, number: int, start: Snapshot | None, say: Say) -> None:
    """Write into run.json, before Caffe goes on, that it does.   number : of the link, from 0."""
    record = records.read_run(job.folder)
    link = job.links[number].folder.name if job.chained else ""
    resume = resumes.resume(start.iteration if start else 0, start.state if start else None, caffe_version, link)
    records.write_run(job.folder, replace(record, resumes=[*record.resumes, resume]))
    say(f"this run was interrupted; {resumes.text([resume])}")


def _take_links(job: Run, runs: Path, say: Say) -> None:
    """Copy the first links of a chain from the finished run that has trained them, with what they cost."""
    record = records.read_run(job.folder)
    done = links.trained(job.settings, record, runs)
    if done is None:
        return
    spent = links.take_links(done, job.links)
    for name, seconds in spent.items():
        costs.add(job.folder, seconds, "train", costs.TAKEN, costs.link_stage(name))
    _warn(job, done.result.warnings, say)
    say(f"{done.folder.name} has trained {', '.join(spent)} already: taken")


def _check_donor(job: Run, caffe: Caffe, say: Say) -> None:
    """Warn, before training, of a donor in the wrong scale; the embedded one is known to be in the right one."""
    if job.checked and not job.donor.embedded:
        _warn(job, donor_checks.before_training(caffe, job.checked, job.data.lmdb("train"), job.folder), say)


def _show_row(job: Run, number: int, row: Row, best: bool, say: Say) -> None:
    """Show a snapshot's row, in TensorBoard's event files too; warn of a donor's layer that the first epoch has moved
    too far."""
    print_row(row, best)
    if board.installed():
        board.write_events(job.folder, job.links)
    if job.checked and row.epoch <= 1:
        prefix = job.links[number].folder / "snapshots" / job.settings.job
        (first,) = (snapshot for snapshot in listing(prefix) if snapshot.iteration == row.iteration)
        _warn(job, donor_checks.after_the_first_epoch(job.checked, first.weights), say)


def _warn(job: Run, found: Sequence[str], say: Say) -> None:
    """Say what was found and write it into run.json, once."""
    record = records.read_run(job.folder)
    new = [text for text in found if text not in record.warnings]
    for text in new:
        say(f"warning: {text}")
    if new:
        records.write_run(job.folder, replace(record, warnings=[*record.warnings, *new]))


def train(job: Run, caffe: Caffe, caffe_version: str, say: Say) -> ChainResult:
    """Train the links of the run's scheme, each with early stopping."""
    validation = Validation(
        job.folder / "score_val.prototxt",
        job.data.patches["val"],
        SCORE_BATCH,
        job.output,
        job.spec.classes,
        job.application.metric.validation,
    )
    epoch = nets.iterations(job.data.patches["train"], job.spec.batch_size)
    plan = Plan(job.donor.file if job.fine_tunes else None, epoch, job.settings.training.patience)
    hooks = Hooks(
        around=lambda number: _counted(job, number, say),
        progress=lambda number, row, best: _show_row(job, number, row, best, say),
        resumed=lambda number, start: _note_resume(job, caffe_version, number, start, say),
    )
    return fit_chain(caffe, job.folder, job.links, plan, validation, hooks)


def _counted(job: Run, number: int, say: Say) -> AbstractContextManager[None]:
    """What a link takes is counted, in a chain by itself too."""
    if not job.chained:
        return costs.counted(job.folder, "train")
    link = job.links[number]
    say(f"link {number + 1} of {len(job.links)}: {link.scheme}")
    return costs.counted(job.folder, "train", costs.link_stage(link.folder.name))


def _finish(job: Run, caffe: Caffe, fitted: ChainResult) -> None:
    """Score all validation samples, from which thresholds come, and once the test's, with the chosen snapshot; write
    the tables, the figures and, last, result.json."""
    seed, prepared, began = job.settings.request.seed, job.prepared, monotonic()
    scores = _score(job, caffe, fitted.weights, prepared.validation_slices)
    metric = job.application.metric.tuned(prepared.validation, scores)
    validation = metric.evaluate(prepared.validation, scores)
    evaluation = metric.evaluate(prepared.test, _score(job, caffe, fitted.weights, prepared.test_slices))
    tables = []
    for table in (*metric.tables(evaluation, seed), replace(metric.scores(validation), file=VALIDATION_SCORES)):
        write_csv(job.folder / table.file, table.header, table.rows)
        tables.append(table.file)
    drawn = metric.figures(job.folder, evaluation, job.settings.job, _title(job))
    draw_convergence(job, fitted)
    record = records.read_run(job.folder)
    result = ResultRecord(
        name=job.settings.title,
        donor=summary.donor_text(job.fine_tunes, job.donor.embedded, job.donor.file),
        input=job.transform.about,
        best=Best(
            fitted.best.iteration,
            fitted.best.epoch,
            fitted.best.auc,
            job.links[fitted.chosen].folder.name if job.chained else "",
        ),
        snapshots=len(fitted.rows),
        stopped_by=fitted.reason,
        data=job.data.facts,
        patches=job.data.patches,
        left_out=[asdict(one) for one in job.data.left_out],
        test=metric.result(evaluation, seed),
        files=[*drawn, "convergence.png", "auc.csv", *tables, fitted.weights.name],
        precision=job.settings.training.precision,
        resumes=record.resumes,
        warnings=record.warnings,
        thresholds=metric.thresholds(validation, evaluation, seed),
        share=dict(job.data.share),
        links=links.records(job.links, fitted) if job.chained else [],
    )
    costs.end(job.folder, monotonic() - began, _scored_patches(job), fitted.weights)
    records.write_result(job.folder, result)
    slices.forget(job.folder)


def _scored_patches(job: Run) -> int:
    """The patches of the test and of all validation samples; places, where nets see whole regions."""
    prepared = job.prepared
    if job.application.dense(job.settings.request):
        return sum(len(prepared.found.rows(split)) for split in ("val", "test"))
    return sum(len(one) for own in (prepared.validation_slices, prepared.test_slices) for one in own.selections)


def _score(job: Run, caffe: Caffe, weights_file: Path, samples: TestSlices) -> PatchScores:
    """What `caffe test` computes for every patch of all samples of a split, slice by slice, or for whole regions."""
    if job.application.dense(job.settings.request):
        return _score_densely(job, caffe, weights_file, samples.split)

    def one(count: int) -> tuple[np.ndarray, np.ndarray]:
        net = ScoreNet(job.folder / ALL_SAMPLES[samples.split], count, SCORE_BATCH, job.output, job.spec.classes)
        return score(caffe, net, weights_file, progress=True)

    return slices.score_slices(samples, job.data.folder, job.folder, weights_file, one)


def _score_densely(job: Run, caffe: Caffe, weights_file: Path, split: str) -> PatchScores:
    found, rows = job.prepared.found, job.prepared.found.rows(split)
    image = nets.architecture(job.spec.arch).input
    net = DenseNet(job.folder / ALL_SAMPLES[split], weights_file, job.output, job.spec.classes, image)
    own = found.samples.chosen(rows)
    probability = dense.probabilities(caffe, net, job.application, found.items, own, job.folder / "dense")
    return dense.as_scores(own, probability)


def _title(job: Run) -> str:
    return f"{job.settings.title}, {registry.load(job.settings.app).data_name(job.settings.request)}"


def draw_convergence(job: Run, fitted: ChainResult) -> None:
    """Write convergence.png."""
    losses = chain.logs(job.links).losses
    figures.convergence_figure(
        job.folder / "convergence.png", fitted.rows, fitted.best.iteration, losses, title=_title(job)
    )
