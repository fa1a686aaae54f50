"""The end of a run: its test with the chosen snapshot, its tables and figures, and result.json."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from time import monotonic

import numpy as np

from pycaffe_ext import nets
from pycaffe_ext.applications import registry, slices
from pycaffe_ext.applications.packed import TestSlices
from pycaffe_ext.evaluation.metrics.base import PatchScores
from pycaffe_ext.files import write_csv
from pycaffe_ext.report import figures
from pycaffe_ext.runs import costs, dense, links, records, summary
from pycaffe_ext.runs.dense import DenseNet
from pycaffe_ext.runs.job import Run
from pycaffe_ext.runs.prototxts import ALL_SAMPLES, SCORE_BATCH
from pycaffe_ext.runs.records import VALIDATION_SCORES, Best, ResultRecord
from pycaffe_ext.training import chain
from pycaffe_ext.training.chain import ChainResult
from pycaffe_ext.training.command import Caffe
from pycaffe_ext.training.scoring import ScoreNet, score


def finish(job: Run, caffe: Caffe, fitted: ChainResult) -> None:
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
