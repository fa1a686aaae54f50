"""Part of a grid's page: what the data are made up of, part by part and fraction by fraction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from pycaffe_ext.report import design_part, study_parts
from pycaffe_ext.report.grid.material import Material, Panel, capital, data_text
from pycaffe_ext.report.model import Block, Section, Table
from pycaffe_ext.runs.finished import Study
from pycaffe_ext.runs.settings import DataRequest

PARTS = {"val": "validation", "test": "test"}
SOURCES = "sources, "  # counts of each data set of several
TEXT = (
    "Counts at each stage. No group (patient, video) is in two parts. The groups of a smaller amount of training data"
    " are among those of the larger; where PATCHES= leaves fewer patches than there are, each amount has its own drawn,"
    " as many a group. Validation and test are the same at all. Where seeds differ, the least and the most are given."
)
Counts = Mapping[str, Mapping[str, float]]


def section(material: Material) -> Section:
    """A table for each data set, as one application asks for it, over the runs of all nets."""
    requests: dict[DataRequest, list[Panel]] = {}
    for panel in material.panels:
        requests.setdefault(_request(panel), []).append(panel)
    names = [_name(panels) for panels in requests.values()]
    blocks: list[Block] = [TEXT]
    for name, panels in zip(names, requests.values(), strict=True):
        which = f" ({'; '.join(panel.evidence.title for panel in panels)})" if names.count(name) > 1 else ""
        blocks.append(Section(f"{name}{which}", _blocks(_study(panels))))
    return Section("Data", blocks)


def _request(panel: Panel) -> DataRequest:
    """What is asked of the data, the same for all seeds, folds and fractions."""
    request = panel.first.settings.request
    return replace(request.whole, seed=0, fold=request.folds and 1)


def _name(panels: Sequence[Panel]) -> str:
    return f"{panels[0].evidence.application}: {panels[0].data_name}"


def _study(panels: Sequence[Panel]) -> Study:
    """The runs of all panels, each once."""
    runs = {run.folder: run for panel in panels for run in panel.runs}
    return Study(tuple(runs.values()), panels[0].evidence.net)


def _blocks(study: Study) -> list[Block]:
    first = study.runs[0]
    about = (
        f"Unit of analysis: {first.application.metric.unit}. Ground truth:"
        f" {first.application.reference(first.settings.request)}. Seeds:"
        f" {design_part.seeds_line(study).partition(';')[0]}."
    )
    design = (
        f"{capital(design_part.seeds_text(study))}. Overlap of the seeds' test sets, by group:"
        f" {design_part.overlap_text(study)}."
    )
    return [about, design, _table(study)]


def _table(study: Study) -> Table:
    """A row each stage: training at each fraction, validation and test."""
    fractions = sorted({run.settings.request.fraction for run in study.runs}, key=Fraction, reverse=True)
    found = {
        fraction: [
            study_parts.counts(run.result.data) for run in study.runs if run.settings.request.fraction == fraction
        ]
        for fraction in fractions
    }
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
    least, most = (_number(value).replace(",", " ") for value in (min(values), max(values)))
    return least if least == most else f"{least}-{most}"


def _number(value: float) -> str:
    """With commas between thousands; whole numbers to the last digit."""
    return f"{int(value):,d}" if float(value).is_integer() else f"{value:,.6g}"
