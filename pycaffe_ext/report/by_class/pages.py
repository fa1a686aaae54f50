"""The pages of a report on classification, part by part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pycaffe_ext.files import writing
from pycaffe_ext.progress import bar
from pycaffe_ext.report import model, study_parts
from pycaffe_ext.report.by_class import curves, examples, pairs, results
from pycaffe_ext.report.by_class.material import BY_GROUP, Material
from pycaffe_ext.report.model import Section

if TYPE_CHECKING:
    from pycaffe_ext.runs.finished import RunFiles, Study


def write(folder: Path, study: Study, missing: Sequence[str], progress: bool = True) -> None:
    """Write figures, tables, report.md and report.html into an empty folder."""
    from pycaffe_ext.applications.registry import APPLICATIONS

    material = Material(study)
    about = study_parts.about(study, missing, f"{material.endpoint} of test {material.word}s, {BY_GROUP}")
    steps = bar(PARTS, "report", unit="part", progress=progress)
    sections = [about, *(part(folder, material) for part in steps)]
    files = [path.name for path in folder.iterdir()]
    sections.append(study_parts.runs(study, lambda run: _endpoint_text(run), material.endpoint, files))
    name = APPLICATIONS[study.runs[0].settings.app].title
    title = f"{name[0].upper()}{name[1:]}: {study_parts.source_text(study)}"
    for file, text in (
        ("report.md", model.markdown(sections, title)),
        ("report.html", model.html(sections, title, folder)),
    ):
        with writing(folder / file) as page:
            page.write(text)


def _endpoint_text(run: RunFiles) -> str:
    return str(run.application.metric.headline(run.result.test))


def _training(folder: Path, material: Material) -> Section:
    return study_parts.training(folder, material.study, material.looks)


def _examples(folder: Path, material: Material) -> Section:
    run = material.deepest
    title = f"{material.study.name(run)}, {material.title}"
    return examples.section(folder, run, title, material.word)


PARTS = (
    results.data,
    results.results,
    results.variance,
    curves.curves,
    pairs.pairs,
    results.by_depth,
    curves.confusion,
    curves.reliability,
    _training,
    _examples,
)
