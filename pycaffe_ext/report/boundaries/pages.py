"""The pages of a report on boundaries, part by part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pycaffe_ext.evaluation.metrics.boundaries import ENDPOINT
from pycaffe_ext.progress import bar
from pycaffe_ext.report import design_part, external_part, reporting_part, scheme_pairs_part, study_parts
from pycaffe_ext.report.boundaries import examples, external, results
from pycaffe_ext.report.boundaries.material import ACCURACY, BY_GROUP, Material
from pycaffe_ext.report.model import Section

if TYPE_CHECKING:
    from pycaffe_ext.runs.finished import Study

INTERVALS = "95 % by group (whole groups resampled, t tails)"


def write(folder: Path, study: Study, missing: Sequence[str], progress: bool = True, wanted: str | None = None) -> None:
    """Write figures, tables, report.md and report.html into an empty folder.

    wanted : NAME-DIGEST of the only other data set that is reported on; None = all that runs were tested on.
    """
    material = Material(study)
    about = study_parts.about(study, missing, f"{ENDPOINT} of test images, {BY_GROUP}; lower is better")
    steps = bar(PARTS, "report", unit="part", progress=progress)
    sections = [about, *(part(folder, material) for part in steps)]
    externals = external_part.externals(study, wanted)
    sections += [external.section(folder, own) for own in externals]
    sections.append(reporting_part.section(study, ENDPOINT, INTERVALS, externals=externals))
    study_parts.write_pages(folder, study, sections, ENDPOINT, study_parts.endpoint_text)


def _variance(folder: Path, material: Material) -> Section:
    return design_part.variance(folder, material.study, material.accuracy, list(material.looks), ENDPOINT)


def _scheme_pairs(folder: Path, material: Material) -> Section:
    study, names = material.study, list(material.looks)
    return scheme_pairs_part.section(
        folder, {ACCURACY: material.accuracy}, names, len(study.seeds), study_parts.setting_text(study)
    )


PARTS = (
    study_parts.data,
    results.results,
    _variance,
    _scheme_pairs,
    results.errors,
    results.pairs,
    results.by_depth,
    study_parts.training,
    examples.section,
)
