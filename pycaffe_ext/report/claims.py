"""What the paper says of polyps (section 6.A, discussion), held against the curves of a study.

A claim that one scheme is better than another is tested by the paired bootstrap of `evaluation.comparison`, at every
operating point and for every seed; its verdict counts how many of these tests speak for it and how many against.
Other nets than AlexNet have other stages: their depths are called shallow, moderate and deep at the same shares of
the net as AlexNet's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import fmean
from typing import NamedTuple

from pycaffe_ext.evaluation.comparison import NOT_TESTED, Comparison
from pycaffe_ext.schemes import SCRATCH, STAGES

HOLDS, IN_PART, MIXED, NOT_SHOWN, AGAINST_IN_PART, CONTRADICTED, UNTESTED = (
    "holds",
    "holds in part",
    "mixed",
    "not shown",
    "contradicted in part",
    "contradicted",
    "not tested here",
)
DEEP, MODERATE = 1 / 4, 5 / 8  # of the stages, from the input: AlexNet's conv1-conv2 and conv3-conv5
NEAR_BEST = 0.99  # of a run's best validation AUC: what "has converged" means here


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper, what became of it here, and the counts or numbers behind that."""

    statement: str
    verdict: str
    evidence: str


class Method(NamedTuple):
    """A net of the study.  name : as in the comparisons."""

    name: str
    scheme: str
    arch: str = "alexnet"

    @property
    def resting(self) -> int | None:
        """How many stages do not learn; None where nothing is fine-tuned."""
        return None if self.scheme in SCRATCH else self.stages.index(self.scheme.removeprefix("ft-"))

    @property
    def stages(self) -> tuple[str, ...]:
        return STAGES[self.arch]


class Roles(NamedTuple):
    """Names of the fine-tuned nets by depth (`last`: only the head learns; `last_two`: the stage before it too), and
    of those from scratch."""

    last: list[str]
    last_two: list[str]
    shallow: list[str]
    moderate: list[str]
    deep: list[str]
    scratch: list[str]

    @property
    def tuned(self) -> list[str]:
        return [*self.last, *self.shallow, *self.moderate, *self.deep]


def roles(methods: Iterable[Method]) -> Roles:
    """`shallow` includes `last_two` and leaves out `last`."""
    found = Roles(*([] for _ in Roles._fields))
    for method in methods:
        resting, stages = method.resting, len(method.stages)
        if resting is None:
            found.scratch.append(method.name)
        elif resting == stages - 1:
            found.last.append(method.name)
        elif resting < DEEP * stages:
            found.deep.append(method.name)
        else:
            (found.moderate if resting < MODERATE * stages else found.shallow).append(method.name)
            found.last_two.extend([method.name] * (resting == stages - 2))
    return found


def claims(
    methods: Sequence[Method],
    detector: str,
    comparisons: Sequence[Comparison],
    aucs: Mapping[str, Sequence[float]],
    courses: Mapping[str, Sequence[Sequence[tuple[float, float]]]],
) -> list[Claim]:
    """The paper's claims in its order.

    methods : the nets, without the detector        detector : its name in the comparisons
    comparisons : of all seeds        aucs : name -> test AUC of each seed
    courses : name -> for each seed the (epoch, validation AUC) of its snapshots
    """
    who = roles(methods)
    nets = [*who.tuned, *who.scratch]
    lowest = min((row.rate for row in comparisons), default=0.0)
    early = [row for row in comparisons if row.rate == lowest]
    at_lowest = f"at {lowest:g} false positives a frame"
    return [
        _ordered("Every CNN outperforms the hand-crafted detector", product(nets, [detector]), comparisons),
        _ordered(
            "Of the fine-tuned nets, tuning only the last layer performs worst",
            product([*who.shallow, *who.moderate, *who.deep], who.last),
            comparisons,
        ),
        _ordered("Tuning the last two layers beats tuning only the last", product(who.last_two, who.last), comparisons),
        _ordered(
            "Moderate tuning beats shallow tuning (the last two or three layers)",
            product(who.moderate, who.shallow),
            comparisons,
        ),
        _ordered(f"Deep tuning beats moderate tuning {at_lowest}", product(who.deep, who.moderate), early),
        _rises("Performance grows with the depth of tuning", methods, aucs),
        _ordered(f"Deep tuning beats training from scratch {at_lowest}", product(who.deep, who.scratch), early),
        _not_worse(
            "Deep tuning is as good as training from scratch or better", product(who.deep, who.scratch), comparisons
        ),
        _ordered("Training from scratch beats tuning only the last layer", product(who.scratch, who.last), comparisons),
        _sooner("Deeply tuned nets converge sooner than nets from scratch", who, courses),
    ]


class Tally(NamedTuple):
    wins: int
    losses: int
    tests: int


