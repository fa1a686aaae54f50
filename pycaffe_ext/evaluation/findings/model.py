"""What the findings of a study over a grid are made from, and what they are: records without any computing.

A grid has one table of `Evidence` for each application and net.  Values in it are "more is better" throughout: an
error in mm stands there with a minus, see `Merit`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from pycaffe_ext.evaluation.contrasts import LEVEL, Estimate, Figure, Test, Verdict, verdict
from pycaffe_ext.evaluation.convergence import SignTest
from pycaffe_ext.evaluation.seeds import SeedInterval


class Scheme(NamedTuple):
    """name : "ft-conv3".   learning : how many stages learn; None of a training from scratch and of a chain.
    deep : whether it counts as deep tuning (see report.claims.roles).   chain : whether it is several trainings that
    start from a donor, such as gradual unfreezing."""

    name: str
    learning: int | None
    deep: bool = False
    chain: bool = False

    @property
    def scratch(self) -> bool:
        return self.learning is None and not self.chain


@dataclass(frozen=True)
class Spreads:
    """What is assumed of chance before a study, in the unit of a merit: standard deviations of one seed's difference of
    two schemes, as one finished study measured them.

    tuned, tuned_cases : of two fine-tunings, owing to training and to the cases of a test set of `groups` groups
    scratch, scratch_cases : the same of a fine-tuning and a training from scratch
    source : where they were measured
    """

    tuned: float
    tuned_cases: float
    scratch: float
    scratch_cases: float
    groups: int
    source: str


@dataclass(frozen=True)
class Merit:
    """By what a grid compares nets: one figure of each application, fixed by its metric.

    name, unit : "AUC of candidates", "AUC"; "mean absolute error of the thickness in mm", "mm"
    best : of a perfect net, in the values of `Evidence.figure`: 1 for an AUC, 0 for an error
    limits : between which these values lie, None where they are not bounded
    higher_is_better : of the figure as readers know it; where it is not, the values have the other sign
    margin : of non-inferiority, in the unit, above 0
    spreads : what is assumed of it beforehand, None where no study has measured it
    """

    name: str
    unit: str
    best: float
    limits: tuple[float, float] | None
    higher_is_better: bool
    margin: float
    spreads: Spreads | None = None

    def shown(self, value: float) -> float:
        """A value as readers know the figure."""
        return value if self.higher_is_better else 0.0 - value  # an interval's end of 0 does not become -0


@dataclass(frozen=True)
class Evidence:
    """The finished runs of one application and net as one figure of merit.

    application, net : "polyp", "squeezenet".   title : both, and what else tells it from the study's other evidence
    source : name of the data set; evidence of one source shares its pictures
    schemes : fine-tunings from shallow to deep, then chains, then those from scratch
    fractions : of the training groups, from all to the fewest, as text ("1", "1/4")
    trained : (fractions,) mean number of training groups; nan where no run says it
    figure : rows are seeds (or folds), columns schemes x fractions (see `column`); nan where a run is not finished
    baseline : name of the hand-crafted baseline, whose values are the figure's last column; "" where there is none
    task : what counts as one application in claims over several; "" = the application.  Anyone's class folders are a
    task for each data set.
    family : what counts as one net there; "" = the net.  Variants with the same layers are one.
    """

    application: str
    net: str
    title: str
    source: str
    merit: Merit
    schemes: tuple[Scheme, ...]
    fractions: tuple[str, ...]
    trained: tuple[float, ...]
    figure: Figure
    baseline: str = ""
    task: str = ""
    family: str = ""

    def column(self, scheme: str, fraction: str) -> int:
        """Of the figure: all fractions of the first scheme come first."""
        names = [own.name for own in self.schemes]
        return names.index(scheme) * len(self.fractions) + self.fractions.index(fraction)

    @property
    def columns(self) -> list[tuple[str, str]]:
        """(scheme, fraction) of each column."""
        return [(own.name, fraction) for own in self.schemes for fraction in self.fractions]

    @property
    def seeds(self) -> int:
        return len(self.figure.values)

    def finished(self, scheme: str, fraction: str) -> int:
        """How many seeds have this run."""
        return int(np.isfinite(self.figure.values[:, self.column(scheme, fraction)]).sum())

    def share(self, fraction: str) -> float:
        return float(Fraction(fraction))

    def shares(self, fractions: Sequence[str]) -> np.ndarray:
        """(fractions,) of the data at the largest of them: by training groups where all are known, else as they are
        called.

        A twentieth of 30 groups is one or two of them, not 1.5.
        """
        groups = np.array([self.trained[self.fractions.index(fraction)] for fraction in fractions])
        named = np.array([self.share(fraction) for fraction in fractions])
        found = groups if np.isfinite(groups).all() and np.unique(groups).size == groups.size else named
        of_largest: np.ndarray = found / found.max()
        return of_largest

    @property
    def deepest(self) -> Scheme | None:
        """The deepest fine-tuning, if it counts as deep."""
        tuned = [own for own in self.schemes if own.learning is not None]
        found = max(tuned, key=lambda own: own.learning or 0, default=None)
        return found if found and found.deep else None

    @property
    def scratch(self) -> Scheme | None:
        """The training from scratch that counts: with the published filler, which comes first."""
        return next((own for own in self.schemes if own.scratch), None)


@dataclass(frozen=True)
class Heterogeneity:
    """Whether several contrasts differ between applications, or a combination of tests; see the function.

    p : of the whole.   parts : what was compared, "rise" or "bend" -> title of the evidence -> its estimate
    statistics : part -> statistic, with p of that part in `part_p`.   function : what made it
    """

    p: float
    function: str
    parts: dict[str, dict[str, Estimate]] = field(default_factory=dict)
    statistics: dict[str, float] = field(default_factory=dict)
    part_p: dict[str, float] = field(default_factory=dict)
    above = True


@dataclass(frozen=True)
class Finding:
    """A claim of the paper, or a contrast beside it, and what became of it in this study.

    claim : its number in the paper's summary.   statement : in words.   about : title of the evidence, or the net over
    applications; "" in a report on one application.   contrast, figure : what is compared with what, by which figure
    test : None where nothing was tested, and `reason` says why.   primary : whether it has a verdict of its own; the
    others stand beside it with their interval.   p_holm : adjusted over all primary findings; tested : how many of
    them were tested.   note : what a reader must know of it, such as fractions left out
    margin : of non-inferiority, None for other claims
    """

    claim: int
    statement: str
    about: str
    contrast: str
    figure: str
    test: Test | Heterogeneity | SignTest | None = None
    reason: str = ""
    primary: bool = True
    p_holm: float | None = None
    tested: int = 0
    note: str = ""
    margin: float | None = None

    @property
    def p(self) -> float | None:
        return self.test.p if self.test else None

    @property
    def verdict(self) -> Verdict | None:
        """None of one that only stands beside a claim."""
        if not self.primary:
            return None
        if self.test is None or self.p_holm is None:
            return Verdict.NOT_TESTED
        return verdict(self.test.above, self.p_holm, self.margin is not None)

    @property
    def outcome(self) -> str:
        """The verdict in words."""
        return self.verdict.value if self.verdict else "beside a claim"

    @property
    def estimate(self) -> Estimate | None:
        """Of the contrast; None where there is none, or several."""
        return self.test.estimate if isinstance(self.test, Test) else None

    @property
    def smallest(self) -> float | None:
        """The smallest true size that a study like this shows with a chance of 80 %, whatever becomes of the others.

        At LEVEL divided by the number of findings tested, which is what Holm's method asks of the first; None where
        there is no single contrast.
        """
        return self.estimate.smallest(LEVEL / self.tested) if self.estimate and self.tested else None


@dataclass(frozen=True)
class Gap:
    """Deep tuning minus training from scratch at one fraction, more is better; None with the `reason`."""

    about: str
    fraction: str
    estimate: Estimate | None
    reason: str = ""


class Chance(NamedTuple):
    """mean : as readers know the figure.   seeds : finished.   probability : that the scheme is the best of all, None
    where training chance is unknown."""

    scheme: str
    mean: float
    seeds: int
    probability: float | None


@dataclass(frozen=True)
class Best:
    """Which scheme is the best of one evidence at one fraction.

    rows : of the schemes with a finished run, in the evidence's order.   missing : schemes without one
    reason : why there are no probabilities, "" where there are.   seeds : that have all the schemes
    """

    about: str
    fraction: str
    rows: tuple[Chance, ...]
    missing: tuple[str, ...] = ()
    reason: str = ""
    seeds: int = 0

    @property
    def leader(self) -> Chance | None:
        """The most probable; of those without probabilities nothing is said."""
        known = [row for row in self.rows if row.probability is not None]
        return max(known, key=lambda row: row.probability or 0.0, default=None)


@dataclass(frozen=True)
class Candidate:
    """A scheme against all others: the comparison that speaks least for it.

    rival : against which.   difference : scheme minus rival, more is better
    bound : simultaneous one-sided lower bound of its difference to every other scheme, the lowest
    shown : whether the bound lies above minus the margin.   seeds_needed : about how many seeds would show it with a
    chance of 80 % if the estimates were true; None where no number would, or none up to a hundred
    """

    scheme: str
    rival: str
    difference: Estimate
    bound: float
    shown: bool
    seeds_needed: int | None = None

    @property
    def margin_shown(self) -> float:
        """The smallest margin for which it would have been shown; 0 where it is shown to be the best."""
        return max(-self.bound, 0.0)


@dataclass(frozen=True)
class Recommendation:
    """The shallowest scheme that is shown to be not worse than the best by the margin.

    scheme : None where none is shown, and `needs` says what it would take
    candidates : in the evidence's order, shallow to deep; none where nothing can be tested, and `reason` says why
    missing : schemes without a finished run, which were not compared
    """

    about: str
    fraction: str
    margin: float
    unit: str
    scheme: str | None
    candidates: tuple[Candidate, ...] = ()
    needs: str = ""
    reason: str = ""
    missing: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """One sentence."""
        if self.scheme:
            return f"{self.scheme}: shown to be not worse than the best by {self.margin:g} {self.unit}"
        return f"none shown; {self.needs or self.reason}"


class Point(NamedTuple):
    """One fraction of a learning curve.  groups : trained on, nan if unknown.   over : mean over seeds with its 95 %
    interval, as readers know the figure (low < high; None where there is none)."""

    fraction: str
    groups: float
    over: SeedInterval


class Doubling(NamedTuple):
    """What twice the data would bring.  now, then : the curve at its base and at twice that, as readers know the figure
    gain : of twice the data, more is better, with its 95 % interval (None for one seed)."""

    now: float
    then: float
    gain: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class LearningCurve:
    """Performance by the amount of data of one scheme.

    form : "inverse power law", "straight line in log n" (two fractions), or "" where none is fitted, for `reason`
    parameters : of the power law error = floor + span * share ** -rate, with the error's distance from a perfect net;
    of the line value = at_base + per_doubling * log2(share)
    base : the largest fraction with a finished run, which every share and the doubling count from; "" without a curve
    shares : (points,) as they were fitted, the base's is 1
    drawn : (share, value as readers know it) along the curve, up to twice the base
    missing : fractions without a finished run
    trials : seeds, or folds of seeds, with a finished run at every other fraction: those it is fitted to
    """

    about: str
    scheme: str
    unit: str
    points: tuple[Point, ...]
    form: str = ""
    parameters: dict[str, float] = field(default_factory=dict)
    drawn: tuple[tuple[float, float], ...] = ()
    doubling: Doubling | None = None
    reason: str = ""
    missing: tuple[str, ...] = ()
    base: str = ""
    shares: tuple[float, ...] = ()
    trials: int = 0

    @property
    def base_share(self) -> float:
        """Of all training groups, as the base is called; 1 without a curve."""
        return float(Fraction(self.base or 1))


@dataclass(frozen=True)
class Findings:
    """Everything that the statistics of a grid say.

    claims : by their number, 2 by application before it is over applications; those with `primary` have verdicts,
    Holm's over all
    gaps : by evidence and fraction.   best, recommendations : by evidence and fraction, all data first
    curves : by evidence and scheme.   notes : what a reader must know of all of it, such as a single seed
    """

    evidence: tuple[Evidence, ...]
    claims: tuple[Finding, ...]
    gaps: tuple[Gap, ...]
    best: tuple[Best, ...]
    recommendations: tuple[Recommendation, ...]
    curves: tuple[LearningCurve, ...]
    notes: tuple[str, ...] = ()
