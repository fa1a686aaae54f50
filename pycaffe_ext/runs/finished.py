"""The finished runs of a study: what lies in their folders, and whether they may stand in one figure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from pycaffe_ext.applications import packed, registry, sample_tables
from pycaffe_ext.applications.base import Application
from pycaffe_ext.applications.packed import Packed
from pycaffe_ext.applications.preparation import data_of
from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.metrics.base import TestData
from pycaffe_ext.files import digest
from pycaffe_ext.runs.records import (
    RESULT,
    VALIDATION_SCORES,
    ExternalRecord,
    ResultRecord,
    RunRecord,
    read_externals,
    read_result,
    read_run,
)
from pycaffe_ext.runs.settings import Settings
from pycaffe_ext.schemes import SCRATCH, chains, depths, is_depth
from pycaffe_ext.training import resumes
from pycaffe_ext.training.table import Row, read_rows

COMPARED = ("item", "number", "target", "targets", "score", "measures")  # of the samples of two runs


@dataclass(frozen=True)
class RunFiles:
    """A finished run."""

    settings: Settings
    folder: Path
    result: ResultRecord
    record: RunRecord

    @cached_property
    def application(self) -> Application[Any, Any]:
        """With what the run chose on its validation items."""
        with _naming(self.folder):
            return registry.load(self.settings.app).as_tested(self.result.test)

    @cached_property
    def packed(self) -> Packed:
        """The packed data: where they were then, or beside the run if both were moved; UserError if there are none."""
        named = Path(self.record.resolved["data"])
        beside = self.folder.parent / "data" / Path(*named.parts[-2:])
        for folder in (named, beside):
            if done := packed.load(folder):
                return done
        raise UserError(f"{named}: the packed data of {self.folder} are gone; remove the run and run it again")

    @cached_property
    def test(self) -> TestData:
        """The test items and samples, from the tables of the found data."""
        return read_test(self.packed, self.application)

    @cached_property
    def validation(self) -> Any:
        """The same of all validation samples, None where a run of an earlier version did not keep their scores."""
        if not (self.folder / VALIDATION_SCORES).exists():
            return None
        samples = read_test(self.packed, self.application, "val")
        return self.application.metric.read(self.folder, samples, VALIDATION_SCORES)

    @cached_property
    def evaluation(self) -> Any:
        """What the application's metric says of the net on the test data; UserError if scores.csv is not of them."""
        return self.application.metric.read(self.folder, self.test)

    @cached_property
    def snapshots(self) -> list[Row]:
        """The rows of auc.csv; UserError if there are none."""
        if not (rows := read_rows(self.folder / "auc.csv")):
            raise UserError(f"{self.folder / 'auc.csv'} is missing or empty; remove the run and run it again")
        return rows

    @cached_property
    def externals(self) -> list[ExternalRecord]:
        """Its tests on other data sets."""
        return read_externals(self.folder)

    @property
    def mean_file(self) -> Path | None:
        """The mean image that is subtracted from the patches: the data's or the run's own; None for mean values."""
        mean = self.record.resolved.get("input", {}).get("mean", "data")
        if mean == "data":
            return self.packed.mean_file
        return self.folder / mean if isinstance(mean, str) else None

    @cached_property
    def weights(self) -> Path:
        """The chosen snapshot's weights, in the format that Caffe wrote; UserError if they are gone or were changed."""
        for file in (self.folder / "best.caffemodel", self.folder / "best.caffemodel.h5"):
            if file.exists():
                if self.record.weights and digest(file) != self.record.weights:
                    raise UserError(
                        f"{file} is not what was tested (its sha256 is another than run.json's): it was changed or"
                        " damaged; remove the run and run it again"
                    )
                return file
        raise UserError(f"{self.folder}: best.caffemodel is missing; remove the run and run it again")

    @property
    def resumed_at(self) -> list[int]:
        """The iterations at which its training was resumed."""
        return resumes.disturbing(self.result.resumes)

    @property
    def same_groups(self) -> bool:
        """Whether test groups of one name are the same in runs of other seeds; synthetic ones are drawn by the seed."""
        return bool(self.settings.request.data)

    @property
    def tuned(self) -> bool:
        """Whether it starts from a donor."""
        return self.settings.scheme not in SCRATCH

    @property
    def is_depth(self) -> bool:
        """Whether it is one fine-tuning from the donor, no chain of them."""
        return is_depth(self.settings.scheme)

    @property
    def donor(self) -> Path | None:
        """Where the donor lay when the run was made; None for a training from scratch."""
        named = self.record.resolved["donor"]
        return None if named is None else Path(named)


