"""Claim 3: the best depth of tuning depends on the application.

**The best scheme** of an application at a fraction, with the probability that each is the best: the share of draws
(`grids.draws`, both levels of chance) in which its mean is the highest.  Draws are of what this study leaves open about
the means, so that the probabilities go with the tests of the same contrasts.

**The claim** is tested as it stands.  If it is false, some depth is the best in every application.  That a depth is the
best in one application is rejected if any other depth is shown to be better there (Bonferroni over the others, as in
Hsu's (1996) comparisons with the best); that it is the best in all, if it is rejected in one (Bonferroni over the
applications); the claim is shown if every depth is rejected (intersection-union, Berger 1982).  It needs no common unit
and allows for applications that share pictures.

**Beside it: whether depth acts alike.**  Depth may help more in one application than in another, and still the same
depth be the best (Gail and Simon 1985, quantitative and qualitative interaction).  The interaction of depth and
application is tested in two contrasts of fine-tuned nets, fixed beforehand: the rise of the straight line over how
many stages learn, and the bend (middle depths above the line of the ends).  Figures of different units are
made comparable by dividing by the error of the application's own shallowest tuning, a fixed weight: ranks within a seed
would not do, since the cases that an application's seeds share move their ranks together, and a permutation of seeds
would take that for an interaction.  Values of several applications with unequal variances are compared by the
parametric bootstrap of Krishnamoorthy, Lu and Mathew (2007); its two p values are adjusted by Bonferroni's method.
Applications count as independent there; those that share pictures err alike rather than against each other, which makes
the test careful.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.contrasts import Estimate, rise
from pycaffe_ext.evaluation.findings import grids
from pycaffe_ext.evaluation.findings.model import Best, Chance, Evidence, Finding, Heterogeneity

STATEMENT = "The best depth of tuning depends on the application"
ALIKE = "How depth acts depends on the application"
RELATIVE = "parts of the error of the shallowest tuning"
DRAWS = 20000  # of the parametric bootstrap: p from 0.00005
RISE, BEND = "rise", "bend"


def best(evidence: Evidence, fraction: str, rng: np.random.Generator, draws: int = grids.DRAWS) -> Best:
    """Which scheme is the best at a fraction; schemes with fewer than two finished seeds have no probability."""
    count = {own.name: evidence.finished(own.name, fraction) for own in evidence.schemes}
    there = [name for name, seeds in count.items() if seeds]
    several = [name for name in there if count[name] >= grids.LEAST_SEEDS]
    columns = {name: evidence.column(name, fraction) for name in there}
    chances, reason, seeds = dict[str, float](), "", 0
    try:
        chances = _chances(evidence, {name: columns[name] for name in several}, rng, draws)
        seeds = int(np.isfinite(evidence.figure.values[:, [columns[name] for name in several]]).all(axis=1).sum())
    except UserError as error:
        reason = str(error)
    means = {name: float(np.nanmean(evidence.figure.values[:, column])) for name, column in columns.items()}
    rows = [Chance(name, evidence.merit.shown(means[name]), count[name], chances.get(name)) for name in there]
    missing = tuple(name for name in count if name not in there)
    return Best(evidence.title, fraction, tuple(rows), missing, reason, seeds)


def _chances(evidence: Evidence, columns: Mapping[str, int], rng: np.random.Generator, draws: int) -> dict[str, float]:
    if evidence.seeds < grids.LEAST_SEEDS:
        raise UserError(f"one seed: {grids.UNKNOWN}")
    if len(columns) < 2:
        raise UserError("fewer than two schemes with two finished seeds")
    grids.check_groups(evidence)
    drawn = grids.draws(evidence.figure, list(columns.values()), rng, draws)
    share = np.bincount(drawn.argmax(axis=1), minlength=len(columns)) / draws
    return dict(zip(columns, share.tolist(), strict=True))


def findings(evidence: Sequence[Evidence], net: str, seed: int) -> list[Finding]:
    """Claim 3 about a net on all data, and at the other fractions beside it; none for a single application."""
    own, once = grids.one_each(evidence, net)
    if len(own) < 2:
        return []
    shares = {fraction: one.share(fraction) for one in own for fraction in one.fractions}
    found: list[Finding] = []
    for fraction in sorted(shares, key=lambda text: -shares[text]):
        at = [one for one in own if fraction in one.fractions]
        if len(at) > 1:
            both = _no_common_best(at, net, fraction), _acts_alike(at, net, fraction, seed)
            notes = ["; ".join(filter(None, (one.note, once))) for one in both]
            found += [replace(one, primary=not found, note=note) for one, note in zip(both, notes, strict=True)]
    return found


def _common(evidence: Sequence[Evidence], fraction: str) -> tuple[list[Evidence], list[str]]:
    """The evidence that can be compared, and the fine-tunings that all of it has.

    Raises UserError where there are fewer than two of either.
    """
    usable = [one for one in evidence if one.seeds >= grids.LEAST_SEEDS]
    if len(usable) < 2:
        raise UserError(f"fewer than two applications with two seeds: {grids.UNKNOWN}")
    names = [one.name for one in usable[0].schemes if one.learning is not None]
    names = [n for n in names if all(_finished(one, n, fraction) >= grids.LEAST_SEEDS for one in usable)]
    if len(names) < 2:
        raise UserError(f"fewer than two depths that two seeds of each application have finished at {fraction}")
    return usable, names


def _finished(evidence: Evidence, scheme: str, fraction: str) -> int:
    known = scheme in [one.name for one in evidence.schemes]
    return evidence.finished(scheme, fraction) if known else 0


def _no_common_best(evidence: Sequence[Evidence], net: str, fraction: str) -> Finding:
    about = f"{net}, {len(evidence)} applications, at {fraction}"
    finding = Finding(3, STATEMENT, about, "some depth is the best in every application", "ranks of the means")
    try:
        usable, names = _common(evidence, fraction)
        p = common_best([best_p(one, names, fraction) for one in usable])
    except UserError as error:
        return replace(finding, reason=str(error))
    note = _note(evidence, usable, f"depths compared: {', '.join(names)}")
    return replace(finding, test=Heterogeneity(p, _path("common_best")), note=note)


def best_p(evidence: Evidence, schemes: Sequence[str], fraction: str) -> list[float]:
    """p of the hypothesis that a scheme is the best of these, of each.  Raises UserError as `grids.estimate`."""

    def above(other: str, own: str) -> float:
        return grids.estimate(evidence, {(other, fraction): 1.0, (own, fraction): -1.0}).p_above()

    others = len(schemes) - 1
    return [min(1.0, others * min(above(other, own) for other in schemes if other != own)) for own in schemes]


def common_best(p: Sequence[Sequence[float]]) -> float:
    """p of the hypothesis that one depth is the best in every application.

    p : of each application and depth, of the hypothesis that this depth is the best there
    """
    table = np.asarray(p, np.float64)
    return float(np.minimum(1.0, len(table) * table.min(axis=0)).max())


def _acts_alike(evidence: Sequence[Evidence], net: str, fraction: str, seed: int) -> Finding:
    about = f"{net}, {len(evidence)} applications, at {fraction}"
    finding = Finding(3, ALIKE, about, "rise and bend over the depth, by application", RELATIVE)
    parts: dict[str, dict[str, Estimate]] = {}
    try:
        usable, names = _common(evidence, fraction)
        for part, weights in depth_contrasts(_learning(usable[0], names)).items():
            parts[part] = {one.title: _relative(one, names, weights, fraction) for one in usable}
        tests = {part: equal_means(list(own.values()), seed) for part, own in parts.items()}
    except UserError as error:
        return replace(finding, reason=str(error))
    p = min(1.0, len(tests) * min(p for _, p in tests.values()))
    test = Heterogeneity(
        p,
        _path("equal_means"),
        parts,
        {part: statistic for part, (statistic, _) in tests.items()},
        {part: own for part, (_, own) in tests.items()},
    )
    return replace(finding, test=test, note=_note(evidence, usable, f"depths compared: {', '.join(names)}"))


def _note(evidence: Sequence[Evidence], usable: Sequence[Evidence], text: str) -> str:
    left_out = [one.title for one in evidence if one not in usable]
    return text + (f"; without {', '.join(left_out)}, which has fewer than two seeds" if left_out else "")


def _learning(evidence: Evidence, names: Sequence[str]) -> np.ndarray:
    known = {one.name: one.learning for one in evidence.schemes}
    return np.array([known[name] for name in names], np.float64)


def depth_contrasts(learning: np.ndarray) -> dict[str, np.ndarray]:
    """RISE, and with three depths or more BEND -> (depths,) weights; learning : how many stages learn, all different.

    The rise is that of the straight line from the shallowest to the deepest.  The bend is the part of a parabola that
    no line has: a weighted mean of the middle depths minus one of the ends.
    """
    found = {RISE: rise(learning)}
    if learning.size > 2:
        line = np.stack([np.ones_like(learning), learning])
        square = -(learning**2)
        curved = square - line.T @ np.linalg.lstsq(line.T, square, rcond=None)[0]
        found[BEND] = curved / curved[curved > 0].sum()
    return found


def _relative(evidence: Evidence, names: Sequence[str], weights: np.ndarray, fraction: str) -> Estimate:
    error = grids.mean_error(evidence, names[0], fraction)
    cells = {(name, fraction): weight for name, weight in zip(names, weights.tolist(), strict=True)}
    return grids.scaled(grids.estimate(evidence, cells), 1 / error)


def equal_means(found: Sequence[Estimate], seed: int = 0, draws: int = DRAWS) -> tuple[float, float]:
    """(statistic, p) of the hypothesis that all estimates have one true value; independent, of unequal variances.

    The statistic is the sum of squared distances from the weighted mean in units of the variances.  Its distribution is
    drawn with equal true values and the estimated variances as the true ones, each draw with variances of its own.
    Raises UserError for fewer than two.
    """
    if len(found) < 2:
        raise UserError("fewer than two applications to compare")
    rng, count = np.random.default_rng(seed), len(found)
    seed_variance, case_variance = (np.array([getattr(own, name) ** 2 for own in found]) for name in ERRORS)
    freedoms = np.array([own.seed_freedom for own in found]), np.array([own.groups - 1 for own in found])
    values = np.array([[own.value for own in found]])
    statistic = float(_spread(values, (seed_variance + case_variance)[None])[0])
    drawn = rng.normal(size=(draws, count)) * np.sqrt(seed_variance + case_variance)
    variances = sum(
        variance * rng.chisquare(freedom, (draws, count)) / freedom
        for variance, freedom in zip((seed_variance, case_variance), freedoms, strict=True)
    )
    reached = np.count_nonzero(_spread(drawn, np.asarray(variances)) >= statistic)
    return statistic, float((1 + reached) / (1 + draws))


ERRORS = ("seed_error", "case_error")


def _spread(values: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """(n,) sum of squared distances from the weighted mean; values, variances : (n, applications)."""
    weights = 1 / variances
    mean = (weights * values).sum(axis=1, keepdims=True) / weights.sum(axis=1, keepdims=True)
    found: np.ndarray = (weights * (values - mean) ** 2).sum(axis=1)
    return found


def _path(name: str) -> str:
    return f"{__name__.split('.', 1)[1]}.{name}"
