"""The finished runs of a grid as evidence for its findings: one table for each application, data set, net and donor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from pycaffe_ext.evaluation.findings.model import Evidence, Scheme
from pycaffe_ext.report import design_part
from pycaffe_ext.report.claims import Method, roles
from pycaffe_ext.runs import finished
from pycaffe_ext.runs.finished import RunFiles
from pycaffe_ext.schemes import SCRATCH, depths, family, is_depth
from pycaffe_ext.studies.grid import Cell


@dataclass(frozen=True)
class Question:
    """Cells that are compared with each other.   title : what tells them from the study's others"""

    title: str
    cells: tuple[Cell, ...]

    @property
    def schemes(self) -> tuple[Scheme, ...]:
        """Fine-tunings from shallow to deep, chains of several, then those from scratch as schemes.SCRATCH has them."""
        names = list(dict.fromkeys(cell.settings.scheme for cell in self.cells))
        arch = self.cells[0].settings.training.arch
        tuned = [Method(name, name, arch) for name in depths(arch) if name in names]
        chains = [name for name in names if not is_depth(name) and name not in SCRATCH]
        scratch = [name for name in SCRATCH if name in names]
        deep = roles(tuned).deep
        return (
            *(Scheme(one.name, one.learning, one.name in deep) for one in tuned),
            *(Scheme(name, None, chain=True) for name in chains),
            *(Scheme(name, None) for name in scratch),
        )

    @property
    def family(self) -> str:
        """What counts as one net in claims over applications: variants that take the same donors do."""
        return family(self.cells[0].settings.training.arch)

    @property
    def fractions(self) -> tuple[str, ...]:
        return tuple(sorted({cell.settings.request.fraction for cell in self.cells}, key=lambda text: -Fraction(text)))


def questions(cells: Sequence[Cell]) -> list[Question]:
    """The cells by application, data, net, width and donor; nets from scratch go with each donor of their net.

    Cells of different blocks that would otherwise be the same scheme, fraction and seed are questions of their own, and
    so are those that train a scheme with other settings: a curve over fractions would else be one of settings too.
    """
    by_key: dict[tuple[object, ...], list[Cell]] = {}
    for cell in cells:
        by_key.setdefault(cell.question, []).append(cell)
    parts = [part for own in by_key.values() for of_donor in _by_donor(own) for part in _distinct(of_donor)]
    words = [_words(part) for part in parts]
    return [Question(_title(own, words), tuple(part)) for part, own in zip(parts, words, strict=True)]


def _by_donor(cells: Sequence[Cell]) -> list[list[Cell]]:
    donors = dict.fromkeys(cell.settings.training.weights for cell in cells if cell.settings.scheme not in SCRATCH)
    if len(donors) < 2:
        return [list(cells)]
    return [[c for c in cells if c.settings.scheme in SCRATCH or c.settings.training.weights == own] for own in donors]


def _distinct(cells: list[Cell]) -> list[list[Cell]]:
    """The cells together, or block by block where some are the same but for settings of the training."""
    keys = {(cell.settings.scheme, cell.settings.request.fraction, cell.settings.trial) for cell in cells}
    trainings = {replace(cell.settings.training, seed=0) for cell in cells}
    if len(keys) == len(cells) and len(trainings) == len({one.scheme for one in trainings}):
        return [cells]
    return [[cell for cell in cells if cell.line == line] for line in dict.fromkeys(cell.line for cell in cells)]


def _words(cells: Sequence[Cell]) -> tuple[str, ...]:
    """Application, net, data set, width, donor and line of a question."""
    own = cells[0].settings
    donors = [cell.settings.training.weights for cell in cells if cell.settings.scheme not in SCRATCH]
    donor = Path(donors[0]).name if donors and donors[0] else ""
    width = f"width {own.training.width}" if own.training.width else ""
    return own.app, own.training.arch, own.request.source, width, donor, f"line {cells[0].line}"


