"""What the parts of a report on detection share: the comparisons and figures of all its runs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pycaffe_ext import plotting
from pycaffe_ext.applications.detecting import Detecting
from pycaffe_ext.data.items import Item
from pycaffe_ext.evaluation import comparison, froc, summaries
from pycaffe_ext.evaluation.compared import AucComparison, Comparison
from pycaffe_ext.evaluation.contrasts import Figure
from pycaffe_ext.evaluation.findings.model import Finding
from pycaffe_ext.evaluation.margins import MARGINS, Margins
from pycaffe_ext.evaluation.metrics import detection
from pycaffe_ext.evaluation.metrics.detection import Evaluation
from pycaffe_ext.evaluation.seeds import SeedInterval
from pycaffe_ext.evaluation.study_figures import StudyFigures, study_figures
from pycaffe_ext.evaluation.summaries import SummaryComparison
from pycaffe_ext.evaluation.words import ENDPOINT_RATE, Words
from pycaffe_ext.report import claims, design_part, examples, published, study_parts, study_tables
from pycaffe_ext.report.examples import Pictures
from pycaffe_ext.report.figures import DETECTOR
from pycaffe_ext.runs.finished import RunFiles, Study

RATES = (0.5, 1.0, 2.0)  # false positives per item of Table S1; the paper's three are not in the text at hand
RESAMPLES = 2000


def detecting(run: RunFiles) -> Detecting[Any]:
    """The run's application, which detects."""
    application = run.application
    assert isinstance(application, Detecting)
    return application


@dataclass(frozen=True)
class Material:
    """What the parts of a report share.

    rates, resamples : of Table S1 and the claims        margins : of non-inferiority
    """

    study: Study
    rates: tuple[float, ...] = RATES
    resamples: int = RESAMPLES
    margins: Margins = MARGINS
    progress: bool = True

    @cached_property
    def looks(self) -> dict[str, plotting.Style]:
        return plotting.styles(self.study.names, self.study.scratch)

    @cached_property
    def words(self) -> Words:
        return study_tables.words_of(self.study.runs[0])

    @property
    def title(self) -> str:
        return f"{study_parts.setting_text(self.study)}, seed {self.study.main_seed}"

    @property
    def deepest(self) -> RunFiles:
        return study_parts.deepest(self.study)

    @property
    def group(self) -> dict[int, list[str]]:
        """seed -> group of each test frame"""
        return {seed: list(map(str, self.study.first(seed).evaluation.group)) for seed in self.study.seeds}

    def cases(self, seed: int) -> dict[str, froc.Cases]:
        """name -> scored test candidates of a seed's runs, the detector's own scores last."""
        own = {name: run.evaluation.cases for name, run in self.study.of_seed(seed).items()}
        return {**own, DETECTOR: self.study.first(seed).evaluation.baseline}

    @cached_property
    def comparisons(self) -> dict[int, list[Comparison]]:
        """seed -> Table S1, lesion by lesion."""
        return {
            seed: comparison.compare(
                self.cases(seed), self.group[seed], self.rates, "lesion", self.resamples, item=self.words.item
            )
            for seed in self.study.seeds
        }

    @cached_property
    def auc_comparisons(self) -> list[AucComparison]:
        """Every pair of the main seed by AUC of candidates."""
        first: Evaluation = self.study.first(self.study.main_seed).evaluation
        scores = {name: own.score for name, own in self.cases(self.study.main_seed).items()}
        return comparison.compare_aucs(first.label, scores, first.candidate_group, self.resamples)

    @cached_property
    def summary_figures(self) -> dict[str, summaries.Figure]:
        """name -> figure that sums up a whole curve, the same for all seeds."""
        cases = [self.study.first(seed).evaluation.cases for seed in self.study.seeds]
        return detection.summary_figures(cases, self.words)

    @cached_property
    def summaries(self) -> dict[str, dict[str, summaries.Summary]]:
        """figure -> name -> its value in the main seed, with its interval by group."""
        seed = self.study.main_seed
        return {
            text: {
                name: summaries.summary(cases, self.group[seed], figure, self.resamples)
                for name, cases in self.cases(seed).items()
            }
            for text, figure in self.summary_figures.items()
        }

    @cached_property
    def summary_comparisons(self) -> dict[tuple[int, str], list[SummaryComparison]]:
        """(seed, figure) -> every pair."""
        return {
            (seed, text): summaries.compare_summaries(self.cases(seed), self.group[seed], figure, self.resamples)
            for seed in self.study.seeds
            for text, figure in self.summary_figures.items()
        }

    @cached_property
    def counts(self) -> dict[int, dict[str, dict[str, int]]]:
        return {seed: study_tables.counts(self.study.first(seed)) for seed in self.study.seeds}

    @cached_property
    def mean_overlap(self) -> float:
        """Of the seeds' test sets."""
        return design_part.mean_overlap(self.study)

    @cached_property
    def figures(self) -> StudyFigures:
        """Of every net and seed, the detector last."""
        return study_figures(
            {seed: self.cases(seed) for seed in self.study.seeds},
            design_part.test_groups(self.study),
            self.rates,
            "lesion",
            self.resamples,
            progress=self.progress,
        )

    @property
    def endpoint(self) -> tuple[Study, Figure, tuple[str, ...], str]:
        """The primary endpoint as `design_part.variance` takes it; the middle rate where it is not among the rates."""
        rates = self.figures.rates
        rate = ENDPOINT_RATE if ENDPOINT_RATE in rates else rates[len(rates) // 2]
        title = f"sensitivity at {rate:g} false positives a {self.words.item}"
        return self.study, self.figures.sensitivity[rate], self.figures.schemes, title

    @cached_property
    def results(self) -> dict[str, dict[str, SeedInterval]]:
        return study_tables.results(self.study, self.figures, self.mean_overlap, self.words)

    @cached_property
    def examples(self) -> dict[str, list[examples.Example]]:
        return examples.extremes(self.deepest)

    @cached_property
    def items(self) -> dict[str, Item]:
        """name -> item of the deepest net's data set, as it lies there now; UserError where it is gone."""
        run = self.deepest
        found = run.application.items(run.settings.request, run.packed.found.parent.parent)
        return {item.name: item for item in found.items}

    @cached_property
    def pictures(self) -> Pictures:
        """Of the items that the report shows."""
        shown = {one.frame for kind in self.examples.values() for one in kind}
        return examples.Pictures(self.deepest, self.items, sorted({*examples.shown_frames(self.deepest), *shown}))

    @cached_property
    def claims(self) -> list[Finding]:
        return self.tested_claims()

    def tested_claims(self, one_each: bool = False) -> list[Finding]:
        """The paper's claims; one_each : as in `claims.claims`."""
        methods, courses = published.methods(self.study), published.courses(self.study)
        measures = claims.of_curves(self.figures, self.margins, self.words)
        return claims.claims(methods, DETECTOR, measures, courses, one_each)