def load(folder: Path) -> RunFiles | None:
    """A run's folder; None if the run is not finished.  UserError if its files are not those of a run."""
    if not (folder / RESULT).exists():
        return None
    record = read_run(folder)
    with _naming(folder):
        settings = record.parsed_settings()
    return RunFiles(settings, folder, read_result(folder), record)


@contextmanager
def _naming(folder: Path) -> Iterator[None]:
    """A UserError of the block names the run."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{folder}: {error}") from None


@lru_cache(maxsize=8)
def _test_of(
    folder: Path, classes: tuple[str, ...], columns: tuple[str, ...], measures: tuple[str, ...], split: str
) -> TestData:
    rows, splits, targets = sample_tables.read_items(folder)
    place = {row.name: i for i, row in enumerate(rows)}
    samples = sample_tables.read_samples(folder, place, targets, columns, measures)
    return data_of(rows, splits, samples, classes, split)


def read_test(done: Packed, application: Application[Any, Any], split: str = "test") -> TestData:
    """The test data of packed patches, from items.csv and samples.csv; runs of one data set share them."""
    return _test_of(done.found.resolve(), done.classes, application.columns, application.measures, split)


@dataclass(frozen=True)
class Study:
    """Runs that belong together: one application and data set, several schemes, perhaps several seeds or folds.

    runs : in the order of figures and tables: fine-tuned nets from shallow to deep, as Table II, chains of trainings,
    then those from scratch; other nets than the main one come last; seed by seed within each.
    """

    runs: tuple[RunFiles, ...]
    arch: str

    @property
    def names(self) -> list[str]:
        """What curves are called: the scheme, with its net where that is not the main one."""
        return list(dict.fromkeys(map(self.name, self.runs)))

    def name(self, run: RunFiles) -> str:
        own = run.settings
        return own.scheme if own.training.arch == self.arch else f"{own.training.arch} {own.scheme}"

    @property
    def seeds(self) -> list[int]:
        """The seeds; of a study in folds every fold of every seed, as `Trial`."""
        return sorted({run.settings.trial for run in self.runs})

    @property
    def main_seed(self) -> int:
        """The seed of the figures of single runs: the first of those that have most schemes."""
        return max(self.seeds, key=lambda seed: (len(self.of_seed(seed)), -seed))

    def of_seed(self, seed: int) -> dict[str, RunFiles]:
        return {self.name(run): run for run in self.runs if run.settings.trial == seed}

    def first(self, seed: int) -> RunFiles:
        """Any run of a seed: all have the same test data."""
        return next(iter(self.of_seed(seed).values()))

    @property
    def main(self) -> dict[str, RunFiles]:
        """name -> run of the main seed."""
        return self.of_seed(self.main_seed)

    @property
    def depths(self) -> list[str]:
        """Names of the main net's fine-tunings from the donor, shallow to deep; no chains."""
        return list(
            dict.fromkeys(self.name(r) for r in self.runs if r.is_depth and r.settings.training.arch == self.arch)
        )

    @property
    def scratch(self) -> list[str]:
        return list(dict.fromkeys(self.name(run) for run in self.runs if not run.tuned))

    def over_seeds(self, value: Callable[[RunFiles], float]) -> dict[str, dict[int, float]]:
        """name -> seed -> a number of each run."""
        found: dict[str, dict[int, float]] = {name: {} for name in self.names}
        for run in self.runs:
            found[self.name(run)][run.settings.trial] = value(run)
        return found


def study(runs: Sequence[RunFiles]) -> Study:
    """Order runs and check that they may stand in one figure.

    Raises UserError if there is none, if two are of one scheme, net and seed, if they are of different applications,
    data sets or numbers of folds, if runs of one seed were tested on different data, or as `check_donors`.
    """
    if not runs:
        raise UserError("no finished run to report on")
    arch = next((run for run in runs if run.tuned), runs[0]).settings.training.arch
    ordered = Study(tuple(sorted(runs, key=lambda run: _place(run.settings, arch))), arch)
    _check_one_of_each(ordered)
    _check_one_source(runs)
    _check_one_design(runs)
    for _, same in groupby(sorted(runs, key=lambda run: run.settings.trial), key=lambda run: run.settings.trial):
        _check_one_test(list(same))
    check_donors(runs)
    return ordered


def _place(settings: Settings, arch: str) -> tuple[object, ...]:
    """Where a run stands in figures: see Study."""
    own = settings.training.arch
    order = [*depths(own), *chains(own), *SCRATCH]
    return own != arch, own, order.index(settings.scheme), settings.trial


