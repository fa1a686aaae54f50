"""The training of a run: its links, what is noted of them in run.json, and the warnings about its donor."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from pycaffe_ext import nets
from pycaffe_ext.runs import board, costs, donor_checks, links, records
from pycaffe_ext.runs.job import Run, Say
from pycaffe_ext.runs.prototxts import SCORE_BATCH
from pycaffe_ext.training import early_stopping, resumes
from pycaffe_ext.training.chain import ChainResult, Hooks, Plan, fit_chain
from pycaffe_ext.training.command import Caffe
from pycaffe_ext.training.fit import Validation
from pycaffe_ext.training.snapshots import Snapshot, listing
from pycaffe_ext.training.table import Row, print_row


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
    epoch = nets.iterations(job.data.epoch_patches, job.spec.batch_size)
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


def take_links(job: Run, runs: Path, say: Say) -> None:
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


def check_donor(job: Run, caffe: Caffe, say: Say) -> None:
    """Warn, before training, of a donor in the wrong scale; the embedded one is known to be in the right one."""
    if job.checked and not job.donor.embedded:
        _warn(job, donor_checks.before_training(caffe, job.checked, job.data.lmdb("train"), job.folder), say)


def _note_resume(job: Run, caffe_version: str, number: int, start: Snapshot | None, say: Say) -> None:
    """Write into run.json, before Caffe goes on, that it does.   number : of the link, from 0."""
    record = records.read_run(job.folder)
    link = job.links[number].folder.name if job.chained else ""
    resume = resumes.resume(start.iteration if start else 0, start.state if start else None, caffe_version, link)
    records.write_run(job.folder, replace(record, resumes=[*record.resumes, resume]))
    say(f"this run was interrupted; {resumes.text([resume])}")


def _show_row(job: Run, number: int, row: Row, best: bool, say: Say) -> None:
    """Show a snapshot's row, in TensorBoard's event files too; warn of a donor's layer that the first epoch has moved
    too far."""
    print_row(row, best)
    if board.installed():
        board.write_events(job.folder, job.links)
    if job.checked and row.epoch <= 1:
        first, start = _weights(job, number, row.iteration), None
        if number:
            rows = job.links[number - 1].rows
            start = _weights(job, number - 1, early_stopping.best({one.iteration: one.auc for one in rows}))
        _warn(job, donor_checks.after_the_first_epoch(job.checked, first, start), say)


def _weights(job: Run, number: int, iteration: int) -> Path:
    """Of a link's snapshot."""
    prefix = job.links[number].folder / "snapshots" / job.settings.job
    (found,) = (snapshot for snapshot in listing(prefix) if snapshot.iteration == iteration)
    return found.weights


def _warn(job: Run, found: Sequence[str], say: Say) -> None:
    """Say what was found and write it into run.json, once."""
    record = records.read_run(job.folder)
    new = [text for text in found if text not in record.warnings]
    for text in new:
        say(f"warning: {text}")
    if new:
        records.write_run(job.folder, replace(record, warnings=[*record.warnings, *new]))