def tally(pairs: Iterable[tuple[str, str]], comparisons: Sequence[Comparison]) -> Tally:
    """How often the first of a pair is shown to be better, and worse, in all tests of these pairs."""
    wanted = set(pairs)
    wins = losses = tests = 0
    for row in comparisons:
        for better, worse in ((row.first, row.second), (row.second, row.first)):
            if (better, worse) in wanted and row.verdict != NOT_TESTED:
                tests += 1
                wins += row.verdict == f"{better} > {worse}"
                losses += row.verdict == f"{worse} > {better}"
    return Tally(wins, losses, tests)


def verdict(counts: Tally) -> str:
    if not counts.tests:
        return UNTESTED
    if counts.wins and counts.losses:
        return MIXED
    if counts.losses:
        return CONTRADICTED if counts.losses == counts.tests else AGAINST_IN_PART
    if not counts.wins:
        return NOT_SHOWN
    return HOLDS if counts.wins == counts.tests else IN_PART


def _ordered(statement: str, pairs: Iterable[tuple[str, str]], comparisons: Sequence[Comparison]) -> Claim:
    counts = tally(pairs, comparisons)
    return Claim(statement, verdict(counts), _counted(counts))


def _not_worse(statement: str, pairs: Iterable[tuple[str, str]], comparisons: Sequence[Comparison]) -> Claim:
    """Of a claim that allows a tie, tests can only say that they found nothing against it."""
    counts = tally(pairs, comparisons)
    if not counts.tests or counts.losses:
        return Claim(statement, verdict(counts), _counted(counts))
    return Claim(statement, "not contradicted", _counted(counts))


def _counted(counts: Tally) -> str:
    if not counts.tests:
        return "the schemes it speaks of were not run"
    return f"{counts.wins} of {counts.tests} tests for it, {counts.losses} against, the others show no difference"


def _rises(statement: str, methods: Sequence[Method], aucs: Mapping[str, Sequence[float]]) -> Claim:
    """Kendall's tau between how many stages learn and the mean test AUC over seeds, of the net with most depths."""
    from scipy.stats import kendalltau

    tuned = [method for method in methods if method.resting is not None and aucs.get(method.name)]
    nets = [method.arch for method in tuned]
    arch = max(nets, key=nets.count, default="")
    points = [(-method.resting, fmean(aucs[method.name])) for method in tuned if method.arch == arch]
    if len(points) < 3:
        return Claim(statement, UNTESTED, "fewer than three depths were run")
    found = kendalltau(*zip(*points, strict=True))
    shown = found.pvalue < 0.05
    said = (HOLDS if found.statistic > 0 else CONTRADICTED) if shown else NOT_SHOWN
    return Claim(
        statement,
        said,
        f"Kendall's tau between depth and mean test AUC: {found.statistic:.2f}, p = {found.pvalue:.3f},"
        f" {len(points)} depths",
    )


def _sooner(statement: str, who: Roles, courses: Mapping[str, Sequence[Sequence[tuple[float, float]]]]) -> Claim:
    """Epochs until a run reaches 99 % of its best validation AUC, deepest tuning against scratch, seed by seed."""
    deep, scratch = (
        [epochs_to_best(course) for course in courses.get(names[-1] if names else "", ())]
        for names in (who.deep, who.scratch)
    )
    if not deep or len(deep) != len(scratch):
        return Claim(statement, UNTESTED, "no deeply tuned net and net from scratch of the same seeds")
    sooner, later = (
        sum(test(d, s) for d, s in zip(deep, scratch, strict=True)) for test in (float.__lt__, float.__gt__)
    )
    said = {True: HOLDS, False: MIXED}[sooner == len(deep)] if sooner else (CONTRADICTED if later else NOT_SHOWN)
    return Claim(
        statement,
        said,
        f"epochs until {100 * NEAR_BEST:.0f} % of the best validation AUC: {_listed(deep)} ({who.deep[-1]}) against"
        f" {_listed(scratch)} ({who.scratch[-1]})",
    )


def epochs_to_best(course: Sequence[tuple[float, float]]) -> float:
    """The first epoch whose validation AUC is within 1 % of the run's best; course : (epoch, AUC), by epoch."""
    goal = NEAR_BEST * max(auc for _, auc in course)
    return float(next(epoch for epoch, auc in course if auc >= goal))


def _listed(epochs: Sequence[float]) -> str:
    return ", ".join(f"{epoch:g}" for epoch in epochs)


def markdown(found: Sequence[Claim]) -> str:
    """A table for the report."""
    rows = [f"| {claim.statement} | **{claim.verdict}** | {claim.evidence} |" for claim in found]
    return "\n".join(["| the paper says | here | tests |", "|---|---|---|", *rows]) + "\n"
