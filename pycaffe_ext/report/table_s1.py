"""Table S1 of the paper: every pair of curves at the operating points, with the paper's verdict and that of a test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pycaffe_ext.evaluation.comparison import NOT_TESTED, AucComparison, Comparison, Point
from pycaffe_ext.report import markdown
from pycaffe_ext.report.matrix import NOT_TESTED as UNTESTED

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
    "test_verdict",
    "groups",
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
    "group_verdict",
    "groups",
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
            *_difference_cells(row.difference),
            _cell(row.p_holm),
            row.verdict,
            row.groups,
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
            *_difference_cells(row.delong),
            _cell(row.delong_p_holm),
            row.delong_verdict,
            *_difference_cells(row.bootstrap)[1:],
            _cell(row.bootstrap_p_holm),
            row.bootstrap_verdict,
            row.groups,
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


def _difference_cells(difference: Any) -> tuple[Any, ...]:
    return ("",) * 4 if difference is None else (difference.value, difference.low, difference.high, difference.p)


def _cell(value: float | None) -> float | str:
    return "" if value is None else value


def as_markdown(comparisons: Sequence[Comparison]) -> str:
    """Table S1 for a reader: a line for each pair and operating point, with both verdicts as > = <."""
    header = (
        "pair",
        "FP a frame",
        "first",
        "second",
        "difference [95 %]",
        "p (Holm)",
        "error bars",
        "paired test",
        "note",
    )
    lines = [
        (
            f"{row.first} : {row.second}",
            f"{row.rate:g}",
            f"{row.first_point.sensitivity:.3f}",
            f"{row.second_point.sensitivity:.3f}",
            _difference_text(row.difference),
            "-" if row.p_holm is None else _p_text(row.p_holm),
            _sign(row, row.paper),
            _sign(row, row.verdict),
            row.note,
        )
        for row in comparisons
    ]
    return markdown.table(header, lines)


def aucs_as_markdown(comparisons: Sequence[AucComparison]) -> str:
    header = (
        "pair",
        "first AUC",
        "second AUC",
        "difference [95 %, by group]",
        "error bars",
        "DeLong (p, Holm)",
        "by group (p, Holm)",
    )
    lines = [
        (
            f"{row.first} : {row.second}",
            *(f"{auc:.3f}" for auc in row.aucs),
            _difference_text(row.bootstrap),
            _sign(row, row.paper),
            f"{_sign(row, row.delong_verdict)} ({_p_text(row.delong_p_holm)})",
            "-"
            if row.bootstrap_p_holm is None
            else f"{_sign(row, row.bootstrap_verdict)} ({_p_text(row.bootstrap_p_holm)})",
        )
        for row in comparisons
    ]
    return markdown.table(header, lines)


def operating_rows(comparisons: Sequence[Comparison]) -> list[tuple[str, ...]]:
    """A row for each curve: its sensitivity at each rate with the exact 95 % interval and that by group."""
    points: dict[str, dict[float, Point]] = {}
    for row in comparisons:
        for name, point in ((row.first, row.first_point), (row.second, row.second_point)):
            points.setdefault(name, {})[row.rate] = point
    return [(name, *map(_point_text, own.values())) for name, own in points.items()]


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


def _difference_text(difference: Any) -> str:
    return "-" if difference is None else f"{difference.value:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]"


def _p_text(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _span(interval: Sequence[float]) -> str:
    return f"[{interval[0]:.3f}, {interval[1]:.3f}]"
