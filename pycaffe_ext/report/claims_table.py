"""The claims as claims.csv and as a table of the page: every verdict beside the numbers and the function behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any, NamedTuple

from pycaffe_ext.evaluation.contrasts import LEVEL, Test
from pycaffe_ext.evaluation.convergence import SignTest
from pycaffe_ext.evaluation.findings.model import Finding
from pycaffe_ext.evaluation.folds import in_folds
from pycaffe_ext.report.model import Table

SIGN_TEST = "evaluation.convergence.sign_test"

FOLDS = (
    "A verdict goes by Holm's p over the {tested} claims tested, below {level:g}. Each claim is one contrast fixed"
    " beforehand, taken fold by fold: the mean over folds, in which every group is tested once. Its variance is that of"
    " Nadeau and Bengio, as the folds' training sets overlap; more seeds do not make it smaller, as they are tested on"
    " the same groups. “Every” claims are intersection-union tests: shown if each net by itself is. “As good as” is"
    " non-inferiority: shown if the effect is above minus the margin, inconclusive if that is open. “Not shown” is not"
    " “refuted”: the interval says what is still possible. All numbers: claims.csv."
)


class Numbers(NamedTuple):
    """Of a claim, "" where it has none; the columns of claims.csv.

    effect, low, high : of the contrast, or of the weakest one, with its 95 % interval; of convergence the share of
    decided seeds in which the first is sooner        null : what the test compares the effect with
    statistic : of `test`; df_seeds, df_groups : its degrees of freedom        p : two-sided
    training_sd, case_sd : of one seed's value        smallest : see `Finding.smallest`
    """

    effect: Any = ""
    low: Any = ""
    high: Any = ""
    null: Any = ""
    test: str = ""
    statistic: Any = ""
    df_seeds: Any = ""
    df_groups: Any = ""
    p: Any = ""
    p_holm: Any = ""
    seeds: Any = ""
    groups: Any = ""
    training_sd: Any = ""
    case_sd: Any = ""
    smallest: Any = ""
    function: str = ""


HEADER = ("claim", "verdict", "contrast", "figure", "weakest", "margin", *Numbers._fields, "claims_tested", "reason")


def numbers(claim: Finding) -> Numbers:
    if isinstance(claim.test, Test):
        return _of_contrast(claim, claim.test)
    return _of_signs(claim, claim.test) if isinstance(claim.test, SignTest) else Numbers()


def _of_contrast(claim: Finding, test: Test) -> Numbers:
    found = test.estimate
    return Numbers(
        found.value,
        *found.interval(),
        test.null,
        "Nadeau-Bengio, folds" if found.folds else "Obuchowski-Rockette, Behrens-Fisher",
        test.statistic,
        found.seed_freedom,
        "" if found.folds else _tidy(found.groups - 1),
        test.p,
        claim.p_holm,
        found.seeds,
        _tidy(found.groups),
        found.training_sd,
        found.case_sd if isfinite(found.case_sd) else "",
        claim.smallest,
        test.function,
    )


def _of_signs(claim: Finding, test: SignTest) -> Numbers:
    share = test.sooner / test.decided
    sizes = {"p": test.p, "p_holm": claim.p_holm, "seeds": test.decided}
    return Numbers(share, *test.share(), 0.5, "sign test", test.sooner, function=SIGN_TEST, **sizes)


def rows(found: Sequence[Finding]) -> list[tuple[Any, ...]]:
    """Rows of claims.csv (HEADER)."""
    return [
        (
            claim.statement,
            claim.outcome,
            claim.contrast,
            claim.figure,
            claim.test.weakest if isinstance(claim.test, Test) else "",
            "" if claim.margin is None else claim.margin,
            *numbers(claim),
            claim.tested,
            claim.reason,
        )
        for claim in found
    ]


def table(found: Sequence[Finding], made_by: Sequence[Callable[..., Any]] = ()) -> Table:
    """A table for the page; each row names the function behind its test."""
    header = ("the paper says", "here", "effect [95 %]", "p (Holm)", "smallest difference shown", "how it was tested")
    return Table(header, [_line(claim, numbers(claim)) for claim in found], "claims.csv", made_by)


def _tidy(groups: float) -> float:
    """A number of groups of one size, to a tenth."""
    return int(groups) if groups == int(groups) else round(groups, 1)


def _line(claim: Finding, own: Numbers) -> tuple[str, ...]:
    if claim.test is None:
        return claim.statement, claim.outcome, "-", "-", "-", claim.reason
    seeds = f"{own.seeds} seed{'s' * (own.seeds != 1)}"
    if isinstance(claim.test, Test) and claim.test.estimate.folds:
        seeds += f" of {claim.test.estimate.folds} folds"
    units = seeds + (f", {own.groups} groups" if own.groups != "" else "")
    return (
        claim.statement,
        claim.outcome,
        effect_text(claim),
        f"{p_text(own.p)} ({p_text(own.p_holm)})",
        "-" if claim.smallest is None else _size(claim.smallest),
        "; ".join([claim.contrast, *details(claim), claim.figure, _statistic(claim, own), units, own.function]),
    )


def _statistic(claim: Finding, own: Numbers) -> str:
    if isinstance(claim.test, SignTest):
        return _signs(claim.test)
    freedom = f"{own.df_seeds} and {own.df_groups}" if own.df_groups != "" else str(own.df_seeds)
    return f"t = {own.statistic:.2f}, df {freedom}"


def effect_text(claim: Finding) -> str:
    """Of a claim that was tested, the effect with its interval: a contrast, or the share of seeds that are sooner."""
    own = numbers(claim)
    sign = "+" if own.groups != "" else ""
    return f"{own.effect:{sign}.3f} [{own.low:{sign}.3f}, {own.high:{sign}.3f}]"


def details(claim: Finding) -> list[str]:
    """What a reader must know of the effect: of which contrast it is, and by which bound a claim with a margin goes."""
    if not isinstance(claim.test, Test):
        return []
    found = [f"the weakest: {claim.test.weakest}"] if claim.test.weakest else []
    if claim.margin is not None:
        found.append(f"lower bound {claim.test.estimate.interval().low:+.3f}, margin -{claim.margin:g}")
    return found


def _signs(test: SignTest) -> str:
    return f"sooner {test.sooner}, later {test.later}, tied {test.tied}, undecided {test.undecided}"


def _size(value: float) -> str:
    return f"{value:.3f}" if value < 1 else "none (above 1)"


def p_text(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def explanation(found: Sequence[Finding], seeds: Sequence[int]) -> str:
    """What a reader must know of the verdicts."""
    tested = max((claim.tested for claim in found), default=0)
    if len(seeds) < 2:
        return (
            "One seed: how much a net varies from training to training is unknown, so no claim is tested. Give SEEDS="
            " several; five or more show differences of a useful size."
        )
    if in_folds(seeds):
        return FOLDS.format(tested=tested, level=LEVEL)
    return (
        f"A verdict goes by Holm's p over the {tested} claims tested, below {LEVEL:g}. Each claim is one contrast fixed"
        " beforehand, taken seed by seed; its variance has a part from training (seeds) and one from the cases (groups"
        " resampled, those that seeds share counted as shared). “Every” claims are intersection-union tests: shown if"
        " each net by itself is. “As good as” is non-inferiority: shown if the effect is above minus the margin,"
        " inconclusive if that is open; its test and its smallest difference count from there. “Not shown” is not"
        " “refuted”: the interval, by itself a 95 % one, says what is still possible, and the smallest difference shown"
        " is what this study finds with a chance of 80 %, whatever becomes of the other claims; more seeds make it"
        " smaller. All numbers, the standard deviations from training and from cases included: claims.csv."
    )
