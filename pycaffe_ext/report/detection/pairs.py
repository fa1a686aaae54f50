"""Part of a report on detection: which net is better than which, as Table S1 of the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pycaffe_ext.evaluation import comparison
from pycaffe_ext.evaluation.compared import LEVEL, Comparison
from pycaffe_ext.evaluation.comparison import least_adjusted_p
from pycaffe_ext.files import write_csv
from pycaffe_ext.report import matrix, table_s1
from pycaffe_ext.report.detection.curves import exact
from pycaffe_ext.report.detection.material import Material
from pycaffe_ext.report.figures import DETECTOR
from pycaffe_ext.report.model import Block, Figure, Folded, Note, Section


def pairs(folder: Path, material: Material) -> Section:
    seed = material.study.main_seed
    rows = material.comparisons[seed]
    every = [row for own, found in material.comparisons.items() for row in table_s1.rows(own, found)]
    write_csv(folder / "table_s1.csv", material.words.columns(table_s1.HEADER), every)
    write_csv(folder / "auc_pairs.csv", table_s1.AUC_HEADER, table_s1.auc_rows(seed, material.auc_comparisons))
    _draw(folder / "table_s1.png", material)
    figure = Figure("table_s1.png", _caption(material), (comparison.compare,))
    s1 = table_s1.table(rows, (comparison.compare,), material.words.item)
    aucs = table_s1.auc_table(material.auc_comparisons, (comparison.compare_aucs,))
    folded = [
        Folded(f"Table S1, seed {seed} (all numbers, and the other seeds: table_s1.csv)", [table_s1.KEY, s1]),
        Folded(f"Pairs by AUC of candidates, seed {seed} (auc_pairs.csv)", [table_s1.AUC_KEY, aucs]),
    ]
    return Section(
        "Table S1: every pair of curves", [figure, *notes(material.comparisons, seed, material.words.target), *folded]
    )


def _caption(material: Material) -> str:
    seed = material.study.main_seed
    rows = material.comparisons[seed]
    groups = f"{rows[0].groups} groups with {material.words.target}s" if rows else "no pair"
    return (
        f"Who beats whom at {len(material.rates)} operating points. Seed {seed}, by {material.words.target}. Colour:"
        f" paired bootstrap of the difference in sensitivity ({material.resamples} resamples of {groups}), p adjusted"
        " by Holm's method over the whole table. Mark: the paper's rule, which finds a difference where the error bars"
        f" ({exact(material.words)}) do not overlap: it knows neither pairs nor groups nor how many comparisons there"
        " are."
    )


def notes(comparisons: Mapping[int, Sequence[Comparison]], seed: int, target: str = "polyp") -> list[Block]:
    """What a reader must know of the groups; comparisons : by seed."""
    found: list[Block] = []
    if not all(row.reliable for row in comparisons[seed]):
        found.append(Note("Some tests have too few groups to be relied on: see note."))
    if text := hopeless(comparisons, target):
        found.append(Note(text))
    return found


def hopeless(comparisons: Mapping[int, Sequence[Comparison]], target: str = "polyp") -> str:
    """What a reader must know where the groups are too few for so many comparisons, else ""; by seed."""
    seeds = []
    for seed, rows in comparisons.items():
        least = least_adjusted_p(rows)
        if least is not None and least >= LEVEL:
            tests = sum(row.difference is not None for row in rows)
            tell = (
                f"{rows[0].groups} groups with {target}s, which tell as much as {rows[0].effective_groups:.1f} equal"
                " ones"
            )
            seeds.append(f"seed {seed}: {tell}, {tests} comparisons, p >= {least:.2g}")
    if not seeds:
        return ""
    return (
        "The groups are too few for so many comparisons: however large a difference is, it cannot be shown"
        f" ({'; '.join(seeds)}). Name fewer schemes in SCHEMES=, or test on more groups."
    )


def _draw(path: Path, material: Material) -> None:
    rows, names = material.comparisons[material.study.main_seed], [*material.study.main, DETECTOR]
    panels = {material.words.rate(rate): table_s1.verdicts(names, rows, rate) for rate in material.rates}
    matrix.matrix_figure(
        path,
        [*material.study.main, "detector"],
        {panel: found[0] for panel, found in panels.items()},
        {panel: found[1] for panel, found in panels.items()},
        "paired bootstrap by group, Holm's p < .05",
        material.title,
    )
