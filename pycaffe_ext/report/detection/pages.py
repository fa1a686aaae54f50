"""The pages of a report on detection, part by part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pycaffe_ext.evaluation.margins import MARGINS, checked_margins
from pycaffe_ext.progress import bar
from pycaffe_ext.report import carried_part, external_part, reporting_part, scheme_pairs_part, study_parts
from pycaffe_ext.report.detection import curves, external, pairs, pictures, results, strata, whole_curves
from pycaffe_ext.report.detection.material import RATES, RESAMPLES, Material
from pycaffe_ext.report.external_part import External
from pycaffe_ext.report.model import Section
from pycaffe_ext.runs.finished import RunFiles, Study

INTERVALS = "95 % by group (whole groups resampled, t tails) for all figures of merit, exact binomial beside them"


def write(folder: Path, study: Study, missing: Sequence[str], options: Mapping[str, Any]) -> None:
    """Write all figures, tables, report.md and report.html of a study that detects lesions into an empty folder.

    missing : runs that belong to the study and are not finished; the report names them.   options : rates, resamples
    (of Table S1 and the claims), margin and auc_margin (of non-inferiority), progress, external (NAME-DIGEST of the
    only other data set that is reported on; None = all that runs were tested on).
    """
    margins = checked_margins(options.get("margin", MARGINS.sensitivity), options.get("auc_margin", MARGINS.auc))
    rates, resamples = tuple(options.get("rates", RATES)), options.get("resamples", RESAMPLES)
    material = Material(study, rates, resamples, margins, options.get("progress", True))
    steps = bar(PARTS, "report", unit="part", progress=material.progress)
    parts = [part(folder, material) for part in steps]
    externals = external_part.externals(study, options.get("external"))
    parts += [external.section(folder, material, own) for own in externals]
    about = study_parts.about(study, missing, _endpoint(material))
    sections = [about, *parts, _reporting(material, externals)]
    study_parts.write_pages(folder, study, sections, "test AUC (patches)", _patch_auc)


def _reporting(material: Material, externals: Sequence[External]) -> Section:
    smallest = [claim.smallest for claim in material.claims if claim.smallest is not None]
    tested = max((claim.tested for claim in material.claims), default=0)
    return reporting_part.section(material.study, _endpoint(material), INTERVALS, smallest, tested, externals)


def _endpoint(material: Material) -> str:
    return f"{material.words.endpoint} by {material.words.target}"


def _patch_auc(run: RunFiles) -> str:
    return f"{run.result.test['patch_auc']:.4f}"


def _scheme_pairs(folder: Path, material: Material) -> Section:
    figures = {f"sensitivity at {rate:g}": own for rate, own in material.figures.sensitivity.items()}
    figures["AUC of candidates"] = material.figures.auc
    schemes, title = material.figures.schemes, study_parts.setting_text(material.study)
    return scheme_pairs_part.section(folder, figures, schemes, len(material.study.seeds), title)


def _carried(folder: Path, material: Material) -> Section:
    return carried_part.section(folder, material.study)


PARTS = (
    results.claims,
    results.data,
    results.results,
    results.variance,
    _scheme_pairs,
    curves.curves,
    whole_curves.section,
    _carried,
    strata.section,
    pairs.pairs,
    results.by_depth,
    study_parts.training,
    pictures.extremes,
)
