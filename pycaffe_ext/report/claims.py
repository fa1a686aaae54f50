"""What the paper says of tuning at one amount of data (section 6.A, discussion), tested on a study.

Each claim is one contrast of a figure, fixed here before any result, and is tested over seeds and groups by
`evaluation.contrasts`; "every ..." claims are intersection-union tests, "as good as ..." is non-inferiority with a
margin, and convergence a sign test over seeds.  The p values of all claims are adjusted together by Holm's method, and
a verdict goes by the adjusted p alone.

Polyps and emboli are judged by sensitivities and by the AUC of candidates; other applications by one figure of merit,
which then stands for both.  The claims have the numbers of the paper's summary: 1 is about deep tuning and training
from scratch, 4 about convergence, 5 about the depths and the hand-crafted baseline.

A claim never mixes nets of different architectures, widths or donors: each such set of nets, a `family`, has claims
of its own.  Other nets than AlexNet have other stages: their depths are called shallow, moderate and deep at the same
shares of the net as AlexNet's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import permutations
from typing import NamedTuple

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.contrasts import (
    LEVEL,
    Figure,
    Test,
    contrast_test,
    every_test,
    mean_difference,
    rise,
)
from pycaffe_ext.evaluation.convergence import Course, SignTest, converged, least_pairs, sign_test
from pycaffe_ext.evaluation.findings.model import Finding, Merit
from pycaffe_ext.evaluation.folds import in_folds
from pycaffe_ext.evaluation.intervals import ENOUGH_GROUPS
from pycaffe_ext.evaluation.margins import MARGINS, Margins
from pycaffe_ext.evaluation.multiplicity import holm
from pycaffe_ext.evaluation.study_figures import StudyFigures
from pycaffe_ext.evaluation.words import POLYPS, Words
from pycaffe_ext.schemes import SCRATCH, STAGES

DEEP, MODERATE = 1 / 4, 5 / 8  # of the stages, from the input: AlexNet's conv1-conv2 and conv3-conv5
LEAST_DEPTHS = 5  # for a claim about growth


class Untested(UserError):
    """Why a claim was not tested."""


class Method(NamedTuple):
    """A net of the study.  name : as in the figures        donor : of its weights, "" for scratch"""

    name: str
    scheme: str
    arch: str = "alexnet"
    width: str = "1"
    donor: str = ""

    @property
    def learning(self) -> int | None:
        """How many stages learn; None where nothing is fine-tuned."""
        if self.scheme in SCRATCH:
            return None
        return len(self.stages) - self.stages.index(self.scheme.removeprefix("ft-"))

    @property
    def resting(self) -> int | None:
        """How many stages do not learn; None where nothing is fine-tuned."""
        return None if self.learning is None else len(self.stages) - self.learning

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


def families(methods: Sequence[Method]) -> dict[str, list[Method]]:
    """name -> nets that may stand in one claim, the family with most nets first.

    Fine-tuned nets of one architecture, width and donor, with the nets from scratch of that architecture and width.
    """
    tuned = dict.fromkeys((m.arch, m.width, m.donor) for m in methods if m.learning is not None)
    nets = dict.fromkeys((m.arch, m.width) for m in methods)
    keys = [*tuned, *((*net, "") for net in nets if not any(key[:2] == net for key in tuned))]
    found = {key: [m for m in methods if (m.arch, m.width) == key[:2] and m.donor in ("", key[2])] for key in keys}
    ordered = sorted(found.items(), key=lambda item: -len(item[1]))
    return {_family_name(key, keys): own for key, own in ordered}


def _family_name(key: tuple[str, str, str], keys: Sequence[tuple[str, str, str]]) -> str:
    """The architecture, with the width and the donor where others differ in these alone."""
    width = f" of width {key[1]}" if len({k[1] for k in keys if k[0] == key[0]}) > 1 else ""
    donor = f", donor {key[2]}" if len({k[2] for k in keys if k[:2] == key[:2]}) > 1 else ""
    return f"{key[0]}{width}{donor}"


class Measure(NamedTuple):
    """A figure of merit by which claims are tested.   title : what it is called.   margin : of non-inferiority, in its
    unit.   at : what a statement about it adds, " at 0.5 false positives a frame" """

    figure: Figure
    title: str
    margin: float
    at: str = ""


@dataclass(frozen=True)
class Measures:
    """By what the claims on a study are tested.

    schemes : of the columns of every figure.   overall : what most claims go by
    strict : for claims about few false positives.   area : for the AUC; the three are one where there is one figure
    groups : which ones carry the figures, " with polyps"; "" for all.   detector : what statements call the baseline
    """

    schemes: tuple[str, ...]
    overall: Measure
    strict: Measure
    area: Measure
    groups: str = ""
    detector: str = "baseline"

    def chosen(self, schemes: Sequence[str]) -> np.ndarray:
        """(schemes,) bool, which of all schemes these are"""
        return np.isin(self.schemes, list(schemes))

    @property
    def single(self) -> bool:
        return self.area is self.overall


def of_curves(figures: StudyFigures, margins: Margins = MARGINS, words: Words = POLYPS) -> Measures:
    """Sensitivities and the AUC of candidates, where lesions are detected."""
    rates, rate = ", ".join(f"{rate:g}" for rate in figures.rates), min(figures.rates)
    title, at = f"sensitivity by {words.target}", f" at {rate:g} false positives a {words.item}"
    return Measures(
        figures.schemes,
        Measure(figures.mean, f"{title}, mean at {rates} false positives a {words.item}", margins.sensitivity),
        Measure(figures.sensitivity[rate], title + at, margins.sensitivity, at),
        Measure(figures.auc, "AUC of candidates", margins.auc, ", by AUC"),
        f" with {words.target}s",
        "detector",
    )


def of_merit(schemes: Sequence[str], figure: Figure, merit: Merit) -> Measures:
    """The one figure of an application; columns as in `schemes`."""
    only = Measure(figure, merit.name, merit.margin)
    return Measures(tuple(schemes), only, only, only)


@dataclass(frozen=True)
class Family:
    """What the claims about one family are made from; see `claims`."""

    methods: Sequence[Method]
    baseline: str
    measures: Measures
    courses: Mapping[str, Mapping[int, Course]]
    who: Roles = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "who", roles(self.methods))


def claims(
    methods: Sequence[Method],
    baseline: str,
    measures: Measures,
    courses: Mapping[str, Mapping[int, Course]],
    one_each: bool = False,
) -> list[Finding]:
    """The paper's claims in its order, for the largest family of nets, then what can be tested of the others.

    methods : the nets, without the baseline        baseline : its name in the figures, "" where there is none
    measures : of all nets and the baseline        courses : name -> seed -> its validation
    one_each : whether a single contrast of each of the paper's claims has a verdict, and the others stand beside it
    """
    found: list[Finding] = []
    asked: set[tuple[str, str]] = set()
    by_family = families(methods)
    for name, own in by_family.items():
        family = Family(own, baseline, measures, courses)
        made = [_row(row, family, one_each) for row in CLAIMS if row.asked(family)]
        if found:  # families that differ in the donor have the nets from scratch in common
            made = [one for one in made if one.test is not None and (one.statement, one.contrast) not in asked]
        asked.update((one.statement, one.contrast) for one in made)
        of = f" ({name})" if len(by_family) > 1 else ""
        found += [replace(one, statement=one.statement + of) for one in made]
    return adjusted(found)


def _row(row: Row, family: Family, one_each: bool) -> Finding:
    return replace(row.make(family), claim=row.claim, primary=row.main or not one_each)


def adjusted(found: Sequence[Finding]) -> list[Finding]:
    """The claims with the p values of those that have a verdict adjusted together by Holm's method."""
    p = holm([claim.p if claim.primary else None for claim in found])
    tested = sum(value is not None for value in p)
    return [replace(claim, p_holm=value, tested=tested) for claim, value in zip(found, p, strict=True)]


