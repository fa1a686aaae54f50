"""Part of a report on detection: whole FROC curves as one number each, compared like the operating points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pycaffe_ext.evaluation import summaries
from pycaffe_ext.evaluation.compared import LEVEL
from pycaffe_ext.evaluation.intervals import ENOUGH_GROUPS
from pycaffe_ext.evaluation.summaries import Summary, SummaryComparison
from pycaffe_ext.evaluation.words import Words
from pycaffe_ext.files import write_csv
from pycaffe_ext.report.detection.material import Material
from pycaffe_ext.report.model import Folded, Section, Table
from pycaffe_ext.report.table_s1 import difference_cells, difference_text, p_text

HEADER = ("name", "figure", "seed", "value", "low", "high", "effective_groups")
PAIR_HEADER = (
    "seed",
    "figure",
    "first",
    "second",
    "difference",
    "low",
    "high",
    "p",
    "p_holm",
    "p_max_t",
    "verdict",
    "effective_groups",
    "reliable",
)


def explanation(words: Words) -> str:
    """What each of the figures is."""
    item, target = words.item, words.target
    return (
        "Each curve as one number between 0 and 1, higher is better. Mean sensitivity at 1/8, 1/4, 1/2, 1, 2, 4 and 8"
        f" false positives a {item} is the score of LUNA16 (a curve that ends before a rate is taken at its end). The"
        " area under FROC is the mean sensitivity over all rates up to its limit. AFROC is the chance that a"
        f" {target} scores above the best false positive of a {item} without {target}s (AFROC1: of any {item}, where"
        f" every {item} has one); weighted, each {item} with {target}s counts once."
    )


def section(folder: Path, material: Material) -> Section:
    """Write summaries.csv and summary_pairs.csv and show the main seed's."""
    seed, found = material.study.main_seed, material.summaries
    rows = [
        (name, figure, seed, own.value, *(own.interval or ("", "")), own.effective_groups)
        for figure, names in found.items()
        for name, own in names.items()
    ]
    write_csv(folder / "summaries.csv", HEADER, rows)
    pairs = [(key, row) for key, own in material.summary_comparisons.items() for row in own]
    write_csv(folder / "summary_pairs.csv", PAIR_HEADER, [_cells(*key, row) for key, row in pairs])
    lines = [(name, *(_shown(own[name]) for own in found.values())) for name in next(iter(found.values()))]
    table = Table(("", *found), lines, "summaries.csv", (summaries.summary,))
    text = f"{explanation(material.words)} Seed {seed}, 95 % intervals by group (none: too few groups)."
    return Section("Whole FROC curves", [text, table, Folded(f"Pairs by whole curves, seed {seed}", _pairs(material))])


def _pairs(material: Material) -> list[str | Table]:
    text = (
        "Paired bootstrap by group, both nets on the same resample; p adjusted over the pairs of one figure by Holm's"
        f" method and, beside it, by max-T. A verdict goes by Holm's p below {LEVEL:g}; there is none with fewer than"
        f" {ENOUGH_GROUPS} effective groups."
    )
    header = ("pair", "figure", "difference [95 %]", "p (Holm)", "p (max-T)", "verdict", "effective groups")
    rows = [
        (
            f"{row.first} : {row.second}",
            figure,
            difference_text(row.difference),
            p_text(row.p_holm),
            p_text(row.p_max_t),
            row.verdict,
            f"{row.effective_groups:.1f}",
        )
        for figure in material.summary_figures
        for row in material.summary_comparisons[material.study.main_seed, figure]
    ]
    return [text, Table(header, rows, "summary_pairs.csv", (summaries.compare_summaries,))]


def _cells(seed: int, figure: str, row: SummaryComparison) -> tuple[Any, ...]:
    p = ["" if value is None else value for value in (row.p_holm, row.p_max_t)]
    head = seed, figure, row.first, row.second, *difference_cells(row.difference)
    return *head, *p, row.verdict, row.effective_groups, row.reliable


def _shown(own: Summary) -> str:
    return f"{own.value:.3f}" + (f" [{own.interval.low:.3f}, {own.interval.high:.3f}]" if own.interval else "")
