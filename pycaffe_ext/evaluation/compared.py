"""What a comparison of two methods says: the rows that `evaluation.comparison` makes."""

from __future__ import annotations

from dataclasses import dataclass

from pycaffe_ext.evaluation.intervals import ENOUGH_GROUPS, Difference, Interval

LEVEL = 0.05
NO_DIFFERENCE, NOT_TESTED = "no difference shown", "not tested"


@dataclass(frozen=True)
class Point:
    """One method at a false-positive rate.

    false_positives_per_frame : what its operating point has, at most the rate        hits, total : lesions or frames
    step : false positives per frame at the last threshold within the rate and at the next, the same at the curve's end
    tied : false candidates of the one score in between
    end : false positives per frame when all candidates are detections        reached : whether that is the rate or more
    exact : 95 %, lesions taken as independent        bootstrap : 95 % by group, None where there are too few groups
    """

    false_positives_per_frame: float
    hits: int
    total: int
    step: tuple[float, float]
    tied: int
    end: float
    reached: bool
    exact: Interval
    bootstrap: Interval | None

    @property
    def sensitivity(self) -> float:
        return self.hits / self.total


@dataclass(frozen=True)
class Comparison:
    """Two methods at one false-positive rate.

    paper : verdict of the paper's rule, by the exact intervals.  difference : first minus second sensitivity, with its
    95 % interval and p of the paired bootstrap; None where nothing can be tested.  p_holm : adjusted over the table.
    verdict : of the test, by p_holm < .05.  Verdicts read "A > B", "no difference shown" or "not tested".
    groups : those with lesions.  note : what a reader must know of this row, else "".
    """

    first: str
    second: str
    rate: float
    by: str
    first_point: Point
    second_point: Point
    paper: str
    difference: Difference | None
    p_holm: float | None
    verdict: str
    groups: int
    note: str
    effective_groups: float
    p_max_t: float | None = None

    @property
    def reliable(self) -> bool:
        """Whether there is a test and enough groups for it."""
        return self.difference is not None and self.groups >= ENOUGH_GROUPS

    @property
    def evidence(self) -> str:
        """The verdict where it is reliable, else "not tested": what may be counted or summed up over a table."""
        return self.verdict if self.reliable else NOT_TESTED


@dataclass(frozen=True)
class AucComparison:
    """Two methods by the area under their ROC curves.

    delong : paired test that takes the cases as independent; paper : non-overlap of DeLong's intervals.
    bootstrap : paired, by group; None where there are too few groups.  The p_... are Holm's over the table, the
    verdicts go by them; bootstrap_p_max_t stands beside.  groups : the fewer of those with positives and those with
    negatives.  effective_groups : of one size, what the bootstrap's tails go by.
    """

    first: str
    second: str
    aucs: tuple[float, float]
    delong_intervals: tuple[Interval, Interval]
    bootstrap_intervals: tuple[Interval, Interval] | None
    paper: str
    delong: Difference
    delong_p_holm: float
    delong_verdict: str
    bootstrap: Difference | None
    bootstrap_p_holm: float | None
    bootstrap_verdict: str
    groups: int
    note: str
    effective_groups: float
    bootstrap_p_max_t: float | None = None

    @property
    def reliable(self) -> bool:
        """Whether there is a test by group and enough groups for it."""
        return self.bootstrap is not None and self.groups >= ENOUGH_GROUPS

    @property
    def evidence(self) -> str:
        """The verdict by group where it is reliable, else "not tested"."""
        return self.bootstrap_verdict if self.reliable else NOT_TESTED
