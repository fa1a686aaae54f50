"""The pages of a report on classification, part by part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pycaffe_ext.progress import bar
from pycaffe_ext.report import carried_part, external_part, reporting_part, scheme_pairs_part, study_parts
from pycaffe_ext.report.by_class import curves, examples, external, pairs, results
from pycaffe_ext.report.by_class.material import BY_GROUP, Material
from pycaffe_ext.report.model import Section

if TYPE_CHECKING:
    from pycaffe_ext.runs.finished import Study

INTERVALS = "95 % by group (whole groups resampled, t tails), by image (exact binomial, DeLong) beside them"


def write(folder: Path, study: Study, missing: Sequence[str], progress: bool = True, wanted: str | None = None) -> None:
    """Write figures, tables, report.md and report.html into an empty folder.

    wanted : NAME-DIGEST of the only other data set that is reported on; None = all that runs were tested on.
    """
    material = Material(study)
    about = study_parts.about(study, missing, f"{material.endpoint} of test {material.word}s, {BY_GROUP}")
    steps = bar(PARTS, "report", unit="part", progress=progress)
    sections = [about, *(part(folder, material) for part in steps)]
    externals = external_part.externals(study, wanted)
    sections += [external.section(folder, material, own) for own in externals]
    sections.append(reporting_part.section(study, material.endpoint, INTERVALS, externals=externals))
    study_parts.write_pages(folder, study, sections, material.endpoint, study_parts.endpoint_text)


def _carried(folder: Path, material: Material) -> Section:
    return carried_part.section(folder, material.study)


def _scheme_pairs(folder: Path, material: Material) -> Section:
    study = material.study
    figures = {material.endpoint: material.areas}
    return scheme_pairs_part.section(
        folder, figures, list(material.looks), len(study.seeds), study_parts.setting_text(study)
    )


def _examples(folder: Path, material: Material) -> Section:
    run = material.deepest
    title = f"{material.study.name(run)}, {material.title}"
    return examples.section(folder, run, title, material.word)


PARTS = (
    study_parts.data,
    results.results,
    results.variance,
    _scheme_pairs,
    curves.curves,
    _carried,
    results.by_group,
    pairs.pairs,
    results.by_depth,
    curves.confusion,
    curves.reliability,
    study_parts.training,
    _examples,
)
