"""Part of a report: every pair of schemes over all trainings, as matrices and as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pycaffe_ext.evaluation.compared import LEVEL, NO_DIFFERENCE, NOT_TESTED
from pycaffe_ext.evaluation.contrasts import Figure as FigureOfMerit
from pycaffe_ext.evaluation.scheme_pairs import SchemePair, scheme_pairs
from pycaffe_ext.files import write_csv
from pycaffe_ext.report import matrix
from pycaffe_ext.report.model import Figure, Folded, Section, Table
from pycaffe_ext.report.table_s1 import p_text

HEADING = "Every pair of schemes, over all trainings"
HEADER = (
    "figure",
    "first",
    "second",
    "difference",
    "low",
    "high",
    "p",
    "p_holm",
    "verdict",
    "trials",
    "effective_groups",
    "training_sd",
    "case_sd",
    "reason",
)
COLUMNS = ("pair", "figure", "difference [95 %]", "p (Holm)", "verdict")
EXPLAINED = "mean over trainings, chance in training and cases, Holm's p < .05"


def section(
    folder: Path, figures: Mapping[str, FigureOfMerit], schemes: Sequence[str], trials: int, title: str
) -> Section:
    """Write scheme_pairs.csv and scheme_pairs.png.

    figures : as `scheme_pairs` takes them        trials : seeds, or folds of seeds, of the study
    """
    if trials < 2:
        text = "One training of each: how much a net varies from training to training is unknown. Give SEEDS= several."
        return Section(HEADING, [text])
    pairs = scheme_pairs(figures, schemes)
    table = table_of(folder, "scheme_pairs.csv", pairs)
    tested = {name: _verdicts(schemes, [pair for pair in pairs if pair.figure == name]) for name in figures}
    matrix.matrix_figure(folder / "scheme_pairs.png", schemes, tested, {}, EXPLAINED, title)
    caption = (
        f"Which scheme is better, over {trials} trainings of each: the mean difference is tested with training and test"
        f" groups both as chance, and is shown where p, adjusted by Holm's method over all {len(pairs)} comparisons, is"
        f" below {LEVEL:g}. The pairs of single nets, further below, say nothing about another training."
    )
    return Section(
        HEADING,
        [Figure("scheme_pairs.png", caption, (scheme_pairs,)), Folded(f"All {len(pairs)} comparisons", [table])],
    )


def table_of(folder: Path, file: str, pairs: Sequence[SchemePair]) -> Table:
    """Write the pairs as a CSV file, and show them."""
    write_csv(folder / file, HEADER, map(_cells, pairs))
    return Table(COLUMNS, list(map(_line, pairs)), file, (scheme_pairs,))


def _cells(pair: SchemePair) -> tuple[Any, ...]:
    names = pair.figure, pair.first, pair.second
    if pair.test is None:
        return *names, *[""] * 5, pair.verdict, *[""] * 4, pair.reason
    found = pair.test.estimate
    case_sd = found.case_sd if np.isfinite(found.case_sd) else ""
    numbers = found.value, *found.interval(), pair.test.p, pair.p_holm
    return *names, *numbers, pair.verdict, found.seeds, found.groups, found.training_sd, case_sd, ""


def _line(pair: SchemePair) -> tuple[str, ...]:
    names = f"{pair.first} : {pair.second}", pair.figure
    if pair.test is None:
        return *names, "-", "-", f"{NOT_TESTED}: {pair.reason}"
    found = pair.test.estimate
    low, high = found.interval()
    return *names, f"{found.value:+.3f} [{low:+.3f}, {high:+.3f}]", p_text(pair.p_holm), pair.verdict


def _verdicts(schemes: Sequence[str], pairs: Sequence[SchemePair]) -> np.ndarray:
    """(n, n) as `matrix.matrix_figure` wants them."""
    found = np.zeros((len(schemes), len(schemes)), np.int64)
    for pair in pairs:
        first, second = schemes.index(pair.first), schemes.index(pair.second)
        if pair.test is None:
            found[first, second] = found[second, first] = matrix.NOT_TESTED
        elif pair.verdict != NO_DIFFERENCE:
            found[first, second] = 1 if pair.test.above else -1
            found[second, first] = -found[first, second]
    return found
