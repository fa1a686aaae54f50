"""Claim 2: the gap between deep fine-tuning and training from scratch grows as the training data shrink.

The gap is that of the deepest fine-tuning to the training from scratch with the published filler.  The claim is one
contrast of one application: the rise of the straight line of the gap over log2 of the training groups, from all data
to the fewest; an interaction of scheme and amount.  With two fractions it is the plain interaction, gap at few minus
gap at all, which otherwise stands beside it.  Over applications it is the mean of these contrasts, each in parts of the
error that its training from scratch makes on all data: fixed weights, so that the sign within an application stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.contrasts import Estimate, Test, rise
from pycaffe_ext.evaluation.findings import grids
from pycaffe_ext.evaluation.findings.model import Evidence, Finding, Gap, Scheme

STATEMENT = "The gap between deep fine-tuning and training from scratch grows as the training data shrink"
RELATIVE = "parts of the error of training from scratch on all data"


def gaps(evidence: Evidence) -> list[Gap]:
    """The gap at each fraction."""
    return [_gap(evidence, fraction) for fraction in evidence.fractions]


def _gap(evidence: Evidence, fraction: str) -> Gap:
    try:
        deep, scratch = _sides(evidence)
        found = grids.estimate(evidence, {(deep.name, fraction): 1.0, (scratch.name, fraction): -1.0})
    except UserError as error:
        return Gap(evidence.title, fraction, None, str(error))
    return Gap(evidence.title, fraction, found)


def _sides(evidence: Evidence) -> tuple[Scheme, Scheme]:
    deep, scratch = evidence.deepest, evidence.scratch
    if deep is None or scratch is None:
        raise UserError(f"no {'deep fine-tuning' if deep is None else 'training from scratch'} in the study")
    return deep, scratch


def by_evidence(evidence: Evidence) -> list[Finding]:
    """The claim about one application and net, and beside it the interaction of the extremes, where that is another."""
    usable = _usable(evidence)
    left_out = [fraction for fraction in evidence.fractions if fraction not in usable]
    note = f"without {', '.join(left_out)}, where fewer than two seeds have both runs" if left_out and usable else ""
    found = _finding(evidence, usable, note)
    if len(usable) < 3:
        return [found]
    ends = [usable[0], usable[-1]]
    return [found, replace(_finding(evidence, ends, note), primary=False)]


def _usable(evidence: Evidence) -> list[str]:
    """The fractions at which two seeds or more have both runs, from all data to the fewest."""
    deep, scratch = evidence.deepest, evidence.scratch
    if deep is None or scratch is None:
        return []
    values = evidence.figure.values
    both = {
        fraction: np.isfinite(values[:, [evidence.column(one.name, fraction) for one in (deep, scratch)]]).all(axis=1)
        for fraction in evidence.fractions
    }
    return [fraction for fraction, have in both.items() if have.sum() >= grids.LEAST_SEEDS]


def _finding(evidence: Evidence, fractions: Sequence[str], note: str) -> Finding:
    deep, scratch = evidence.deepest, evidence.scratch
    sides = f"{deep.name} minus {scratch.name}" if deep and scratch else "-"
    if len(fractions) < 2:
        contrast = sides
    elif len(fractions) == 2:
        contrast = f"({sides}) at {fractions[-1]} minus the same at {fractions[0]}"
    else:
        contrast = f"rise of ({sides}) from {fractions[0]} to {fractions[-1]}, straight line over log2 of the groups"
    found = Finding(2, STATEMENT, evidence.title, contrast, evidence.merit.name, note=note)
    return _tested(found, lambda: _growth(evidence, fractions))


def _tested(finding: Finding, make: Callable[[], Estimate]) -> Finding:
    try:
        found = make()
    except UserError as error:
        return replace(finding, reason=str(error))
    return replace(
        finding, test=Test(found, 0.0, found.p(), found.value >= 0, f"{__name__.split('.', 1)[1]}.by_evidence")
    )


def _growth(evidence: Evidence, fractions: Sequence[str]) -> Estimate:
    """The contrast of the claim.  Raises UserError where it cannot be taken."""
    deep, scratch = _sides(evidence)
    if evidence.seeds < grids.LEAST_SEEDS:
        raise UserError(f"one seed: {grids.UNKNOWN}")
    if len(evidence.fractions) < 2:
        raise UserError("one fraction of the data in the study; a gap that grows needs two or more (FRACTION:)")
    if len(fractions) < 2:
        raise UserError("fewer than two fractions at which two seeds or more have both runs")
    weights = rise(-np.log2(evidence.shares(fractions)))
    pairs = zip(fractions, weights.tolist(), strict=True)
    cells = {(one.name, fraction): sign * w for fraction, w in pairs for one, sign in ((deep, 1), (scratch, -1))}
    return grids.estimate(evidence, cells)


def over_applications(evidence: Sequence[Evidence], net: str) -> Finding | None:
    """The claim in the mean over the applications of one net; None for a single one."""
    own, once = grids.one_each(evidence, net)
    if len(own) < 2:
        return None
    parts: dict[str, tuple[Evidence, Estimate]] = {}
    for one in own:
        try:
            deep_scratch = _sides(one)[1]
            error = grids.mean_error(one, deep_scratch.name, one.fractions[0])
            parts[one.title] = one, grids.scaled(_growth(one, _usable(one)), 1 / error)
        except UserError:
            continue
    left_out = [one.title for one in own if one.title not in parts]
    note = f"without {', '.join(left_out)}, where the claim cannot be tested" if left_out and len(parts) > 1 else ""
    note = "; ".join(filter(None, (note, once)))
    contrast = f"mean over {len(parts)} applications of the rise of the gap"
    finding = Finding(2, STATEMENT, f"{net}, over applications", contrast, RELATIVE, note=note)
    return _tested(finding, lambda: _mean(parts))


def _mean(parts: dict[str, tuple[Evidence, Estimate]]) -> Estimate:
    if len(parts) < 2:
        raise UserError("fewer than two applications in which the claim can be tested")
    share = [1 / len(parts)] * len(parts)
    return grids.combined([found for _, found in parts.values()], share, [one.source for one, _ in parts.values()])
