"""Part of a report on classification: which net is better than which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.evaluation import class_comparison
from pycaffe_ext.evaluation.class_comparison import AUC, BALANCED, Comparison
from pycaffe_ext.evaluation.class_intervals import Estimate
from pycaffe_ext.evaluation.comparison import LEVEL, NO_DIFFERENCE
from pycaffe_ext.evaluation.comparison import NOT_TESTED as UNTESTED
from pycaffe_ext.evaluation.intervals import ENOUGH_GROUPS, least_p
from pycaffe_ext.files import write_csv
from pycaffe_ext.report import matrix
from pycaffe_ext.report.by_class.material import Material
from pycaffe_ext.report.model import Block, Figure, Folded, Note, Section, Table

PAIR_HEADER = ("seed", "figure", "first", "second", "first_value", "second_value", "difference", "low", "high", "p")
PAIRS_HEADER = (*PAIR_HEADER, "p_holm", "p_max_t", "verdict", "effective_groups", "reliable", "note")
SHOWN = (
    "first",
    "second",
    "difference",
    "95 %",
    "p (Holm)",
    "p (max-T)",
    "verdict",
    "effective groups",
    "note",
)


def write(path: Path, found: Mapping[tuple[int, str], Sequence[Comparison]]) -> None:
    """Write pairs.csv; found : (seed, figure) -> every pair"""
    write_csv(path, PAIRS_HEADER, [_pair(seed, row) for (seed, _), own in found.items() for row in own])


def pairs(folder: Path, material: Material) -> Section:
    """Every pair of nets, by AUC and by balanced accuracy."""
    found, seed = material.comparisons, material.study.main_seed
    write(folder / "pairs.csv", found)
    if not found[seed, AUC]:
        return Section("Comparisons", ["One net: nothing to compare."])
    names = list(material.main)
    tested = {figure: verdicts(names, found[seed, figure]) for figure in (AUC, BALANCED)}
    intervals = {name: material.summaries[seed][name] for name in names}
    marks = {
        AUC: bars([intervals[name].auc for name in names]),
        BALANCED: bars([intervals[name].balanced_accuracy for name in names]),
    }
    matrix.matrix_figure(
        folder / "pairs.png", names, tested, marks, "paired bootstrap by group, Holm's p < .05", material.title
    )
    caption = (
        f"Which net is better, by {material.endpoint} (primary) and by balanced accuracy. Seed {seed}. Colour: paired"
        " bootstrap of the difference by group, p adjusted by Holm's method over all pairs of one figure. Mark: the"
        " paper's rule, which finds a difference where the error bars (by image) do not overlap: it knows neither pairs"
        " nor groups nor how many comparisons there are. In the tables max-T stands beside Holm's p, and how"
        " many groups of one size tell as much as these, which the tails of the test go by."
    )
    made_by = (class_comparison.compare,)
    folded = [
        Folded(
            f"Pairs by {figure}, seed {seed}",
            [Table(SHOWN, list(map(text_row, found[seed, figure])), "pairs.csv", made_by)],
        )
        for figure in (AUC, BALANCED)
    ]
    return Section("Comparisons", [Figure("pairs.png", caption, made_by), *hopeless(found[seed, AUC]), *folded])


def _pair(seed: int, row: Comparison) -> tuple[Any, ...]:
    difference = ("", "", "", "") if row.difference is None else tuple(row.difference)
    p = ["" if value is None else value for value in (row.p_holm, row.p_max_t)]
    head = seed, row.figure, row.first, row.second, *row.values, *difference, *p
    reliable = row.difference is not None and row.groups >= ENOUGH_GROUPS
    return *head, row.verdict, row.groups, reliable, row.note


def text_row(row: Comparison) -> tuple[str, ...]:
    """A pair as a table shows it, under SHOWN."""
    difference, ends = row.values[0] - row.values[1], ""
    if row.difference is not None:
        difference, ends = row.difference.value, f"[{row.difference.low:+.3f}, {row.difference.high:+.3f}]"
    p = ["" if value is None else f"{value:.3g}" for value in (row.p_holm, row.p_max_t)]
    return row.first, row.second, f"{difference:+.3f}", ends, *p, row.verdict, f"{row.groups:.1f}", row.note


def hopeless(rows: Sequence[Comparison]) -> list[Block]:
    """What a reader must know where the groups are too few for so many comparisons."""
    tested = [row for row in rows if row.difference is not None]
    if not tested or len(tested) * least_p(tested[0].groups) < LEVEL:
        return []
    text = "The groups are too few for so many comparisons: however large a difference is, it can't be shown"
    tell = f"they tell as much as {tested[0].groups:.1f} groups of one size, and there are {len(tested)} comparisons"
    return [Note(f"{text} ({tell}). Name fewer schemes in SCHEMES=, or test on more groups.")]


def _tested(row: Comparison) -> int:
    """1 : the first is better, -1 : the second is, 0 : no difference shown."""
    if row.verdict == UNTESTED:
        return matrix.NOT_TESTED
    if row.verdict == NO_DIFFERENCE or row.difference is None:
        return 0
    return 1 if row.difference.value > 0 else -1


def verdicts(names: Sequence[str], rows: Sequence[Comparison]) -> NDArray[np.int64]:
    """(n, n) of the paired tests, as `matrix.matrix_figure` wants them."""
    found = np.zeros((len(names), len(names)), np.int64)
    for row in rows:
        first, second, value = names.index(row.first), names.index(row.second), _tested(row)
        found[first, second] = value
        found[second, first] = value if value == matrix.NOT_TESTED else -value
    return found


def bars(estimates: Sequence[Estimate]) -> NDArray[np.int64]:
    """(n, n) int: 1 where the row's interval by image lies above the column's, -1 where below, else 0."""
    ends = np.array([own.image or (-np.inf, np.inf) for own in estimates])
    above = ends[:, None, 0] > ends[None, :, 1]
    return above.astype(np.int64) - above.T.astype(np.int64)
