"""One run, from a data set to the test: prepare, transfer, train with early stopping, test, draw.

Each stage leaves files in the run's folder; result.json is the last. A repeat of a finished run only shows it, one of
an interrupted run goes on, and a folder that belongs to other settings is never touched.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from pycaffe_ext import nets
from pycaffe_ext.applications import registry
from pycaffe_ext.applications.base import Application
from pycaffe_ext.applications.preparation import prepare
from pycaffe_ext.errors import UserError
from pycaffe_ext.parts import sweep_all
from pycaffe_ext.runs import costs, external, finished, preflight, records, summary, transforms
from pycaffe_ext.runs.donors import find_donor, prove_transfer
from pycaffe_ext.runs.external_data import Outside
from pycaffe_ext.runs.fitting import check_donor, take_links, train
from pycaffe_ext.runs.job import Run, Say
from pycaffe_ext.runs.outcome import finish
from pycaffe_ext.runs.prototxts import emit, net_spec, transform_of
from pycaffe_ext.runs.recording import write_record
from pycaffe_ext.runs.records import RunRecord
from pycaffe_ext.runs.settings import Machine, Settings
from pycaffe_ext.schemes import is_fine_tuning
from pycaffe_ext.threads import at_most
from pycaffe_ext.training.command import Caffe

TAKEN = ("data", "studies")  # folders in RUNS that are no runs
FEATURES = "features"  # beside the packed data: what the embedded engine stores of frozen layers, for all runs


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
    folder = _folder(runs.absolute(), name or settings.name())
    _saved(settings, folder)
    if (folder / records.RESULT).exists():
        say(f"{folder} is finished; remove it to run again")
        if outside:
            outside.check(settings.request)
    else:
        with at_most(machine.threads):
            _carry_out(settings, machine, runs.absolute(), folder, application, say, outside)
    result = records.read_result(folder)
    say(summary.text(result, folder, application.metric.text(result.test)))
    if outside:
        _test_outside(folder, outside, machine, say)
    return folder


def _folder(runs: Path, name: str) -> Path:
    """Of a run.  Raises UserError for a name that leads out of `runs`, or to what runs share there."""
    parts = Path(name).parts
    if not parts or os.path.isabs(name) or ".." in parts or parts[0] in TAKEN:
        raise UserError(f"RUN={name}: must be a folder in RUNS={runs}, but not {' or '.join(TAKEN)}, which runs share")
    return runs / name


def _saved(settings: Settings, folder: Path) -> RunRecord | None:
    """What run.json says of the run so far.  Raises UserError for a run of other settings or other data."""
    saved = records.read_run(folder) if (folder / records.RUN).exists() else None
    if saved and (differing := settings.differences(saved.parsed_settings())):
        raise UserError(
            f"{folder} holds a run of other settings ({'; '.join(differing)}); choose another RUN= or remove it"
        )
    if saved:
        saved.check_source(folder)
    return saved


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
    if outside:
        outside.read()
    sweep_all(runs)
    began = monotonic()
    prepared = prepare(application, settings.request, nets.architecture(arch).input[-1], runs, say)
    preparing = monotonic() - began
    data = prepared.packed
    if outside:
        outside.check_depth(data)
    say("\n".join(application.data_text(data.facts, data.patches)))
    say(summary.share_text(data.share))
    if data.damaged:
        say(summary.damage_text(data.damaged))
    if application.dense(settings.request) and transform.mean_file(folder, data.mean_file):
        transform = transforms.by_channel(transform, data.mean_file)
        say(f"input: {transform.about}")
    spec = net_spec(settings, data, donor, transfer, transform, folder)
    job = Run(settings, machine, folder, application, prepared, donor, transfer, transform, spec)
    emit(job)
    # read only now: while this process waited for the data, the same command elsewhere may have written it
    write_record(job, runs, caffe_version, _saved(settings, folder))
    costs.add(folder, preparing, "prepare")
    if not job.links[0].begun:
        check_donor(job, caffe, say)
        take_links(job, runs, say)
    finish(job, caffe, train(job, caffe, caffe_version, say))
