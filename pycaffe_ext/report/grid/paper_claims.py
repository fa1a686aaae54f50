"""The paper's claims about one amount of data, 1, 4 and 5, tested on the runs of a grid as `report.claims` tests them.

Each has one contrast with a verdict, so that the page's claims together keep their level and their power; what the
report of an application tests besides stands beside it with its interval.
"""

from __future__ import annotations

from dataclasses import replace

from pycaffe_ext.evaluation.contrasts import Figure
from pycaffe_ext.evaluation.findings.model import Evidence, Finding
from pycaffe_ext.evaluation.margins import MARGINS, Margins
from pycaffe_ext.evaluation.metrics.detection import Detection
from pycaffe_ext.report import claims, published
from pycaffe_ext.report.detection.material import Material as Detected
from pycaffe_ext.report.grid.material import Panel, data_text


def findings(panel: Panel) -> list[Finding]:
    """Of one application, at the largest fraction that has a finished run; p values are not adjusted yet."""
    fraction, own = panel.largest, panel.evidence
    about = own.title if fraction == own.fractions[0] else f"{own.title}, at {data_text(fraction)}"
    return [replace(one, about=about, p_holm=None, tested=0) for one in _claims(panel)]


def _claims(panel: Panel) -> list[Finding]:
    own, study = panel.evidence, panel.study
    if isinstance(panel.first.application.metric, Detection):
        margins = Margins(MARGINS.sensitivity, own.merit.margin)
        return Detected(study, margins=margins, progress=False).tested_claims(one_each=True)
    measures = claims.of_merit(*_at(own, panel.largest), own.merit)
    return claims.claims(published.methods(study), own.baseline, measures, published.courses(study), one_each=True)


def _at(own: Evidence, fraction: str) -> tuple[list[str], Figure]:
    """The schemes, and the baseline where there is one, with their columns of the figure at a fraction."""
    names = [scheme.name for scheme in own.schemes]
    columns = [own.column(name, fraction) for name in names]
    if own.baseline:
        names, columns = [*names, own.baseline], [*columns, own.figure.values.shape[1] - 1]
    covariance = own.figure.covariance[:, columns][:, :, :, columns]
    return names, replace(own.figure, values=own.figure.values[:, columns], covariance=covariance)
