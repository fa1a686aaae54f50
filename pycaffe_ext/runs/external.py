"""A finished run tested on all of another data set; lies in its folder as external/NAME-DIGEST, result.json comes last.

The net is the one that was tested, its candidates come from the detector that its own preparation trained, its
thresholds are those chosen on its validation samples; nothing is learned from the set, and nothing is trained again.
Items that are near-duplicates of the run's own stay in: leaving them out would make another data set of it. They are
counted, and those that resemble items of training or validation are warned of.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pycaffe_ext.applications import packed, slices
from pycaffe_ext.applications.packed import Packed
from pycaffe_ext.applications.preparation import Prepared
from pycaffe_ext.data import pack
from pycaffe_ext.data.similar import HEADER, KNOWN, Similar
from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.metrics import carried
from pycaffe_ext.evaluation.metrics.base import Headline, PatchScores
from pycaffe_ext.files import digest, write_csv
from pycaffe_ext.runs import dense, external_data, rescoring, summary
from pycaffe_ext.runs.external_data import Outside
from pycaffe_ext.runs.finished import RunFiles
from pycaffe_ext.runs.records import RESULT, ExternalRecord, read_external, write_external
from pycaffe_ext.runs.settings import Machine
from pycaffe_ext.threads import at_most
from pycaffe_ext.training.command import Caffe
from pycaffe_ext.training.scoring import ScoreNet, score
from pycaffe_ext.training.session import locked

FOLDER = "external"
NAMED = 5  # near-duplicates in texts
Say = Callable[[str], None]


def place(run: Path, outside: Outside) -> Path:
    """Where a run's test on a data set lies."""
    return run / FOLDER / outside.name


def finished(run: Path, outside: Outside) -> bool:
    return (place(run, outside) / RESULT).exists()


def run_test(run: RunFiles, outside: Outside, machine: Machine, say: Say) -> Path:
    """Test a finished run on all of `outside`, unless that is done, and say what came out; returns its folder.

    Raises UserError for what is wrong with the data, or with the files of the run.
    """
    folder = place(run.folder, outside)
    if not finished(run.folder, outside):
        with at_most(machine.threads), locked(folder):
            _carry_out(run, outside, folder, machine, say)
    say(text(run, read_external(folder), folder))
    return folder


def _carry_out(run: RunFiles, outside: Outside, folder: Path, machine: Machine, say: Say) -> None:
    caffe = Caffe.from_setting(machine.caffe, machine.gpu, run.settings.training.precision)
    version = caffe.version()
    caffe.check_gpu()
    prepared, similar = external_data.prepare(outside, run.packed, run.settings.request, rescoring.input_size(run), say)
    data = prepared.packed
    say("\n".join(f"external {line}" for line in run.application.data_text(data.facts, data.patches)))
    if data.damaged:
        say(summary.damage_text(data.damaged))
    evaluation = run.application.metric.evaluate(prepared.test, _scores(run, prepared, folder, caffe))
    files = _write(run, evaluation, folder, similar, outside)
    write_external(folder, _record(run, outside, prepared, similar, evaluation, version, files))
    slices.forget(folder)


def _record(
    run: RunFiles,
    outside: Outside,
    prepared: Prepared,
    similar: Sequence[Similar],
    evaluation: Any,
    caffe: str,
    files: list[str],
) -> ExternalRecord:
    """What result.json says; evaluation : of the run on the other data set.   caffe : its version"""
    metric, seed = run.application.metric, run.settings.request.seed
    data, validation, items = prepared.packed, run.validation, len(prepared.test.items)
    return ExternalRecord(
        name=run.settings.title,
        data=os.path.abspath(outside.source),
        dataset=outside.request.dataset,
        source=outside.request.source,
        fingerprint=data.fingerprint,
        packed=str(data.folder.relative_to(run.packed.found)),
        weights=digest(run.weights),
        caffe=caffe,
        items=items,
        groups=int(np.unique(prepared.test.group).size),
        facts=data.facts,
        patches=data.patches["test"],
        damaged=list(data.damaged),
        left_out=[asdict(one) for one in data.left_out],
        similar=summed(similar),
        test=metric.result(evaluation, seed),
        thresholds=[] if validation is None else metric.thresholds(validation, evaluation, seed),
        files=files,
        warnings=[
            *prepared.found.warnings,
            *warnings(similar, items, run.application.words[0], outside.request.source),
        ],
    )


def _scores(run: RunFiles, prepared: Prepared, folder: Path, caffe: Caffe) -> PatchScores:
    """What `caffe test` computes for every patch, as in the run's own test."""
    data, application = prepared.packed, run.application
    if application.dense(run.settings.request):
        samples = prepared.found.samples
        probability = rescoring.of_regions(run, caffe, prepared.found.items, samples, folder / "dense")
        return dense.as_scores(samples, probability)
    patches = data.folder if data.slices == 1 else folder
    net = rescoring.write_net(run, pack.database_path(patches, "test"), folder / rescoring.NET)

    def one(count: int) -> tuple[np.ndarray, np.ndarray]:
        read = ScoreNet(net, count, rescoring.BATCH, rescoring.head(run), len(data.classes))
        return score(caffe, read, run.weights, progress=True)

    return slices.score_slices(prepared.test_slices, data.folder, folder, run.weights, one)


