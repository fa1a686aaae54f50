"""What the paper says of polyps (section 6.A, discussion), tested on a study.

Each claim is one contrast of a figure, fixed here before any result, and is tested over seeds and groups by
`evaluation.contrasts`; "every ..." claims are intersection-union tests, "as good as ..." is non-inferiority with a
margin, and convergence a sign test over seeds.  The p values of all claims are adjusted together by Holm's method, and
a verdict goes by the adjusted p alone.

A claim never mixes nets of different architectures, widths or donors: each such set of nets, a `family`, has claims
of its own.  Other nets than AlexNet have other stages: their depths are called shallow, moderate and deep at the same
shares of the net as AlexNet's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.contrasts import (
    LEVEL,
    Figure,
    Test,
    Verdict,
    contrast_test,
    every_test,
    mean_difference,
    rise,
    verdict,
)
from pycaffe_ext.evaluation.convergence import Course, SignTest, converged, least_pairs, sign_test
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


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper and what became of it here.

    contrast, figure : what is compared with what, and by which figure of merit
    test : of the contrast, or of convergence; None where nothing was tested, and `reason` says why
    margin : of non-inferiority, None for other claims        p_holm : adjusted over all claims tested
    tested : how many these are
    """

    statement: str
    contrast: str
    figure: str
    test: Test | SignTest | None = None
    reason: str = ""
    margin: float | None = None
    p_holm: float | None = None
    tested: int = 0

    @property
    def p(self) -> float | None:
        return self.test.p if self.test else None

    @property
    def verdict(self) -> Verdict:
        if self.test is None or self.p_holm is None:
            return Verdict.NOT_TESTED
        return verdict(above(self.test), self.p_holm, self.margin is not None)

    @property
    def smallest(self) -> float | None:
        """The smallest difference that this study shows with a chance of 80 %, whatever becomes of the other claims.

        At a level of 0.05 divided by the number of claims, which is what Holm's method asks of the first.
        None for convergence and where nothing was tested.
        """
        return self.test.estimate.smallest(LEVEL / self.tested) if isinstance(self.test, Test) else None


def above(test: Test | SignTest) -> bool:
    """Whether the evidence, such as it is, is for the claim."""
    return test.above if isinstance(test, Test) else test.sooner > test.later


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


@dataclass(frozen=True)
class Family:
    """What the claims about one family are made from; see `claims`."""

    methods: Sequence[Method]
    detector: str
    figures: StudyFigures
    courses: Mapping[str, Mapping[int, Course]]
    margins: Margins
    words: Words
    who: Roles = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "who", roles(self.methods))


def claims(
    methods: Sequence[Method],
    detector: str,
    figures: StudyFigures,
    courses: Mapping[str, Mapping[int, Course]],
    margins: Margins = MARGINS,
    words: Words = POLYPS,
) -> list[Claim]:
    """The paper's claims in its order, for the largest family of nets, then what can be tested of the others.

    methods : the nets, without the detector        detector : its name in the figures
    figures : of all nets and the detector        courses : name -> seed -> its validation
    margins : of non-inferiority, stated beforehand        words : what frames and lesions are called
    """
    found: list[Claim] = []
    by_family = families(methods)
    for name, own in by_family.items():
        family = Family(own, detector, figures, courses, margins, words)
        rows = [make(family) for make in CLAIMS]
        if found:
            rows = [row for row in rows if row.test is not None]
        of = f" ({name})" if len(by_family) > 1 else ""
        found += [replace(row, statement=row.statement + of) for row in rows]
    return adjusted(found)


def adjusted(found: Sequence[Claim]) -> list[Claim]:
    """The claims with their p values adjusted together by Holm's method."""
    p = holm([claim.p for claim in found])
    tested = sum(value is not None for value in p)
    return [replace(claim, p_holm=value, tested=tested) for claim, value in zip(found, p, strict=True)]


def _tested(claim: Claim, test: Callable[[], Test | SignTest]) -> Claim:
    try:
        return replace(claim, test=test())
    except UserError as error:
        return replace(claim, reason=str(error))


def _mean_rates(family: Family) -> str:
    rates, words = ", ".join(f"{rate:g}" for rate in family.figures.rates), family.words
    return f"sensitivity by {words.target}, mean at {rates} false positives a {words.item}"


def _check_groups(figure: Figure, words: Words) -> None:
    if figure.groups < ENOUGH_GROUPS:
        raise Untested(f"a test set has {figure.groups} groups with {words.target}s; {ENOUGH_GROUPS} are needed")


def _difference(
    family: Family,
    statement: str,
    first: Sequence[str],
    second: Sequence[str],
    figure: Figure,
    title: str,
    margin: float | None = None,
) -> Claim:
    """The mean of the nets `first` minus the mean of the nets `second`."""
    text = f"{_named(first)} minus {_named(second)}" if first and second else "-"

    def test() -> Test:
        _check_groups(figure, family.words)
        if not first or not second:
            raise Untested("the nets that it speaks of were not run with one architecture, width and donor")
        weights = mean_difference(family.figures.chosen(first), family.figures.chosen(second))
        return contrast_test(figure, weights, -(margin or 0.0))

    return _tested(Claim(statement, text, title, margin=margin), test)


