"""What the parts of a report on boundaries share: the walls that all its runs found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from pycaffe_ext import plotting
from pycaffe_ext.evaluation.contrasts import Figure
from pycaffe_ext.evaluation.metrics.boundaries import BASELINE, ENDPOINT
from pycaffe_ext.evaluation.seeds import Limits
from pycaffe_ext.evaluation.wall_figures import accuracy_figure
from pycaffe_ext.evaluation.walls import Walls
from pycaffe_ext.report import depth, design_part, study_parts
from pycaffe_ext.report.depth import Seeds

if TYPE_CHECKING:
    from pycaffe_ext.runs.finished import RunFiles, Study

BY_GROUP = "95 % intervals by group"
ACCURACY = f"minus the {ENDPOINT}"  # more is better: what tests of differences need


@dataclass(frozen=True)
class Material:
    """What the parts of a report share."""

    study: Study

    @cached_property
    def deepest(self) -> RunFiles:
        return study_parts.deepest(self.study)

    @cached_property
    def looks(self) -> dict[str, plotting.Style]:
        return {**plotting.styles(self.study.names, self.study.scratch), BASELINE: plotting.BASELINE}

    @property
    def title(self) -> str:
        return f"{study_parts.setting_text(self.study)}, seed {self.study.main_seed}"

    @cached_property
    def of_seeds(self) -> dict[int, dict[str, Walls]]:
        """seed -> name -> the test images as its runs find their boundaries, the baseline last."""
        return {seed: self._walls(seed) for seed in self.study.seeds}

    def _walls(self, seed: int) -> dict[str, Walls]:
        runs = self.study.of_seed(seed)
        baseline: Walls = next(iter(runs.values())).evaluation.baseline
        return {**{name: run.evaluation.network for name, run in runs.items()}, BASELINE: baseline}

    @property
    def main(self) -> dict[str, Walls]:
        return self.of_seeds[self.study.main_seed]

    @cached_property
    def accuracy(self) -> Figure:
        """Minus the primary endpoint of every seed and net, the baseline last; columns as in `looks`."""
        return accuracy_figure(self.of_seeds, design_part.test_groups(self.study), list(self.looks))

    def over_seeds(self, value: Callable[[Walls], float], limits: Limits) -> dict[str, Seeds]:
        """name -> a figure over seeds; limits : between which it lies, as `seeds.seed_interval`."""
        return depth.of_names(self.of_seeds, value, self.looks, design_part.mean_overlap(self.study), limits)
