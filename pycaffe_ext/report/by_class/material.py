"""What the parts of a report on classification share: the evaluations and figures of all its runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from pycaffe_ext import plotting
from pycaffe_ext.evaluation import class_comparison
from pycaffe_ext.evaluation.class_comparison import AUC, BALANCED, Comparison
from pycaffe_ext.evaluation.class_figures import auc_figure
from pycaffe_ext.evaluation.class_summary import Summary
from pycaffe_ext.evaluation.classes import Images
from pycaffe_ext.evaluation.contrasts import Figure
from pycaffe_ext.evaluation.metrics.by_class import BASELINE, RocByClass, endpoint
from pycaffe_ext.evaluation.seeds import SHARE, Limits
from pycaffe_ext.report import depth, design_part, study_parts
from pycaffe_ext.report.depth import Seeds

if TYPE_CHECKING:
    from pycaffe_ext.runs.finished import RunFiles, Study

BY_GROUP = "95 % intervals by group, or by image where there are too few groups"


@dataclass(frozen=True)
class Material:
    """What the parts of a report share."""

    study: Study

    @property
    def metric(self) -> RocByClass:
        metric = self.study.runs[0].application.metric
        assert isinstance(metric, RocByClass)  # it is the metric that asks for this report
        return metric

    @property
    def baseline(self) -> str:
        """What the baseline is called, also where there is none."""
        return self.metric.baseline or BASELINE

    @property
    def word(self) -> str:
        return self.metric.word

    @property
    def classes(self) -> tuple[str, ...]:
        names: tuple[str, ...] = self.deepest.evaluation.classes
        return names

    @property
    def endpoint(self) -> str:
        return endpoint(len(self.classes))

    @cached_property
    def deepest(self) -> RunFiles:
        return study_parts.deepest(self.study)

    @cached_property
    def looks(self) -> dict[str, plotting.Style]:
        return {**plotting.styles(self.study.names, self.study.scratch), self.baseline: plotting.BASELINE}

    @property
    def title(self) -> str:
        return f"{study_parts.setting_text(self.study)}, seed {self.study.main_seed}"

    def images(self, seed: int) -> dict[str, Images]:
        """name -> the test images of a seed as its runs score them, the baseline last if there is one."""
        runs = self.study.of_seed(seed)
        found = {name: run.evaluation.images for name, run in runs.items()}
        first = next(iter(runs.values())).evaluation
        return {**found, **({self.baseline: first.baseline} if first.baseline else {})}

    @cached_property
    def main(self) -> dict[str, Images]:
        return self.images(self.study.main_seed)

    @cached_property
    def summaries(self) -> dict[int, dict[str, Summary]]:
        """seed -> name -> all figures."""
        found: dict[int, dict[str, Summary]] = {}
        for seed in self.study.seeds:
            runs = self.study.of_seed(seed)
            found[seed] = {name: run.evaluation.summary(seed) for name, run in runs.items()}
            first = next(iter(runs.values())).evaluation
            if first.baseline:
                found[seed][self.baseline] = first.summary(seed, BASELINE)
        return found

    def over_seeds(self, value: Callable[[Summary], float], limits: Limits = SHARE) -> dict[str, Seeds]:
        """name -> a figure over seeds; limits : between which it lies."""
        return depth.of_names(self.summaries, value, self.looks, design_part.mean_overlap(self.study), limits)

    @cached_property
    def areas(self) -> Figure:
        """The AUC of every seed and net, the baseline last; columns as in `looks`."""
        images = {seed: self.images(seed) for seed in self.study.seeds}
        return auc_figure(images, design_part.test_groups(self.study), list(self.looks))

    @cached_property
    def comparisons(self) -> dict[tuple[int, str], list[Comparison]]:
        """(seed, figure) -> every pair."""
        return {
            (seed, figure): class_comparison.compare(self.images(seed), figure, seed)
            for seed in self.study.seeds
            for figure in (AUC, BALANCED)
        }
