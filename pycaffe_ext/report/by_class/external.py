"""Part of a report on classification: other data sets that the nets were tested on, whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pycaffe_ext.evaluation import class_comparison
from pycaffe_ext.evaluation.class_comparison import AUC, BALANCED
from pycaffe_ext.evaluation.class_figures import accuracy_figure, auc_figure, balanced_figure
from pycaffe_ext.evaluation.contrasts import Figure
from pycaffe_ext.report import design_part, external_part
from pycaffe_ext.report.by_class import pairs
from pycaffe_ext.report.by_class.material import Material
from pycaffe_ext.report.external_part import External
from pycaffe_ext.report.model import Block, Folded, Section, Table

if TYPE_CHECKING:
    from pycaffe_ext.runs.finished import Study

OTHERS: dict[str, Callable[..., Figure]] = {BALANCED: balanced_figure, "accuracy": accuracy_figure}


def section(folder: Path, material: Material, own: External) -> Section:
    """Write the tables of a data set and show them beside the own test.  material : of the whole study"""
    inner, outer = Material(own.inner), Material(own.outer)
    names, word = list(outer.looks), material.word
    if outer.baseline not in outer.main:
        names.remove(outer.baseline)
    columns = {
        text: (made(*_images(inner), names), made(*_there(outer), names))
        for text, made in {material.endpoint: auc_figure, **OTHERS}.items()
    }
    found = list(external_part.falls(columns, names, design_part.mean_overlap(own.inner)))
    blocks: list[Block] = [
        *external_part.about(own, word),
        external_part.counts(own, _counts(inner, outer)),
        *external_part.side_by_side(folder, own, found, (auc_figure, *OTHERS.values())),
        *external_part.near_duplicates(own, word),
        external_part.thresholds(folder, own),
        *external_part.scheme_pairs(folder, own, {text: there for text, (_, there) in columns.items()}, names),
        *_pairs(folder, outer, own),
    ]
    return Section(own.title, blocks)


def _images(material: Material) -> tuple[dict[int, Any], dict[int, list[str]]]:
    study: Study = material.study
    return {seed: material.images(seed) for seed in study.seeds}, design_part.test_groups(study)


def _there(material: Material) -> tuple[dict[int, Any], dict[int, list[str]]]:
    """The same of the other data set; folds count as seeds, for all of them are tested on the same groups."""
    images, group = _images(material)
    return {int(seed): own for seed, own in images.items()}, {int(seed): own for seed, own in group.items()}


def _counts(inner: Material, outer: Material) -> Mapping[str, tuple[Any, Any]]:
    """Images, groups, and the images of each class."""
    both = [next(iter(material.main.values())) for material in (inner, outer)]
    rows: dict[str, tuple[Any, Any]] = {
        f"{inner.word}s": (both[0].label.size, both[1].label.size),
        "groups (patients, videos)": (np.unique(both[0].group).size, np.unique(both[1].group).size),
    }
    for kind, name in enumerate(inner.classes):
        rows[f"… of class {name}"] = int(both[0].count[kind]), int(both[1].count[kind])
    return rows


def _pairs(folder: Path, outer: Material, own: External) -> list[Block]:
    """Every pair of nets on the other data set, as on the own test."""
    seed, file = own.outer.main_seed, own.file("pairs.csv")
    pairs.write(folder / file, outer.comparisons)
    found = {figure: outer.comparisons[seed, figure] for figure in (AUC, BALANCED)}
    if not found[AUC]:
        return []
    made_by = (class_comparison.compare,)
    tables = {
        figure: Table(pairs.SHOWN, list(map(pairs.text_row, rows)), file, made_by) for figure, rows in found.items()
    }
    folded = [
        Folded(f"Pairs by {figure} on {own.record.source}, seed {seed}", [table]) for figure, table in tables.items()
    ]
    return [*pairs.hopeless(found[AUC]), *folded]
