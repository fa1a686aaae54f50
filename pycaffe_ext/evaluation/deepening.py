"""The paper's own procedure (section 5): start with the last layer, include more of them until it no longer helps.

**The rule.**  A step grows if its validation figure exceeds that of the last step that grew, the depth which would be
chosen so far, by more than one standard error of their difference, which is paired: both nets score the same validation
patches, and whole groups (videos, patients) are drawn with replacement.  After `STEPS` steps in a row that do not grow,
the procedure ends, and the depth is that of the last step that grew.  One
standard error, as in the one-standard-error rule of Breiman et al. (1984), is a rule of choice and no test: a
difference that is truly none grows in about one of six steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pycaffe_ext.data.items import Floats, Ints
from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.intervals import Difference, effective_groups, group_counts, paired_difference

STEPS = 2
ONE_ERROR = 0.6827  # confidence of an interval of one standard error, each side
RESAMPLES = 500
Value = Callable[[Floats, Ints], float]


@dataclass(frozen=True)
class Scored:
    """What a net says of n validation patches.  probability : (n, classes).   label : (n,).   group : (n,) of each."""

    probability: Floats
    label: Ints
    group: np.ndarray


@dataclass(frozen=True)
class Step:
    """A depth that was tried.  value : validation figure.   growth : over the last that grew; the first has none."""

    name: str
    value: float
    growth: Difference | None = None

    @property
    def grew(self) -> bool:
        """The first step counts as one that grew."""
        return self.growth is None or self.growth.low > 0


def growth(value: Value, before: Scored, after: Scored, seed: int = 0, resamples: int = RESAMPLES) -> Difference:
    """How much larger `value` (probability, label) is of `after` than of `before`, with an interval of one standard
    error; both of the same patches.

    Raises UserError if they are not, or if there are too few groups for a bootstrap.
    """
    if not (np.array_equal(before.label, after.label) and np.array_equal(before.group, after.group)):
        raise UserError("the two nets were not scored on the same validation patches")
    names, member = np.unique(before.group, return_inverse=True)
    rows = [np.flatnonzero(member == number) for number in range(names.size)]
    drawn = []
    for counts in group_counts(names.size, resamples, seed):
        for own in counts.astype(np.int64):
            taken = np.concatenate([np.tile(rows[i], own[i]) for i in np.flatnonzero(own)])
            drawn.append(_value(value, after, taken) - _value(value, before, taken))
    every = np.arange(len(member))
    difference = _value(value, after, every) - _value(value, before, every)
    sizes = effective_groups(np.bincount(member))
    return paired_difference(difference, np.array(drawn), sizes, ONE_ERROR)


def _value(value: Value, scored: Scored, rows: Ints) -> float:
    """NaN where a resample lacks a class."""
    try:
        return value(scored.probability[rows], scored.label[rows])
    except UserError:
        return float("nan")


def procedure(
    tried: Iterable[tuple[str, float, Scored]], grew_by: Callable[[Scored, Scored], Difference]
) -> Iterator[tuple[Step, str]]:
    """The steps of the procedure, each with the name of the depth that it is compared with, "" of the first.

    tried : name, validation figure and scores of each depth, shallow to deep; taken one by one, and none after the
    procedure has ended.   grew_by : growth of the second over the first
    """
    steps: list[Step] = []
    grown: tuple[str, Scored] | None = None
    for name, figure, scored in tried:
        step = Step(name, figure, grew_by(grown[1], scored) if grown else None)
        steps.append(step)
        yield step, grown[0] if grown else ""
        grown = (name, scored) if step.grew or grown is None else grown
        if ended(steps):
            return


def chosen(course: Sequence[Step]) -> Step:
    """The depth that the procedure comes to: the last step that grew."""
    return [step for step in course if step.grew][-1]


def ended(course: Sequence[Step]) -> bool:
    """Whether the last STEPS steps did not grow."""
    return len(course) > STEPS and not any(step.grew for step in course[-STEPS:])