def _named(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"mean of {', '.join(names)}"


def _every(family: Family, statement: str, first: Sequence[str], second: Sequence[str]) -> Claim:
    """Each of the nets `first` is better than the one net `second`."""
    figures = family.figures
    text = f"each of {', '.join(first)} minus {second[0]}" if first and second else "-"

    def test() -> Test:
        _check_groups(figures.mean, family.words)
        if not first or not second:
            raise Untested("the nets that it speaks of were not run with one architecture, width and donor")
        other = figures.chosen(second)
        return every_test(figures.mean, {name: mean_difference(figures.chosen([name]), other) for name in first})

    return _tested(Claim(statement, text, _mean_rates(family)), test)


def _beat(statement: str, first: str, second: str, lowest: bool = False) -> Callable[[Family], Claim]:
    """A claim that the nets of one role are better than those of another, over all rates or at the lowest."""

    def make(family: Family) -> Claim:
        figures = family.figures
        rate = min(figures.rates)
        at, title = f" at {rate:g} false positives a {family.words.item}", f"sensitivity by {family.words.target}"
        sides = getattr(family.who, first), getattr(family.who, second)
        if lowest:
            return _difference(family, statement + at, *sides, figures.sensitivity[rate], title + at)
        return _difference(family, statement, *sides, figures.mean, _mean_rates(family))

    return make


def _beats_detector(family: Family) -> Claim:
    nets = [*family.who.tuned, *family.who.scratch]
    return _every(family, "Every CNN outperforms the hand-crafted detector", nets, [family.detector])


def _last_is_worst(family: Family) -> Claim:
    deeper = [name for name in family.who.tuned if name not in family.who.last]
    return _every(family, "Of the fine-tuned nets, tuning only the last layer performs worst", deeper, family.who.last)


def _as_good(family: Family) -> Claim:
    statement = "Deep tuning is as good as training from scratch or better"
    who, figures = family.who, family.figures
    margin = family.margins.sensitivity
    return _difference(family, statement, who.deep, who.scratch, figures.mean, _mean_rates(family), margin)


def _as_good_by_auc(family: Family) -> Claim:
    statement = "Deep tuning is as good as training from scratch or better, by AUC"
    who, margin = family.who, family.margins.auc
    return _difference(family, statement, who.deep, who.scratch, family.figures.auc, "AUC of candidates", margin)


def _grows(family: Family) -> Claim:
    """The rise of the straight line of AUC over how many stages learn, from the shallowest to the deepest."""
    tuned = {m.name: float(m.learning) for m in family.methods if m.learning is not None}
    figure = family.figures.auc
    text = f"rise from {min(tuned, key=tuned.__getitem__)} to {max(tuned, key=tuned.__getitem__)}" if tuned else "-"

    def test() -> Test:
        _check_groups(figure, family.words)
        if len(tuned) < LEAST_DEPTHS:
            raise Untested(f"{len(tuned)} depths were run; a claim about growth needs {LEAST_DEPTHS}")
        return contrast_test(figure, rise(np.array([tuned.get(name, np.nan) for name in family.figures.schemes])))

    return _tested(
        Claim("Performance grows with the depth of tuning", f"{text}, straight line", "AUC of candidates"), test
    )


def _sooner(family: Family) -> Claim:
    """The deepest tuning against training from scratch, seed by seed."""
    deepest = max((m for m in family.methods if m.learning), key=lambda m: m.learning or 0, default=None)
    first = deepest.name if deepest and deepest.name in family.who.deep else ""
    second = next(iter(family.who.scratch), "")
    text = f"{first} before {second}" if first and second else "-"

    def test() -> SignTest:
        if not first or not second:
            raise Untested("no deeply tuned net and net from scratch of one architecture and width")
        return _paired(family.courses.get(first, {}), family.courses.get(second, {}))

    statement = "Deeply tuned nets converge sooner than nets from scratch"
    return _tested(Claim(statement, text, "epochs to 99 % of the best validation AUC"), test)


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


CLAIMS: tuple[Callable[[Family], Claim], ...] = (
    _beats_detector,
    _last_is_worst,
    _beat("Tuning the last two layers beats tuning only the last", "last_two", "last"),
    _beat("Moderate tuning beats shallow tuning (the last two or three layers)", "moderate", "shallow"),
    _beat("Deep tuning beats moderate tuning", "deep", "moderate", lowest=True),
    _grows,
    _beat("Deep tuning beats training from scratch", "deep", "scratch", lowest=True),
    _as_good,
    _as_good_by_auc,
    _beat("Training from scratch beats tuning only the last layer", "scratch", "last"),
    _sooner,
)