def _check_one_of_each(found: Study) -> None:
    seen: dict[tuple[str, int], Path] = {}
    for run in found.runs:
        key = found.name(run), run.settings.trial
        if key in seen:
            raise UserError(f"{seen[key]} and {run.folder} are both {key[0]} with seed {key[1]}; name one of them")
        seen[key] = run.folder


def _check_one_design(runs: Sequence[RunFiles]) -> None:
    """Halves and folds, or folds of different numbers, have no common mean."""
    first = runs[0]
    for run in runs[1:]:
        if run.settings.request.folds != first.settings.request.folds:
            raise UserError(
                f"{first.folder} and {run.folder} are of FOLDS={first.settings.request.folds or ''} and"
                f" FOLDS={run.settings.request.folds or ''}; report on them one by one"
            )


def _check_one_source(runs: Sequence[RunFiles]) -> None:
    """All are about one application and data set: the same frames, unless every seed draws its own."""
    first = runs[0]

    def frames(run: RunFiles) -> str:
        same = registry.load(run.settings.app).same_items(run.settings.request)
        return run.packed.fingerprint if same else ""

    for run in runs[1:]:
        kinds: tuple[tuple[str, Callable[[RunFiles], object]], ...] = (
            ("applications", lambda r: r.settings.app),
            ("data sets", lambda r: r.settings.request.source),
            ("training fractions", lambda r: r.settings.request.fraction),
            ("frames", frames),
        )
        for kind, of in kinds:
            if of(run) != of(first):
                raise UserError(f"{first.folder} and {run.folder} are of different {kind}; report on them one by one")


def _check_one_test(runs: Sequence[RunFiles]) -> None:
    """Curves of different test data in one figure would be a wrong figure."""
    first = runs[0]
    for run in runs[1:]:
        if run.packed.folder.resolve() != first.packed.folder.resolve() and not _same_test(first, run):
            raise UserError(
                f"{first.folder} and {run.folder} have seed {run.settings.trial}, but were tested on different data"
                f" ({first.packed.folder.name}, {run.packed.folder.name}); give both the same settings of the data"
            )
        if not _same_samples(first.test, run.test):
            raise UserError(f"{first.folder} and {run.folder}: were tested on different samples; run them again")
        _ = run.evaluation  # UserError if its scores are of other samples


def check_fractions(runs: Sequence[RunFiles]) -> None:
    """Runs of one seed at different fractions are tested on the same data; UserError where these were not."""
    first = runs[0]
    for run in runs[1:]:
        if run.packed.fingerprint != first.packed.fingerprint or not _same_samples(first.test, run.test):
            raise UserError(
                f"{first.folder} and {run.folder} have seed {run.settings.trial}, but were tested on different data"
                f" (FRACTION={first.settings.request.fraction}, {run.settings.request.fraction}), so the data or their"
                " labels were changed between them; remove the older and run it again"
            )


def check_donors(runs: Sequence[RunFiles]) -> None:
    """Raise UserError if a donor of the same name was another file, or its card said another scale, in another run."""
    seen: dict[tuple[object, ...], RunFiles] = {}
    for run in runs:
        own = run.settings.training
        first = seen.setdefault((own.arch, own.width, own.weights, own.mean, own.scale, run.tuned), run)
        for what, of in (("donor", _donor_of), ("mean or scale of the input", _input_of)):
            if of(run) != of(first):
                raise UserError(
                    f"{first.folder} and {run.folder} have the same settings, but another {what}: the file, or its"
                    " card, was changed between them; remove the older and run it again"
                )


def _donor_of(run: RunFiles) -> object:
    return run.record.inputs.get("donor")


def _input_of(run: RunFiles) -> object:
    own = run.record.resolved.get("input", {})
    return "data" if own.get("of_data") else own.get("mean"), own.get("scale")


def _same_test(first: RunFiles, other: RunFiles) -> bool:
    """Whether two packed folders differ in nothing but the size of the patches, as nets of other inputs need them."""
    facts = [(run.packed.fingerprint, run.packed.patches, run.settings.request) for run in (first, other)]
    return facts[0] == facts[1] and first.settings.training.arch != other.settings.training.arch


def _same_samples(first: TestData, other: TestData) -> bool:
    a, b = first.samples, other.samples
    pairs = [(getattr(a, name), getattr(b, name)) for name in COMPARED]
    same = all(np.array_equal(x, y, equal_nan=True) if x is not None else y is None for x, y in pairs)
    return first.items == other.items and same and np.array_equal(first.group, other.group)