def _tested(claim: Finding, test: Callable[[], Test | SignTest]) -> Finding:
    try:
        return replace(claim, test=test())
    except UserError as error:
        return replace(claim, reason=str(error))


def _finding(statement: str, contrast: str, figure: str, margin: float | None = None) -> Finding:
    """A claim whose number is set by its row."""
    return Finding(0, statement, "", contrast, figure, margin=margin)


def _check_groups(figure: Figure, measures: Measures) -> None:
    if figure.groups < ENOUGH_GROUPS:
        raise Untested(f"a test set has {figure.groups} groups{measures.groups}; {ENOUGH_GROUPS} are needed")


def _check_run(sides: Mapping[str, Sequence[str]]) -> None:
    """Raise Untested where a side has no net; sides : role, as in ROLES -> names."""
    if missing := [ROLES[role] for role, names in sides.items() if not names]:
        raise Untested(f"{' and '.join(missing)} were not run with one architecture, width and donor")


ROLES = {
    "last": "nets of which the last layer alone is tuned",
    "last_two": "nets of which the last two layers are tuned",
    "shallow": "shallowly tuned nets (the last two or three layers)",
    "moderate": "moderately tuned nets",
    "deep": "deeply tuned nets",
    "scratch": "nets from scratch",
}


def _difference(
    family: Family, statement: str, first: str, second: str, measure: Measure, margin: float | None = None
) -> Finding:
    """The mean of the nets of one role minus the mean of those of another."""
    sides: dict[str, list[str]] = {role: getattr(family.who, role) for role in (first, second)}
    text = f"{_named(sides[first])} minus {_named(sides[second])}" if all(sides.values()) else "-"

    def test() -> Test:
        _check_groups(measure.figure, family.measures)
        _check_run(sides)
        weights = mean_difference(*map(family.measures.chosen, sides.values()))
        return contrast_test(measure.figure, weights, -(margin or 0.0))

    return _tested(_finding(statement, text, measure.title, margin), test)


