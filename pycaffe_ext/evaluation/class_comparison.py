"""Which of several nets classifies the same images better: by AUC and by balanced accuracy.

The test is the bootstrap of the difference by group, both nets on the same resample; p values are adjusted by Holm's
method over all pairs of one figure, and by max-T beside it.  AUC (macro AUC) is the primary figure, balanced accuracy a
second one, adjusted by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import class_resampling, classes
from pycaffe_ext.evaluation.class_resampling import Resampled
from pycaffe_ext.evaluation.classes import Images
from pycaffe_ext.evaluation.compared import LEVEL, NO_DIFFERENCE, NOT_TESTED
from pycaffe_ext.evaluation.intervals import ENOUGH_GROUPS, Difference, paired_difference
from pycaffe_ext.evaluation.multiplicity import holm, max_t

AUC, BALANCED = "AUC", "balanced accuracy"
FIGURES: dict[str, tuple[Callable[[Images], float], Callable[[Images, int], Resampled]]] = {
    AUC: (classes.macro_auc, class_resampling.macro_aucs),
    BALANCED: (classes.balanced_accuracy, class_resampling.balanced_accuracies),
}


@dataclass(frozen=True)
class Comparison:
    """Two nets by one figure.

    difference : first minus second with its interval and p, None where there are too few groups.  p_holm : adjusted
    over all pairs; p_max_t : likewise, by max-T.  verdict : by p_holm < .05: "A > B", "no difference shown" or "not
    tested".  groups : degrees of freedom of the test plus 1      note : what a reader must know of this row, else ""
    """

    first: str
    second: str
    figure: str
    values: tuple[float, float]
    difference: Difference | None
    p_holm: float | None
    verdict: str
    groups: float
    note: str
    p_max_t: float | None = None


def compare(nets: Mapping[str, Images], figure: str = AUC, seed: int = 0) -> list[Comparison]:
    """Every pair of nets, in the order of `nets`.

    figure : AUC or BALANCED.  Raises ValueError for nets that were tested on different images.
    """
    _same_images(nets)
    value, resampled = FIGURES[figure]
    values = {name: value(images) for name, images in nets.items()}
    drawn = {name: resampled(images, seed) for name, images in nets.items()}
    pairs = list(combinations(nets, 2))
    if not pairs:
        return []
    rows = [_comparison((a, b), figure, (values[a], values[b]), (drawn[a], drawn[b])) for a, b in pairs]
    p = [None if row.difference is None else row.difference.p for row in rows]
    together = max_t(p, np.stack([drawn[a].value - drawn[b].value for a, b in pairs], axis=1))
    return [
        replace(row, p_holm=q, p_max_t=m, verdict=_verdict(row, q))
        for row, q, m in zip(rows, holm(p), together, strict=True)
    ]


def _same_images(nets: Mapping[str, Images]) -> None:
    first = next(iter(nets.values()), None)
    for name, images in nets.items():
        assert first is not None
        same = images.classes == first.classes and np.array_equal(images.label, first.label)
        if not same or not np.array_equal(images.group, first.group):
            raise ValueError(f"{name} was tested on other images than {next(iter(nets))}; they can't be paired")


def _comparison(
    names: tuple[str, str], figure: str, values: tuple[float, float], drawn: tuple[Resampled, Resampled]
) -> Comparison:
    groups = min(drawn[0].groups, drawn[1].groups)
    try:
        difference = paired_difference(values[0] - values[1], drawn[0].value - drawn[1].value, groups)
    except UserError:
        difference = None
    return Comparison(*names, figure, values, difference, None, NOT_TESTED, groups, _note(difference, groups))


def _note(difference: Difference | None, groups: float) -> str:
    if difference is None:
        return "too few groups to be resampled"
    return f"only {groups:.1f} effective groups: unreliable" if groups < ENOUGH_GROUPS else ""


def _verdict(row: Comparison, p: float | None) -> str:
    if row.difference is None or p is None:
        return NOT_TESTED
    if p >= LEVEL:
        return NO_DIFFERENCE
    return f"{row.first} > {row.second}" if row.difference.value > 0 else f"{row.second} > {row.first}"
