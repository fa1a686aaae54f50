"""What a grid can show, for `make study-plan`: the smallest gap, growth and margin for its seeds and test groups."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from pycaffe_ext.applications.registry import load
from pycaffe_ext.evaluation.contrasts import LEVEL
from pycaffe_ext.evaluation.convergence import least_pairs
from pycaffe_ext.evaluation.findings import power
from pycaffe_ext.evaluation.findings.model import Merit, Spreads
from pycaffe_ext.evaluation.findings.power import Design
from pycaffe_ext.evaluation.folds import in_folds
from pycaffe_ext.runs.finished import RunFiles
from pycaffe_ext.studies.evidence import Question, evidence, questions
from pycaffe_ext.studies.grid import Cell

UNKNOWN_GROUPS = 100  # where neither a run nor a measured study tells


def lines(cells: Sequence[Cell], runs: Sequence[RunFiles], folder: Path | None = None) -> list[str]:
    """For a reader; questions of one design share their lines.

    runs : finished ones, which tell the test groups.   folder : where the study's own runs are, which tell the spreads
    of a merit of which none are known
    """
    asked = questions(cells)
    tests = verdicts(asked)
    found: dict[tuple[Design, Spreads | None, str, bool], list[str]] = {}
    folds: list[str] = []
    for question in asked:
        if in_folds([cell.settings.trial for cell in question.cells]):
            folds.append(f"{question.title}: in folds, of which nothing is said beforehand")
            continue
        merit = _merit(question)
        spreads = merit.spreads or _measured(question, folder)
        design, known = _design(question, spreads, runs, tests)
        found.setdefault((design, spreads, merit.unit, known), []).append(question.title)
    texts = ["what it can show:", *folds]
    for (design, spreads, unit, known), titles in found.items():
        texts += power.text(titles, design, spreads, unit, known)
    used = dict.fromkeys(spreads for design, spreads, *_ in found if spreads and design.seeds > 1)
    return [*texts, *(power.assumptions(spreads) for spreads in used)]


def _merit(question: Question) -> Merit:
    merit: Merit = load(question.cells[0].settings.app).metric.merit()
    return merit


def _measured(question: Question, folder: Path | None) -> Spreads | None:
    own = evidence(question.cells, folder) if folder else ()
    return power.measured(own[0]) if own else None


def verdicts(asked: Sequence[Question]) -> int:
    """How many findings have a verdict, if all runs finish: the family over which p values are adjusted."""
    growing = [one for one in asked if _has_gap(one) and len(one.fractions) > 1]
    nets: dict[str, int] = {}
    for one in asked:
        nets[one.family] = nets.get(one.family, 0) + 1
    several = [net for net, count in nets.items() if count > 1]
    means = [net for net in several if sum(one.family == net for one in growing) > 1]
    return sum(map(_at_one_amount, asked)) + len(growing) + len(means) + 2 * len(several)


def _at_one_amount(question: Question) -> int:
    """How many of claims 1, 4 and 5 have a verdict: deep tuning and scratch, enough seeds for a sign test, and nets of
    the paper with a baseline."""
    trials = {cell.settings.trial for cell in question.cells}
    convergence = _has_gap(question) and not in_folds(trials) and len(trials) >= least_pairs(LEVEL)
    beaten = load(question.cells[0].settings.app).metric.baseline and any(not one.chain for one in question.schemes)
    return _has_gap(question) + convergence + bool(beaten)


def _has_gap(question: Question) -> bool:
    return any(one.deep for one in question.schemes) and any(one.scratch for one in question.schemes)


def _design(question: Question, spreads: Spreads | None, runs: Sequence[RunFiles], tests: int) -> tuple[Design, bool]:
    """The design, and whether its number of test groups is that of finished runs."""
    seeds = {cell.settings.trial for cell in question.cells}
    same = [run for run in runs if Cell(run.settings).question == question.cells[0].question]
    groups = [int(run.result.test["groups"]) for run in same if "groups" in run.result.test]
    assumed = spreads.groups if spreads else UNKNOWN_GROUPS
    shares = tuple(float(Fraction(fraction)) for fraction in question.fractions)
    count = min(groups, default=assumed)
    scratch = any(one.scratch for one in question.schemes)
    return Design(len(seeds), count, shares, len(question.schemes), tests, scratch), bool(groups)
