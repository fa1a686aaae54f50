"""All findings of a grid: the paper's claims, the best depths, recommendations and learning curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pycaffe_ext.evaluation.findings import depths, gaps, grids, growth, noninferior
from pycaffe_ext.evaluation.findings.model import Evidence, Finding, Findings
from pycaffe_ext.evaluation.multiplicity import holm

ONE_SEED = (
    "one seed ({}): how much a net varies from training to training is unknown, so no difference between schemes or"
    " amounts of data can be shown there; it takes two seeds, and five or more for differences of a useful size"
)


def findings(
    evidence: Sequence[Evidence], seed: int = 0, draws: int = grids.DRAWS, others: Sequence[Finding] = ()
) -> Findings:
    """The findings, the same for the same evidence and seed; seed, draws : of what is resampled.

    others : findings about the other claims, which are not made from the evidence of a grid alone
    """
    rng = np.random.default_rng(seed)
    cells = [(own, fraction) for own in evidence for fraction in own.fractions]
    return Findings(
        tuple(evidence),
        tuple(claims(evidence, seed, others)),
        tuple(gap for own in evidence for gap in gaps.gaps(own)),
        tuple(depths.best(own, fraction, rng, draws) for own, fraction in cells),
        tuple(noninferior.recommendation(own, fraction, rng, draws) for own, fraction in cells),
        tuple(growth.curve(own, one.name, rng, min(draws, growth.FITS)) for own in evidence for one in own.schemes),
        tuple(notes(evidence)),
    )


def claims(evidence: Sequence[Evidence], seed: int = 0, others: Sequence[Finding] = ()) -> list[Finding]:
    """Claims 2 and 3 and the others, by number, with Holm's method over all that have a verdict."""
    nets = dict.fromkeys(own.family or own.net for own in evidence)
    found = [*others, *(one for own in evidence for one in gaps.by_evidence(own))]
    found += [one for net in nets if (one := gaps.over_applications(evidence, net))]
    found += [one for net in nets for one in depths.findings(evidence, net, seed)]
    found.sort(key=lambda one: one.claim)
    p = holm([one.p if one.primary else None for one in found])
    tested = sum(value is not None for value in p)
    return [replace(one, p_holm=value, tested=tested) for one, value in zip(found, p, strict=True)]


def notes(evidence: Sequence[Evidence]) -> list[str]:
    """What a reader must know of all of it."""
    single = [own.title for own in evidence if own.seeds == 1]
    return [ONE_SEED.format(", ".join(single))] if single else []