def _named(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"mean of {', '.join(names)}"


def _every(family: Family, statement: str, first: Sequence[str], second: Sequence[str], missing: str) -> Finding:
    """Each of the nets `first` is better than the one `second`.   missing : what is said where either is empty"""
    measures = family.measures
    figure = measures.overall.figure
    text = f"each of {', '.join(first)} minus {second[0]}" if first and second else "-"

    def test() -> Test:
        _check_groups(figure, measures)
        if not first or not second:
            raise Untested(missing)
        other = measures.chosen(second)
        return every_test(figure, {name: mean_difference(measures.chosen([name]), other) for name in first})

    return _tested(_finding(statement, text, measures.overall.title), test)


def _beat(statement: str, first: str, second: str, strict: bool = False) -> Callable[[Family], Finding]:
    """A claim that the nets of one role are better than those of another, overall or at few false positives."""

    def make(family: Family) -> Finding:
        measure = family.measures.strict if strict else family.measures.overall
        return _difference(family, statement + measure.at, first, second, measure)

    return make


def _beats_baseline(family: Family) -> Finding:
    nets = [*family.who.tuned, *family.who.scratch]
    statement = f"Every CNN outperforms the hand-crafted {family.measures.detector}"
    missing = "this application has no hand-crafted baseline"
    return _every(family, statement, nets, [family.baseline] if family.baseline else [], missing)


def _last_is_worst(family: Family) -> Finding:
    deeper = [name for name in family.who.tuned if name not in family.who.last]
    missing = f"{ROLES['last']}, and deeper tuned ones, were not run with one architecture, width and donor"
    statement = "Of the fine-tuned nets, tuning only the last layer performs worst"
    return _every(family, statement, deeper, family.who.last, missing)


AS_GOOD = "Deep tuning is as good as training from scratch or better"


def _as_good(family: Family) -> Finding:
    measure = family.measures.overall
    return _difference(family, AS_GOOD + measure.at, "deep", "scratch", measure, measure.margin)


def _as_good_by_area(family: Family) -> Finding:
    measure = family.measures.area
    return _difference(family, AS_GOOD + measure.at, "deep", "scratch", measure, measure.margin)


def _grows(family: Family) -> Finding:
    """The rise of the straight line of the AUC over how many stages learn, from the shallowest to the deepest."""
    tuned = {m.name: float(m.learning) for m in family.methods if m.learning is not None}
    measure = family.measures.area
    text = f"rise from {min(tuned, key=tuned.__getitem__)} to {max(tuned, key=tuned.__getitem__)}" if tuned else "-"

    def test() -> Test:
        _check_groups(measure.figure, family.measures)
        if len(tuned) < LEAST_DEPTHS:
            raise Untested(f"{len(tuned)} depths were run; a claim about growth needs {LEAST_DEPTHS}")
        position = np.array([tuned.get(name, np.nan) for name in family.measures.schemes])
        return contrast_test(measure.figure, rise(position))

    statement = "Performance grows with the depth of tuning"
    return _tested(_finding(statement, f"{text}, straight line", measure.title), test)


def _sooner(family: Family) -> Finding:
    """The deepest tuning against training from scratch, seed by seed."""
    deepest = max((m for m in family.methods if m.learning), key=lambda m: m.learning or 0, default=None)
    first = deepest.name if deepest and deepest.name in family.who.deep else ""
    missing = "no deeply tuned net and net from scratch of one architecture and width"
    statement = "Deeply tuned nets converge sooner than nets from scratch"
    return _converges_first(family, statement, first, next(iter(family.who.scratch), ""), missing)


def _filler_sooner(filler: str) -> Callable[[Family], Finding]:
    """Training from scratch from another filler against the one that the net was published with, seed by seed."""

    def make(family: Family) -> Finding:
        names = {m.scheme: m.name for m in reversed(family.methods)}
        first, second = names.get(f"scratch-{filler}", ""), names.get("scratch", "")
        missing = f"scratch and scratch-{filler} were not both run with one architecture and width"
        statement = f"Nets from scratch converge sooner from {filler} weights than from the published ones"
        return _converges_first(family, statement, first, second, missing)

    return make


def _converges_first(family: Family, statement: str, first: str, second: str, missing: str) -> Finding:
    """first, second : names of nets; "" for one that was not run, which `missing` says"""
    text = f"{first} before {second}" if first and second else "-"

    def test() -> SignTest:
        if not first or not second:
            raise Untested(missing)
        return _paired(family.courses.get(first, {}), family.courses.get(second, {}))

    return _tested(_finding(statement, text, "epochs to 99 % of the best validation AUC"), test)


def _same_from_all_fillers(family: Family) -> Finding:
    """Equivalence of all nets from scratch, two one-sided tests for each pair of them (Schuirmann 1987)."""
    names, measure = family.who.scratch, family.measures.area
    pairs = {f"{a} minus {b}": (a, b) for a, b in permutations(names, 2)}
    text = f"each of {', '.join(names)} minus each other" if pairs else "-"

    def test() -> Test:
        _check_groups(measure.figure, family.measures)
        if not pairs:
            raise Untested("nets from scratch were run from one filler alone")
        chosen = {text: [family.measures.chosen([name]) for name in pair] for text, pair in pairs.items()}
        weights = {text: mean_difference(*pair) for text, pair in chosen.items()}
        return every_test(measure.figure, weights, -measure.margin)

    statement = f"Nets from scratch end equally good, whatever their weights start from{measure.at}"
    return _tested(_finding(statement, text, measure.title, measure.margin), test)


def _paired(first: Mapping[int, Course], second: Mapping[int, Course]) -> SignTest:
    seeds = sorted(first.keys() & second.keys())
    if in_folds(seeds):
        raise Untested("folds share their training frames; a sign test needs seeds with splits of their own")
    if caps := {(first[seed].cap, second[seed].cap) for seed in seeds if first[seed].cap != second[seed].cap}:
        raise Untested("their caps on epochs differ: {} and {}; give both the same EPOCHS=".format(*min(caps)))
    times = [(converged(first[seed]), converged(second[seed])) for seed in seeds]
    found, needed = sign_test(times), least_pairs(LEVEL)
    if found.decided < needed:
        listed = "; ".join(f"seed {seed}: {a} and {b}" for seed, (a, b) in zip(seeds, times, strict=True))
        raise Untested(f"{found.decided} of {len(seeds)} seeds decide, a sign test needs {needed} ({listed})")
    return found


class Row(NamedTuple):
    """claim : its number in the paper's summary.   main : whether it is the contrast that stands for that claim
    of_curves : whether it is tested only where a curve gives other figures than the AUC
    of_fillers : whether it is tested only where nets from scratch start from several fillers"""

    claim: int
    make: Callable[[Family], Finding]
    main: bool = False
    of_curves: bool = False
    of_fillers: bool = False

    def asked(self, family: Family) -> bool:
        """Whether a study of this kind is asked for it."""
        curves, fillers = not family.measures.single, len(family.who.scratch) > 1
        return (curves or not self.of_curves) and (fillers or not self.of_fillers)


CLAIMS = (
    Row(5, _beats_baseline, main=True),
    Row(5, _last_is_worst),
    Row(5, _beat("Tuning the last two layers beats tuning only the last", "last_two", "last")),
    Row(5, _beat("Moderate tuning beats shallow tuning (the last two or three layers)", "moderate", "shallow")),
    Row(5, _beat("Deep tuning beats moderate tuning", "deep", "moderate", strict=True)),
    Row(5, _grows),
    Row(1, _beat("Deep tuning beats training from scratch", "deep", "scratch", strict=True)),
    Row(1, _as_good, of_curves=True),
    Row(1, _as_good_by_area, main=True),
    Row(1, _beat("Training from scratch beats tuning only the last layer", "scratch", "last")),
    Row(4, _sooner, main=True),
    Row(4, _filler_sooner("xavier"), of_fillers=True),
    Row(4, _filler_sooner("msra"), of_fillers=True),
    Row(4, _same_from_all_fillers, of_fillers=True),
)
