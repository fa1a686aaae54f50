"""The primary figure of a study on boundaries over seeds and nets, with its covariance over the test groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from pycaffe_ext.evaluation.contrasts import Figure, covariance_by_group
from pycaffe_ext.evaluation.folds import fewest, in_folds
from pycaffe_ext.evaluation.intervals import effective_groups
from pycaffe_ext.evaluation.walls import Walls


def accuracy_figure(
    walls: Mapping[int, Mapping[str, Walls]], group: Mapping[int, Sequence[Hashable]], schemes: Sequence[str]
) -> Figure:
    """Minus the mean absolute error of the thickness in mm, so that more is better, of every seed and scheme.

    walls : seed, or fold of a seed -> scheme -> its test images, the same for all of a seed
    group : of each of all test images; the same name in two seeds is the same group
    The covariance is that of the means' influence values by group, with the factor groups / (groups - 1), of groups of
    one size.
    """
    trials = tuple(walls)
    judged = {key: [str(group[key][i]) for i in next(iter(own.values())).judged] for key, own in walls.items()}
    numbers = {name: i for i, name in enumerate(sorted({name for own in judged.values() for name in own}))}
    values = np.full((len(trials), len(schemes)), np.nan)
    influence = np.full((len(numbers), *values.shape), np.nan)
    for i, key in enumerate(trials):
        member = np.array([numbers[name] for name in judged[key]], np.int64)
        for j, name in enumerate(schemes):
            if name in walls[key]:
                error = walls[key][name].absolute
                values[i, j] = -error.mean()
                influence[:, i, j] = np.bincount(member, (error.mean() - error) / error.size, len(numbers))
    sizes = {key: list(Counter(own).values()) for key, own in judged.items()}
    groups = fewest({key: len(own) for key, own in sizes.items()})
    effective = fewest({key: effective_groups(own) for key, own in sizes.items()})
    covariance = covariance_by_group(influence, effective)
    return Figure(values, covariance, round(groups), trials if in_folds(trials) else (), effective)
