"""Part of a report on detection: other data sets that the nets were tested on, whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any

from pycaffe_ext.evaluation import comparison, froc, intervals
from pycaffe_ext.evaluation.study_figures import StudyFigures, study_figures
from pycaffe_ext.evaluation.words import Words
from pycaffe_ext.files import write_csv
from pycaffe_ext.report import design_part, external_part, figures, table_s1
from pycaffe_ext.report.detection import pairs
from pycaffe_ext.report.detection.curves import exact
from pycaffe_ext.report.detection.material import Material
from pycaffe_ext.report.external_part import External
from pycaffe_ext.report.figures import DETECTOR
from pycaffe_ext.report.model import Block, Figure, Folded, Section, Table
from pycaffe_ext.runs import external

COUNTS = {  # of the test in result.json -> in words, both as Words.columns makes them
    "frames": "frames",
    "groups": "groups (videos, patients)",
    "groups_with_lesions": "groups with polyps",
    "lesions": "polyps",
    "candidates": "candidates",
}


def section(folder: Path, material: Material, own: External) -> Section:
    """Write the tables of a data set and show them beside the own test.  material : of the whole study"""
    inner = material if own.inner.runs == material.study.runs else _of(material, own.inner)
    outer = _of(material, own.outer)
    there = _figures_of(outer)
    columns = _figures(inner.figures, there, material.words.item)
    found = list(external_part.falls(columns, there.schemes, inner.mean_overlap))
    blocks: list[Block] = [
        *external_part.about(own, material.words.item),
        external_part.counts(own, _counts(own, material.words)),
        *external_part.side_by_side(folder, own, found, (study_figures,)),
        *_patch_aucs(folder, own),
        _curves(folder, outer, own),
        *external_part.near_duplicates(own, material.words.item),
        external_part.thresholds(folder, own),
        *external_part.scheme_pairs(folder, own, {text: there for text, (_, there) in columns.items()}, there.schemes),
        *_pairs(folder, outer, own),
    ]
    return Section(own.title, blocks)


def _of(material: Material, study: Any) -> Material:
    return Material(study, material.rates, material.resamples, material.margins, material.progress)


def _figures_of(outer: Material) -> StudyFigures:
    """Of the other data set; folds count as seeds, for all of them are tested on the same groups."""
    group = design_part.test_groups(outer.study)
    return study_figures(
        {int(seed): outer.cases(seed) for seed in outer.study.seeds},
        {int(seed): own for seed, own in group.items()},
        outer.rates,
        "lesion",
        outer.resamples,
        progress=outer.progress,
    )


def _figures(inside: StudyFigures, outside: StudyFigures, item: str) -> external_part.Figures:
    """The primary endpoint's kind first: sensitivities, then the AUC of candidates."""
    found = {
        f"sensitivity at {rate:g} FP a {item}": (own, outside.sensitivity[rate])
        for rate, own in inside.sensitivity.items()
    }
    return {**found, "candidate AUC": (inside.auc, outside.auc)}


def _counts(own: External, words: Words) -> Mapping[str, tuple[Any, Any]]:
    first = own.inner.first(own.inner.main_seed).result.test
    return {
        text: (first.get(key, "-"), own.record.test.get(key, "-"))
        for key, text in zip(words.columns(COUNTS), words.columns(COUNTS.values()), strict=True)
    }


def _patch_aucs(folder: Path, own: External) -> list[Block]:
    """Write the AUC of patches of each net in both tests, and show it."""
    inside, outside = (study.over_seeds(lambda run: run.result.test["patch_auc"]) for study in (own.inner, own.outer))
    means = {name: (mean(values.values()), mean(outside[name].values())) for name, values in inside.items()}
    rows = [(name, len(inside[name]), *both, both[0] - both[1]) for name, both in means.items()]
    file = own.file("patch_auc.csv")
    write_csv(folder / file, ("name", "seeds", "internal", "external", "fall"), rows)
    shown = [(*row[:2], *(f"{value:.3f}" for value in row[2:4]), f"{row[4]:+.3f}") for row in rows]
    text = "AUC of patches, mean over the seeds; without intervals, for patches of one candidate are not independent."
    return [text, Table(("net", "seeds", "internal", "external", "fall"), shown, file, (external.run_test,))]


def _curves(folder: Path, outer: Material, own: External) -> Figure:
    """FROC curves of all nets on the other data set."""
    file, seed = own.file("froc.png"), own.outer.main_seed
    found = {name: froc.curve(cases) for name, cases in outer.cases(seed).items()}
    baseline = found.pop(DETECTOR)
    title = f"{outer.title}, tested on {own.record.source}"
    limit = 2 * max(outer.rates)
    figures.froc_figure(
        folder / file,
        found,
        baseline,
        rates=outer.rates,
        limit=limit,
        looks=outer.looks,
        title=title,
        words=outer.words,
    )
    caption = (
        f"FROC curves of all nets and of the {DETECTOR} on {own.record.source}, by {outer.words.target}, seed {seed}."
        f" Bars: {exact(outer.words)}."
    )
    return Figure(file, caption, (froc.curve, intervals.clopper_pearson))


def _pairs(folder: Path, outer: Material, own: External) -> list[Block]:
    """Every pair of nets on the other data set, as on the own test."""
    seed = own.outer.main_seed
    s1, aucs = own.file("table_s1.csv"), own.file("auc_pairs.csv")
    every = [row for number, found in outer.comparisons.items() for row in table_s1.rows(number, found)]
    write_csv(folder / s1, outer.words.columns(table_s1.HEADER), every)
    write_csv(folder / aucs, table_s1.AUC_HEADER, table_s1.auc_rows(seed, outer.auc_comparisons))
    table = external_part.table_in(table_s1.table(outer.comparisons[seed], (comparison.compare,), outer.words.item), s1)
    of_auc = external_part.table_in(table_s1.auc_table(outer.auc_comparisons, (comparison.compare_aucs,)), aucs)
    return [
        *pairs.notes(outer.comparisons, seed, outer.words.target),
        Folded(f"Table S1 on {own.record.source}, seed {seed}", [table_s1.KEY, table]),
        Folded(f"Pairs by AUC of candidates on {own.record.source}, seed {seed}", [table_s1.AUC_KEY, of_auc]),
    ]
