"""Part of a report on boundaries: other data sets that the nets were tested on, whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pycaffe_ext.evaluation import walls
from pycaffe_ext.evaluation.seeds import NOT_POSITIVE
from pycaffe_ext.evaluation.wall_figures import accuracy_figure
from pycaffe_ext.report import design_part, external_part
from pycaffe_ext.report.boundaries.material import ACCURACY, Material
from pycaffe_ext.report.external_part import External
from pycaffe_ext.report.model import Block, Section

WORD = "image"


def section(folder: Path, own: External) -> Section:
    """Write the tables of a data set and show them beside the own test."""
    inner, outer = Material(own.inner), Material(own.outer)
    names = list(outer.looks)
    columns = {ACCURACY: (inner.accuracy, accuracy_figure(*_there(outer), names))}
    found = list(external_part.falls(columns, names, design_part.mean_overlap(own.inner), NOT_POSITIVE))
    blocks: list[Block] = [
        *external_part.about(own, WORD),
        external_part.counts(own, _counts(inner, outer)),
        *external_part.side_by_side(folder, own, found, (accuracy_figure,)),
        *external_part.near_duplicates(own, WORD),
        *external_part.scheme_pairs(folder, own, {text: there for text, (_, there) in columns.items()}, names),
    ]
    return Section(own.title, blocks)


def _there(material: Material) -> tuple[dict[int, Any], dict[int, list[str]]]:
    """Walls and groups of the other data set; folds count as seeds, for all are tested on the same groups."""
    groups = design_part.test_groups(material.study)
    return {int(seed): own for seed, own in material.of_seeds.items()}, {int(k): own for k, own in groups.items()}


def _counts(inner: Material, outer: Material) -> dict[str, tuple[Any, Any]]:
    """Images that are judged, and their groups."""
    both = [walls.counts(next(iter(material.main.values()))) for material in (inner, outer)]
    words = {"judged_images": "images", "groups": "groups (patients, exams)"}
    return {text: (both[0][name], both[1][name]) for name, text in words.items()}