def _write(run: RunFiles, evaluation: Any, folder: Path, similar: Sequence[Similar], outside: Outside) -> list[str]:
    """Write tables and figures; returns the names of their files."""
    metric, tables = run.application.metric, []
    for table in metric.tables(evaluation, run.settings.request.seed):
        write_csv(folder / table.file, table.header, table.rows)
        tables.append(table.file)
    write_csv(folder / external_data.SIMILAR, HEADER, map(astuple, similar))
    title = f"{run.settings.title}, tested on {outside.request.source}"
    return [*metric.figures(folder, evaluation, run.settings.job, title), *tables, external_data.SIMILAR]


def summed(similar: Sequence[Similar]) -> dict[str, Any]:
    """The near-duplicates as the record has them: how many, and the first of those that a reader must know of."""
    known = [row for row in similar if row.part in KNOWN]
    first = [*known, *(row for row in similar if row.part not in KNOWN)][:NAMED]
    return {
        "items": len({row.item for row in similar}),
        "pairs": sum(row.pairs for row in similar),
        "known": len({row.item for row in known}),
        "first": [[row.item, row.part, row.nearest, row.bits] for row in first],
    }


def warnings(similar: Sequence[Similar], items: int, word: str, source: str) -> list[str]:
    """What a reader of the figures must know."""
    if not (known := summed(similar)["known"]):
        return []
    first = next(row for row in similar if row.part in KNOWN)
    return [
        f"{known} of {items} {word}s of {source} are near-duplicates of training or validation {word}s (the first:"
        f" {first.item}, of {first.nearest} in {first.part}); they are tested on like all others, so this test does not"
        f" tell how nets do on {word}s that they have not seen; {external_data.SIMILAR} names them all"
    ]


def similar_text(record: ExternalRecord, word: str) -> str:
    """How many near-duplicates there are, and the first of them."""
    found = record.similar
    if not found["items"]:
        return f"near-duplicates between {record.source} and the run's own data: none"
    named = "; ".join(f"{item} = {nearest} ({part})" for item, part, nearest, _ in found["first"])
    more = "; ..." if found["items"] > len(found["first"]) else ""
    return (
        f"near-duplicates between {record.source} and the run's own data: {found['items']} {word}s in {found['pairs']}"
        f" pairs, {found['known']} of them of training or validation: {named}{more}"
    )


def text(run: RunFiles, record: ExternalRecord, folder: Path) -> str:
    """The outcome, and beside it that of the run's own test."""
    metric, word = run.application.metric, run.application.words[0]
    there = metric.headline(record.test)
    figures = "internal {}, external {}, fall {}".format(*fallen(metric.headline(run.result.test), there))
    return "\n".join(
        [
            f"{record.name}, external test on {record.source}: {record.items} {word}s in {record.groups} groups",
            *metric.text(record.test),
            f"  {there.name}: {figures}",
            *(carried.text(row) for row in record.thresholds[: summary.QUOTED]),
            similar_text(record, word),
            *(f"warning: {warning}" for warning in record.warnings),
            f"files: {folder}/{', '.join([RESULT, *record.files])}",
        ]
    )


def fallen(here: Headline, there: Headline) -> tuple[str, str, str]:
    """The primary endpoint in a run's own test and in the external one, and by how much it fell, for a reader."""
    return str(here), str(there), f"{here.value - there.value:+.3f}"


class ExternalRun(RunFiles):
    """A finished run as it was tested on another data set: its test, its tables, its thresholds are those there."""

    @cached_property
    def packed(self) -> Packed:
        own = RunFiles(self.settings, self.folder.parent.parent, self.result, self.record)
        folder = own.packed.found / self.external.packed
        if done := packed.load(folder):
            return done
        raise UserError(f"{folder}: the packed data of {self.folder} are gone; remove that folder and test again")

    @property
    def same_groups(self) -> bool:
        """All seeds are tested on the one data set."""
        return True

    @cached_property
    def external(self) -> ExternalRecord:
        return read_external(self.folder)


def load(run: RunFiles) -> dict[str, ExternalRun]:
    """NAME-DIGEST -> the run as it was tested there, of every data set, sorted by name."""
    found = {}
    for file in sorted((run.folder / FOLDER).glob(f"*/{RESULT}")):
        record = read_external(file.parent)
        result = replace(run.result, test=record.test, thresholds=record.thresholds, warnings=record.warnings)
        found[file.parent.name] = ExternalRun(run.settings, file.parent, result, run.record)
    return found