def _title(own: tuple[str, ...], every: Sequence[tuple[str, ...]]) -> str:
    """Application and net, and as much more as tells it from the others."""
    for count in range(2, len(own) + 1):
        if [one[:count] for one in every].count(own[:count]) == 1:
            return ", ".join(word for word in own[:count] if word)
    return ", ".join(word for word in own if word)


def load(cells: Iterable[Cell], runs: Path) -> dict[str, RunFiles]:
    """Name of its folder -> each finished run of these cells, its files read once.

    Raises UserError for one on another data set that had the same path when it was run.
    """
    names = dict.fromkeys(cell.settings.name() for cell in cells)
    found = {name: run for name in names if (run := finished.load(runs / name))}
    for run in found.values():
        run.record.check_source(run.folder)
    return found


def evidence(cells: Sequence[Cell], runs: Path) -> tuple[Evidence, ...]:
    """What the finished runs of these cells say; nothing of a question without one.

    Raises UserError as `runs.finished.study` where runs that are compared were not tested on the same samples, at one
    fraction or over all, or were tuned from donors that differ in more than their names.
    """
    return tuple(own for own, _ in answered(cells, load(cells, runs)))


def answered(cells: Sequence[Cell], loaded: Mapping[str, RunFiles]) -> Iterator[tuple[Evidence, tuple[RunFiles, ...]]]:
    """The evidence of each question that has a finished run, and these runs; loaded : as `load` gives them.

    Raises UserError as `evidence`.
    """
    for question in questions(cells):
        names = (cell.settings.name() for cell in question.cells)
        if own := tuple(loaded[name] for name in names if name in loaded):
            yield _evidence(question, own), own


def _evidence(question: Question, loaded: Sequence[RunFiles]) -> Evidence:
    schemes, fractions = question.schemes, question.fractions
    names = [_name(scheme.name, fraction) for scheme in schemes for fraction in fractions]
    finished.check_donors(loaded)
    first, group = loaded[0], _groups(loaded)
    metric = first.application.metric
    evaluations: dict[int, dict[str, Any]] = {}
    for run in sorted(loaded, key=lambda one: one.settings.trial):
        own = evaluations.setdefault(run.settings.trial, {})
        own[_name(run.settings.scheme, run.settings.request.fraction)] = run.evaluation
    merit, margin = metric.merit(first.evaluation), question.cells[0].margin
    baseline = (metric.baseline or "") if metric.judged(first.evaluation, of_baseline=True) is not None else ""
    return Evidence(
        first.settings.app,
        first.settings.training.arch,
        question.title,
        first.settings.request.source,
        merit if margin is None else replace(merit, margin=margin),
        schemes,
        fractions,
        tuple(_trained(loaded, fraction) for fraction in fractions),
        metric.merit_figure(evaluations, group, names, baseline),
        baseline,
        f"{first.settings.app}, {first.settings.request.source}" if first.application.any_task else "",
        question.family,
    )


def _name(scheme: str, fraction: str) -> str:
    return f"{scheme} at {fraction}"


def _groups(loaded: Sequence[RunFiles]) -> Mapping[int, list[str]]:
    """seed -> group of each test item, which is the same at all fractions.  Raises UserError where it is not."""
    found: dict[int, list[str]] = {}
    of_seed: dict[int, list[RunFiles]] = {}
    of_fraction: dict[str, list[RunFiles]] = {}
    for run in loaded:
        of_fraction.setdefault(run.settings.request.fraction, []).append(run)
    for own in of_fraction.values():
        study = finished.study(own)
        for seed, groups in design_part.test_groups(study).items():
            of_seed.setdefault(seed, []).append(study.first(seed))
            found.setdefault(seed, groups)
    for same in of_seed.values():
        finished.check_fractions(same)
    return {seed: found[seed] for seed in sorted(found)}


def _trained(loaded: Sequence[RunFiles], fraction: str) -> float:
    """Mean number of training groups of the runs at a fraction; nan if none says it."""
    own = [run.result.share.get("groups") for run in loaded if run.settings.request.fraction == fraction]
    known = [float(count) for count in own if count is not None]
    return float(np.mean(known)) if known else float("nan")
