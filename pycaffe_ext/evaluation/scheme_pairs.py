"""Which of two ways to train is better, over all trainings of a study: schemes are compared, not single nets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.compared import LEVEL, NO_DIFFERENCE, NOT_TESTED
from pycaffe_ext.evaluation.contrasts import Figure, Test, contrast_test, mean_difference
from pycaffe_ext.evaluation.intervals import ENOUGH_GROUPS
from pycaffe_ext.evaluation.multiplicity import holm


@dataclass(frozen=True)
class SchemePair:
    """Two schemes by one figure of merit.

    test : of the mean of `first` minus the mean of `second`, both of the trials that have both; None where it can't be
    tested, for `reason`        p_holm : adjusted over all pairs and figures of the table
    """

    figure: str
    first: str
    second: str
    test: Test | None = None
    p_holm: float | None = None
    reason: str = ""

    @property
    def verdict(self) -> str:
        """By p_holm < .05: "A > B", "no difference shown" or "not tested"."""
        if self.test is None or self.p_holm is None:
            return NOT_TESTED
        if self.p_holm >= LEVEL:
            return NO_DIFFERENCE
        better = (self.first, self.second) if self.test.above else (self.second, self.first)
        return " > ".join(better)


def scheme_pairs(figures: Mapping[str, Figure], schemes: Sequence[str]) -> list[SchemePair]:
    """Every pair of schemes by every figure, figure after figure, pairs in the order of `schemes`.

    figures : name -> values over seeds (or folds) and schemes, with their covariance; columns as in `schemes`
    The test is that of the paper's claims (`contrasts.contrast_test`): training and cases both count as chance.
    """
    pairs = [_pair(name, figure, schemes, pair) for name, figure in figures.items() for pair in _pairs(schemes)]
    adjusted = holm([None if pair.test is None else pair.test.p for pair in pairs])
    return [replace(pair, p_holm=p) for pair, p in zip(pairs, adjusted, strict=True)]


def _pairs(schemes: Sequence[str]) -> list[tuple[int, int]]:
    return list(combinations(range(len(schemes)), 2))


def _pair(name: str, figure: Figure, schemes: Sequence[str], places: tuple[int, int]) -> SchemePair:
    first, second = places
    pair = SchemePair(name, schemes[first], schemes[second])
    if figure.groups < ENOUGH_GROUPS:
        return replace(pair, reason=f"{figure.groups} groups; {ENOUGH_GROUPS} are needed")
    columns = np.arange(len(schemes))
    try:
        return replace(pair, test=contrast_test(figure, mean_difference(columns == first, columns == second)))
    except UserError as error:
        return replace(pair, reason=str(error))
