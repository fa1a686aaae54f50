"""What a study over a grid can show, said before it starts: from assumed spreads, its seeds and its test groups.

A difference of two schemes varies with the training of both nets and with the cases of the test set.  The first part
falls with the seeds, the second with the groups alone: all seeds are taken to share their cases, and the errors of the
cases at two fractions to be independent of each other; both are the safe end.  Trainings are taken to vary as much with
few data as with all.  The critical values are those of `contrasts.Estimate`, so that the plan and the tests agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from math import sqrt

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.contrasts import LEVEL, POWER, Estimate, rise
from pycaffe_ext.evaluation.findings import grids, noninferior
from pycaffe_ext.evaluation.findings.model import Evidence, Spreads

MORE_SEEDS = (5, 10)  # that a plan is compared with
SIZES = {  # of `Smallest`, in words
    "gap": "deep tuning minus scratch",
    "growth": "growth of that gap from all data to the fewest (claim 2)",
    "margin": "margin for which a fine-tuning as good as the best is recommended",
    "margin_scratch": "the same where training from scratch is as good",
}

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
    schemes : compared in a recommendation.   tests : findings with a verdict, over which p values are adjusted
    scratch : whether there is a training from scratch"""

    seeds: int
    groups: int
    shares: tuple[float, ...]
    schemes: int
    tests: int
    scratch: bool = True


@dataclass(frozen=True)
class Smallest:
    """What a design shows with a chance of 80 %, in the unit of the merit; None where it can show nothing of the kind.

    gap : of deep tuning to scratch at one fraction.   growth : of the gap from all data to the fewest (claim 2)
    margin : for which two equal fine-tunings are shown to be as good.   margin_scratch : the same where training from
    scratch, whose results vary more, is as good as they are
    """

    gap: float | None
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
    growth, margin = None, None
    if len(set(design.shares)) > 1:
        weights = rise(-np.log2(np.array(sorted(set(design.shares), reverse=True))))
        growth = float(np.sqrt((weights**2).sum())) * scratch.smallest(level, known=True)
    one_sided = 2 * noninferior.LEVEL / max(design.schemes - 1, 1)
    if design.schemes > 1:
        margin = tuned.smallest(one_sided, known=True)
    if not design.scratch:
        return Smallest(None, None, margin, None)
    of_scratch = None if margin is None else scratch.smallest(one_sided, known=True)
    return Smallest(scratch.smallest(known=True), growth, margin, of_scratch)


def _difference(design: Design, spreads: Spreads, training: float, cases: float) -> Estimate:
    """The mean over seeds of a difference that is truly 0."""
    of_cases = cases * sqrt(spreads.groups / design.groups)
    return Estimate(0.0, training / sqrt(design.seeds), of_cases, design.seeds, design.groups, training, of_cases)


def text(titles: Sequence[str], design: Design, spreads: Spreads | None, unit: str, known_groups: bool) -> list[str]:
    """Lines for a reader.   titles : of the applications that have this design.   known_groups : whether the number of
    test groups is that of the data, else it is assumed."""
    head = f"{'; '.join(titles)}: {design.seeds} seed{'s' * (design.seeds != 1)}"
    if design.seeds < 2:
        return [f"{head}: nothing can be shown, as training chance stays unknown; give SEEDS two or more numbers"]
    if spreads is None:
        return [f"{head}: how much its figure ({unit}) varies is not known before two seeds of its runs are finished"]
    found = smallest(design, spreads)
    groups = f"{design.groups} test groups" + ("" if known_groups else " assumed, as no run has counted them yet")
    if found is None:
        return [f"{head}, {groups}: nothing can be shown"]
    lines = [f"{head}, {groups}; smallest that is shown with a chance of {POWER:.0%}, in {unit}"]
    more = {seeds: smallest(replace(design, seeds=seeds), spreads) for seeds in MORE_SEEDS if seeds > design.seeds}
    for name, words in SIZES.items():
        if (value := getattr(found, name)) is not None:
            others = ", ".join(f"{_size(getattr(own, name))} with {seeds} seeds" for seeds, own in more.items())
            lines.append(f"  {words}: {_size(value)}" + (f" ({others})" if others else ""))
    return lines


def _size(value: float) -> str:
    return f"{value:.3f}" if value < 1 else "none below 1"


def measured(evidence: Evidence) -> Spreads | None:
    """The spreads that finished runs on all data show, the medians over pairs of schemes; None where fewer than two
    seeds have two fine-tunings and a training from scratch."""
    at = evidence.fractions[0]
    tunings = [one.name for one in evidence.schemes if one.learning is not None]
    scratch = [one.name for one in evidence.schemes if one.scratch]
    try:
        both = [
            [grids.estimate(evidence, {(one, at): 1.0, (other, at): -1.0}) for one, other in pairs]
            for pairs in (combinations(tunings, 2), product(tunings, scratch))
        ]
    except UserError:
        return None
    if not all(both):
        return None
    names = ("training_sd", "case_sd")
    tuned, tuned_cases, from_scratch, scratch_cases = (
        float(np.median([getattr(own, name) for own in of])) for of in both for name in names
    )
    source = f"finished runs of {evidence.title}, {evidence.seeds} seeds"
    return Spreads(tuned, tuned_cases, from_scratch, scratch_cases, evidence.figure.groups, source)


def assumptions(spreads: Spreads) -> str:
    """Of `text`, once."""
    return (
        f"assumed of one seed's difference: training {spreads.tuned:g} between fine-tunings and {spreads.scratch:g} to"
        f" scratch, cases {spreads.tuned_cases:g} and {spreads.scratch_cases:g} with {spreads.groups} test groups"
        f" ({spreads.source})"
    )
