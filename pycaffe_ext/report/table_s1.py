"""Table S1 of the paper: every pair of curves at the operating points, with the paper's verdict and that of a test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from pycaffe_ext.evaluation.comparison import NOT_TESTED, AucComparison, Comparison, Point
from pycaffe_ext.report.matrix import NOT_TESTED as UNTESTED
from pycaffe_ext.report.model import Table

Functions: TypeAlias = Sequence[Callable[..., Any]]

POINT_COLUMNS = (
    "reached",
    "false_positives_per_frame",
    "hits",
    "of",
    "sensitivity",
    "exact_low",
    "exact_high",
    "group_low",
    "group_high",
)
HEADER = (
    "seed",
    "first",
    "second",
    "at_most_false_positives_per_frame",
    "by",
    *(f"first_{c}" for c in POINT_COLUMNS),
    *(f"second_{c}" for c in POINT_COLUMNS),
    "paper_verdict",
    "difference",
    "difference_low",
    "difference_high",
    "p",
    "p_holm",
    "p_max_t",
    "test_verdict",
    "groups",
    "effective_groups",
    "reliable",
    "note",
)
AUC_HEADER = (
    "seed",
    "first",
    "second",
    "first_auc",
    "second_auc",
    "first_delong_low",
    "first_delong_high",
    "second_delong_low",
    "second_delong_high",
    "paper_verdict",
    "difference",
    "delong_low",
    "delong_high",
    "delong_p",
    "delong_p_holm",
    "delong_verdict",
    "group_low",
    "group_high",
    "group_p",
    "group_p_holm",
    "group_p_max_t",
    "group_verdict",
    "groups",
    "effective_groups",
    "reliable",
    "note",
)


def rows(seed: int, comparisons: Sequence[Comparison]) -> list[tuple[Any, ...]]:
    """Rows of table_s1.csv (HEADER)."""
    return [
        (
            seed,
            row.first,
            row.second,
            row.rate,
            row.by,
            *_point_cells(row.first_point),
            *_point_cells(row.second_point),
            row.paper,
            *difference_cells(row.difference),
            _cell(row.p_holm),
            _cell(row.p_max_t),
            row.verdict,
            row.groups,
            row.effective_groups,
            row.reliable,
            row.note,
        )
        for row in comparisons
    ]


def auc_rows(seed: int, comparisons: Sequence[AucComparison]) -> list[tuple[Any, ...]]:
    """Rows of auc_pairs.csv (AUC_HEADER)."""
    return [
        (
            seed,
            row.first,
            row.second,
            *row.aucs,
            *row.delong_intervals[0],
            *row.delong_intervals[1],
            row.paper,
            *difference_cells(row.delong),
            _cell(row.delong_p_holm),
            row.delong_verdict,
            *difference_cells(row.bootstrap)[1:],
            _cell(row.bootstrap_p_holm),
            _cell(row.bootstrap_p_max_t),
            row.bootstrap_verdict,
            row.groups,
            row.effective_groups,
            row.reliable,
            row.note,
        )
        for row in comparisons
    ]


def _point_cells(point: Point) -> tuple[Any, ...]:
    return (
        point.reached,
        point.false_positives_per_frame,
        point.hits,
        point.total,
        point.sensitivity,
        *point.exact,
        *(point.bootstrap or ("", "")),
    )


def difference_cells(difference: Any) -> tuple[Any, ...]:
    return ("",) * 4 if difference is None else (difference.value, difference.low, difference.high, difference.p)


def _cell(value: float | None) -> float | str:
    return "" if value is None else value


KEY = (
    "Signs: > the first is better, < the second is, = no difference shown, - not tested. Verdicts go by Holm's p; max-T"
    " (Westfall and Young) stands beside it. Effective groups: how many groups of one size tell as much as these, which"
    " the tails of the test go by."
)
AUC_KEY = "DeLong's test takes candidates as independent; the bootstrap by group does not."


def table(comparisons: Sequence[Comparison], made_by: Functions, item: str = "frame") -> Table:
    """Table S1 for a reader: a line for each pair and operating point, with both verdicts as > = <."""
    header = (
        "pair",
        f"FP a {item}",
        "first",
        "second",
        "difference [95 %]",
        "p (Holm)",
        "p (max-T)",
        "error bars",
        "paired test",
        "effective groups",
        "note",
    )
    lines = [
        (
            f"{row.first} : {row.second}",
            f"{row.rate:g}",
            f"{row.first_point.sensitivity:.3f}",
            f"{row.second_point.sensitivity:.3f}",
            difference_text(row.difference),
            p_text(row.p_holm),
            p_text(row.p_max_t),
            _sign(row, row.paper),
            _sign(row, row.verdict),
            f"{row.effective_groups:.1f}",
            row.note,
        )
        for row in comparisons
    ]
    return Table(header, lines, "table_s1.csv", made_by)


def auc_table(comparisons: Sequence[AucComparison], made_by: Functions) -> Table:
    header = (
        "pair",
        "first AUC",
        "second AUC",
        "difference [95 %, by group]",
        "error bars",
        "DeLong (p, Holm)",
        "by group (p, Holm)",
        "p (max-T)",
        "effective groups",
        "note",
    )
    lines = [
        (
            f"{row.first} : {row.second}",
            *(f"{auc:.3f}" for auc in row.aucs),
            difference_text(row.bootstrap),
            _sign(row, row.paper),
            f"{_sign(row, row.delong_verdict)} ({p_text(row.delong_p_holm)})",
            f"{_sign(row, row.bootstrap_verdict)} ({p_text(row.bootstrap_p_holm)})" if row.bootstrap else "-",
            p_text(row.bootstrap_p_max_t),
            f"{row.effective_groups:.1f}",
            row.note,
        )
        for row in comparisons
    ]
    return Table(header, lines, "auc_pairs.csv", made_by)


def operating_table(
    comparisons: Sequence[Comparison], rates: Sequence[float], made_by: Functions, item: str = "frame"
) -> Table:
    """A row for each curve: its sensitivity at each rate with the exact 95 % interval and that by group."""
    points: dict[str, dict[float, Point]] = {}
    for row in comparisons:
        for name, point in ((row.first, row.first_point), (row.second, row.second_point)):
            points.setdefault(name, {})[row.rate] = point
    rows = [(name, *map(_point_text, own.values())) for name, own in points.items()]
    return Table(("", *(f"{rate:g} FP a {item}" for rate in rates)), rows, made_by=made_by)


def _point_text(point: Point) -> str:
    ended = "" if point.reached else " (curve ends before)"
    return f"{point.sensitivity:.3f} {_span(point.exact)} {_span(point.bootstrap) if point.bootstrap else '-'}{ended}"


def _sign(row: Comparison | AucComparison, verdict: str) -> str:
    words = {f"{row.first} > {row.second}": ">", f"{row.second} > {row.first}": "<", NOT_TESTED: "-"}
    return words.get(verdict, "=")


def verdicts(names: Sequence[str], comparisons: Sequence[Comparison], rate: float) -> tuple[np.ndarray, np.ndarray]:
    """(n, n) verdicts of the paired test and of the paper's rule at one rate, as `matrix.matrix_figure` takes them."""
    value = {">": 1, "<": -1, "=": 0, "-": UNTESTED}
    place = {name: i for i, name in enumerate(names)}
    found = np.zeros((2, len(names), len(names)), int)
    for row in (row for row in comparisons if row.rate == rate):
        i, j = place[row.first], place[row.second]
        for matrix, verdict in zip(found, (row.verdict, row.paper), strict=True):
            matrix[i, j] = value[_sign(row, verdict)]
            matrix[j, i] = matrix[i, j] if matrix[i, j] == UNTESTED else -matrix[i, j]
    return found[0], found[1]


def difference_text(difference: Any) -> str:
    return "-" if difference is None else f"{difference.value:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]"


def p_text(p: float | None) -> str:
    if p is None:
        return "-"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _span(interval: Sequence[float]) -> str:
    return f"[{interval[0]:.3f}, {interval[1]:.3f}]"
