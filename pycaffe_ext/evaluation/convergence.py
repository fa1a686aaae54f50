"""Which of two trainings converges sooner, where a cap on epochs may have stopped either.

A run has converged when its validation AUC is first within 1 % of its best.  The best is known only if training went
on past it until patience ran out.  A run that the cap stopped is censored: its best may have been still to come, so
the epoch that is read from its course is the earliest that is possible, and reported as "not reached".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.intervals import Interval, clopper_pearson

NEAR_BEST = 0.99  # of a run's best validation AUC: what "has converged" means here


@dataclass(frozen=True)
class Course:
    """The validation of a run.

    points : (epoch, AUC) of each snapshot, by epoch        cap : epochs at most
    stopped : whether patience stopped the training, so that its best is confirmed; False where the cap did
    """

    points: tuple[tuple[float, float], ...]
    cap: int
    stopped: bool


class Time(NamedTuple):
    """The epoch of convergence; where it was not reached, the earliest that is possible."""

    epoch: float
    reached: bool

    def __str__(self) -> str:
        return f"{self.epoch:g}" if self.reached else f"≥ {self.epoch:g} (not reached)"


class SignTest(NamedTuple):
    """Pairs in which the first is sooner and later, those that are tied or undecided, and the two-sided sign test.

    p : None where no pair is decided
    """

    sooner: int
    later: int
    tied: int
    undecided: int
    p: float | None

    @property
    def decided(self) -> int:
        return self.sooner + self.later

    @property
    def above(self) -> bool:
        """Whether the evidence, such as it is, is for the first."""
        return self.sooner > self.later

    def share(self, confidence: float = 0.95) -> Interval:
        """Exact interval of the share of decided pairs in which the first is sooner."""
        return clopper_pearson(self.sooner, self.decided, confidence)


def converged(course: Course) -> Time:
    """Raises UserError for a course without snapshots."""
    if not course.points:
        raise UserError("a run without snapshots has no course; remove it and run it again")
    goal = NEAR_BEST * max(auc for _, auc in course.points)
    return Time(float(next(epoch for epoch, auc in course.points if auc >= goal)), course.stopped)


def sign_test(pairs: Sequence[tuple[Time, Time]]) -> SignTest:
    """The exact sign test (Conover 1999) of paired times, without ties and pairs that censoring leaves undecided."""
    from scipy.stats import binomtest

    signs = [_sign(first, second) for first, second in pairs]
    sooner, later = signs.count("<"), signs.count(">")
    p = float(binomtest(sooner, sooner + later).pvalue) if sooner + later else None
    return SignTest(sooner, later, signs.count("="), signs.count("?"), p)


def least_pairs(level: float) -> int:
    """Decided pairs that a two-sided sign test needs at least to come below `level`: 6 for 0.05."""
    pairs = 1
    while 2.0 ** (1 - pairs) >= level:
        pairs += 1
    return pairs


def _sign(first: Time, second: Time) -> str:
    """< where the first is sooner, > where it is later, = where both took the same time, ? where that is unknown."""
    if first.reached and (first.epoch < second.epoch):
        return "<"
    if second.reached and second.epoch < first.epoch:
        return ">"
    return "=" if first.reached and second.reached else "?"
