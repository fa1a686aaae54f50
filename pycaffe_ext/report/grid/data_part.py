"""Part of a grid's page: what the data are made up of, part by part and fraction by fraction."""

from __future__ import annotations

from collections.abc import Mapping

from pycaffe_ext.report import design_part, study_parts
from pycaffe_ext.report.grid.material import Material, Panel, data_text
from pycaffe_ext.report.model import Block, Section, Table

PARTS = {"val": "validation", "test": "test"}
SOURCES = "sources, "  # counts of each data set of several
TEXT = (
    "Counts at each stage. No group (patient, video) is in two parts. Smaller amounts of training data lie within the"
    " larger; validation and test are the same at all. Where seeds differ, the least and the most are given."
)
Counts = Mapping[str, Mapping[str, float]]


def section(material: Material) -> Section:
    """A table for each application and data set."""
    blocks: list[Block] = [TEXT]
    seen = set()
    for panel in material.panels:
        key = panel.evidence.application, panel.evidence.source, panel.data_name
        if key not in seen:
            seen.add(key)
            blocks.append(Section(f"{panel.evidence.application}: {panel.data_name}", _blocks(panel)))
    return Section("Data", blocks)


def _blocks(panel: Panel) -> list[Block]:
    first = panel.first
    about = (
        f"Unit of analysis: {first.application.metric.unit}. Ground truth:"
        f" {first.application.reference(first.settings.request)}. Seeds:"
        f" {design_part.seeds_line(panel.study).partition(';')[0]}."
    )
    return [about, _table(panel)]


def _table(panel: Panel) -> Table:
    """A row each stage: training at each fraction, validation and test."""
    fractions = [fraction for fraction in panel.evidence.fractions if panel.at(fraction)]
    found = {fraction: [study_parts.counts(run.result.data) for run in panel.at(fraction)] for fraction in fractions}
    whole = found[fractions[0]]
    stages = [stage for stage in dict.fromkeys(name for own in whole for name in own) if not stage.startswith(SOURCES)]
    rows = [
        (
            stage,
            *(_span([own.get(stage, {}) for own in found[fraction]], "train") for fraction in fractions),
            *(_span([own.get(stage, {}) for own in whole], part) for part in PARTS),
        )
        for stage in stages
    ]
    header = ("", *(f"training, {data_text(fraction)}" for fraction in fractions), *PARTS.values())
    return Table(header, rows, made_by=(study_parts.counts,))


def _span(counts: list[Mapping[str, float]], part: str) -> str:
    values = [own[part] for own in counts if part in own]
    if not values:
        return ""
    least, most = (f"{value:,.6g}".replace(",", " ") for value in (min(values), max(values)))
    return least if least == most else f"{least}-{most}"
