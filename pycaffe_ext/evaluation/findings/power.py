"""What a study over a grid can show, said before it starts: from assumed spreads, its seeds and its test groups.

A difference of two schemes varies with the training of both nets and with the cases of the test set.  The first part
falls with the seeds, the second with the groups alone: all seeds are taken to share their cases, and the errors of the
cases at two fractions to be independent of each other; both are the safe end.  Trainings are taken to vary as much with
few data as with all.  The critical values are those of `contrasts.Estimate`, so that the plan and the tests agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from pycaffe_ext.evaluation.contrasts import LEVEL, POWER, Estimate, rise
from pycaffe_ext.evaluation.findings import noninferior
from pycaffe_ext.evaluation.findings.model import Spreads

AUC = Spreads(
    tuned=0.005,
    tuned_cases=0.003,
    scratch=0.037,
    scratch_cases=0.010,
    groups=379,
    source="SqueezeNet on Kvasir-SEG, five trainings, AUC of candidates (docs/explanation/kvasir.md)",
)


@dataclass(frozen=True)
class Design:
    """seeds, groups : trainings of each net, and groups of a test set.   shares : fractions of the training groups
    schemes : compared in a recommendation.   tests : findings with a verdict, over which p values are adjusted"""

    seeds: int
    groups: int
    shares: tuple[float, ...]
    schemes: int
    tests: int


@dataclass(frozen=True)
class Smallest:
    """What a design shows with a chance of 80 %, in the unit of the merit; None where it can show nothing of the kind.

    gap : of deep tuning to scratch at one fraction.   growth : of the gap from all data to the fewest (claim 2)
    margin : for which two equal fine-tunings are shown to be as good.   margin_scratch : the same where training from
    scratch, whose results vary more, is as good as they are
    """

    gap: float
    growth: float | None
    margin: float | None
    margin_scratch: float | None


def smallest(design: Design, spreads: Spreads) -> Smallest | None:
    """None for fewer than two seeds or groups."""
    if design.seeds < 2 or design.groups < 2:
        return None
    tuned = _difference(design, spreads, spreads.tuned, spreads.tuned_cases)
    scratch = _difference(design, spreads, spreads.scratch, spreads.scratch_cases)
    level = LEVEL / max(design.tests, 1)
    growth = None
    if len(set(design.shares)) > 1:
        weights = rise(-np.log2(np.array(sorted(set(design.shares), reverse=True))))
        factor = float(np.sqrt((weights**2).sum()))
        growth = factor * scratch.smallest(level, known=True)
    if design.schemes < 2:
        return Smallest(scratch.smallest(known=True), growth, None, None)
    one_sided = 2 * noninferior.LEVEL / (design.schemes - 1)
    margins = (own.smallest(one_sided, known=True) for own in (tuned, scratch))
    return Smallest(scratch.smallest(known=True), growth, *margins)


def _difference(design: Design, spreads: Spreads, training: float, cases: float) -> Estimate:
    """The mean over seeds of a difference that is truly 0."""
    of_cases = cases * sqrt(spreads.groups / design.groups)
    return Estimate(0.0, training / sqrt(design.seeds), of_cases, design.seeds, design.groups, training, of_cases)


def text(titles: Sequence[str], design: Design, spreads: Spreads | None, unit: str, known_groups: bool) -> list[str]:
    """Lines for a reader.   titles : of the applications that have this design.   known_groups : whether the number of
    test groups is that of the data, else it is assumed."""
    head = f"{', '.join(titles)}: {design.seeds} seed{'s' * (design.seeds != 1)}"
    if design.seeds < 2:
        return [f"{head}: nothing can be shown, as training chance stays unknown; give SEEDS two or more numbers"]
    if spreads is None:
        return [f"{head}: no finished study says how much its figure ({unit}) varies, so nothing is said beforehand"]
    found = smallest(design, spreads)
    groups = f"{design.groups} test groups" + ("" if known_groups else " assumed, as no run has counted them yet")
    if found is None:
        return [f"{head}, {groups}: nothing can be shown"]
    sizes = [f"deep tuning minus scratch: {_size(found.gap, unit)}"]
    if found.growth is not None:
        sizes.append(f"growth of that gap from all data to the fewest: {_size(found.growth, unit)}")
    lines = [f"{head}, {groups}; smallest that is shown with a chance of {POWER:.0%}", *(f"  {own}" for own in sizes)]
    if found.margin is not None and found.margin_scratch is not None:
        lines.append(
            f"  margin for which a fine-tuning as good as the best is recommended: {_size(found.margin, unit)}; where"
            f" training from scratch is as good: {_size(found.margin_scratch, unit)}"
        )
    return lines


def _size(value: float, unit: str) -> str:
    return f"{value:.3f} {unit}" if value < 1 else f"none (above 1 {unit})"


def assumptions(spreads: Spreads) -> str:
    """Of `text`, once."""
    return (
        f"assumed of one seed's difference: training {spreads.tuned:g} between fine-tunings and {spreads.scratch:g} to"
        f" scratch, cases {spreads.tuned_cases:g} and {spreads.scratch_cases:g} with {spreads.groups} test groups"
        f" ({spreads.source})"
    )
