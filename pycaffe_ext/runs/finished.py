"""The finished runs of a study: what lies in their folders, and whether they may stand in one figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from pycaffe_ext.applications import packed
from pycaffe_ext.applications.packed import Packed
from pycaffe_ext.applications.results import Evaluation, read_evaluation
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import read_json
from pycaffe_ext.runs.settings import Settings
from pycaffe_ext.schemes import SCRATCH, STAGES
from pycaffe_ext.training import resumes
from pycaffe_ext.training.table import Row, read_rows


@dataclass(frozen=True)
class RunFiles:
    """A finished run.  result, record : its result.json and run.json."""

    settings: Settings
    folder: Path
    result: dict[str, Any]
    record: dict[str, Any]

    @cached_property
    def packed(self) -> Packed:
        """The packed data: where they were then, or beside the run if both were moved; UserError if there are none."""
        named = Path(self.record["resolved"]["data"])
        for folder in (named, self.folder.parent / "data" / named.name):
            if done := packed.load(folder):
                return done
        raise UserError(f"{named}: the packed data of {self.folder} are gone; remove the run and run it again")

    @cached_property
    def evaluation(self) -> Evaluation:
        return read_evaluation(self.folder)

    @cached_property
    def snapshots(self) -> list[Row]:
        """The rows of auc.csv; UserError if there are none."""
        if not (rows := read_rows(self.folder / "auc.csv")):
            raise UserError(f"{self.folder / 'auc.csv'} is missing or empty; remove the run and run it again")
        return rows

    @property
    def resumed_at(self) -> list[int] | None:
        """The iterations at which its training was resumed; None if it was run by a version that did not record it."""
        return resumes.disturbing(self.result["resumes"]) if "resumes" in self.result else None

    @property
    def tuned(self) -> bool:
        return self.settings.scheme not in SCRATCH


def load(folder: Path) -> RunFiles | None:
    """A run's folder; None if the run is not finished.  UserError if its files are not those of a run."""
    if not (folder / "result.json").exists():
        return None
    try:
        record = read_json(folder / "run.json")
        known = {field.name for field in fields(Settings)}
        if unknown := sorted(record["settings"].keys() - known):
            raise UserError(f"{folder}: was run by another version, which knew {', '.join(unknown)}; run it again")
        found = RunFiles(Settings(**record["settings"]), folder, read_json(folder / "result.json"), record)
        _check_complete(found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{folder}: run.json or result.json is missing or damaged; remove it and run again") from None
    return found


def _check_complete(run: RunFiles) -> None:
    """KeyError or TypeError if a record lacks what a report needs."""
    for key in ("donor", "snapshots", "stopped_by"):
        _ = run.result[key]
    _ = run.resumed_at
    _ = [run.result["best"][key] for key in ("iteration", "epoch", "validation_auc")], run.result["test"]["patch_auc"]
    _ = [run.record["resolved"][key] for key in ("width", "batch", "data", "donor")], run.record["versions"]["caffe"]


@dataclass(frozen=True)
class Study:
    """Runs that belong together: one application and data set, several schemes, perhaps several seeds.

    runs : in the order of figures and tables: fine-tuned nets from shallow to deep, as Table II, then those from
    scratch; other nets than the main one come last; seed by seed within each.
    """

    runs: tuple[RunFiles, ...]
    arch: str

    @property
    def names(self) -> list[str]:
        """What curves are called: the scheme, with its net where that is not the main one."""
        return list(dict.fromkeys(map(self.name, self.runs)))

    def name(self, run: RunFiles) -> str:
        own = run.settings
        return own.scheme if own.arch == self.arch else f"{own.arch} {own.scheme}"

    @property
    def seeds(self) -> list[int]:
        return sorted({run.settings.seed for run in self.runs})

    @property
    def main_seed(self) -> int:
        """The seed of the figures of single runs: the first of those that have most schemes."""
        return max(self.seeds, key=lambda seed: (len(self.of_seed(seed)), -seed))

    def of_seed(self, seed: int) -> dict[str, RunFiles]:
        return {self.name(run): run for run in self.runs if run.settings.seed == seed}

    @property
    def main(self) -> dict[str, RunFiles]:
        """name -> run of the main seed."""
        return self.of_seed(self.main_seed)

    @property
    def depths(self) -> list[str]:
        """Names of the main net's fine-tuned schemes, shallow to deep."""
        return list(dict.fromkeys(self.name(r) for r in self.runs if r.tuned and r.settings.arch == self.arch))

    @property
    def scratch(self) -> list[str]:
        return list(dict.fromkeys(self.name(run) for run in self.runs if not run.tuned))

    def over_seeds(self, value: Callable[[RunFiles], float]) -> dict[str, dict[int, float]]:
        """name -> seed -> a number of each run."""
        found: dict[str, dict[int, float]] = {name: {} for name in self.names}
        for run in self.runs:
            found[self.name(run)][run.settings.seed] = value(run)
        return found


def study(runs: Sequence[RunFiles]) -> Study:
    """Order runs and check that they may stand in one figure.

    Raises UserError if there is none, if two are of one scheme, net and seed, if they are of different applications or
    data sets, or if runs of one seed were tested on different data.
    """
    if not runs:
        raise UserError("no finished run to report on")
    arch = next((run for run in runs if run.tuned), runs[0]).settings.arch
    ordered = Study(tuple(sorted(runs, key=lambda run: _place(run.settings, arch))), arch)
    _check_one_of_each(ordered)
    _check_one_source(runs)
    for _, same in groupby(sorted(runs, key=lambda run: run.settings.seed), key=lambda run: run.settings.seed):
        _check_one_test(list(same))
    return ordered


def _place(settings: Settings, arch: str) -> tuple:
    """Where a run stands in figures: see Study."""
    order = [*(f"ft-{stage}" for stage in reversed(STAGES[settings.arch])), *SCRATCH]
    return settings.arch != arch, settings.arch, order.index(settings.scheme), settings.seed


def _check_one_of_each(found: Study) -> None:
    seen: dict[tuple[str, int], Path] = {}
    for run in found.runs:
        key = found.name(run), run.settings.seed
        if key in seen:
            raise UserError(f"{seen[key]} and {run.folder} are both {key[0]} with seed {key[1]}; name one of them")
        seen[key] = run.folder


def _check_one_source(runs: Sequence[RunFiles]) -> None:
    """All are about one application and data set: the same frames, unless every seed draws its own (synthetic)."""
    first = runs[0]
    for run in runs[1:]:
        for kind, of in (
            ("applications", lambda r: r.settings.app),
            ("data sets", lambda r: r.settings.source),
            ("frames", lambda r: r.packed.fingerprint if r.settings.data else ""),
        ):
            if of(run) != of(first):
                raise UserError(f"{first.folder} and {run.folder} are of different {kind}; report on them one by one")


def _check_one_test(runs: Sequence[RunFiles]) -> None:
    """Curves of different test data in one figure would be a wrong figure."""
    first = runs[0]
    for run in runs[1:]:
        if run.packed.folder.resolve() != first.packed.folder.resolve() and not _same_test(first, run):
            raise UserError(
                f"{first.folder} and {run.folder} have seed {run.settings.seed}, but were tested on different data"
                f" ({first.packed.folder.name}, {run.packed.folder.name}); give both the same settings of the data"
            )
        if not _same_candidates(first.evaluation, run.evaluation):
            raise UserError(f"{first.folder} and {run.folder}: scores.csv are of different candidates; run them again")


def _same_test(first: RunFiles, other: RunFiles) -> bool:
    """Whether two packed folders differ in nothing but the size of the patches, as nets of other inputs need them."""
    facts = [(run.packed.fingerprint, run.packed.patches, *_data_settings(run.settings)) for run in (first, other)]
    return facts[0] == facts[1] and first.settings.arch != other.settings.arch


def _data_settings(settings: Settings) -> tuple:
    return settings.mask, settings.damaged, settings.patches, settings.test_views, settings.encoding, settings.seed


def _same_candidates(first: Evaluation, other: Evaluation) -> bool:
    pairs = (
        (first.cases.lesion, other.cases.lesion),
        (first.cases.lesions, other.cases.lesions),
        (first.baseline.score, other.baseline.score),
        (first.group, other.group),
    )
    return first.names == other.names and all(np.array_equal(a, b) for a, b in pairs)
