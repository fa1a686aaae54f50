"""The primary figure of a study on classification over seeds and nets, with its covariance over the test groups."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from pycaffe_ext.evaluation import classes
from pycaffe_ext.evaluation.class_intervals import auc_contributions
from pycaffe_ext.evaluation.classes import Images
from pycaffe_ext.evaluation.contrasts import Figure
from pycaffe_ext.evaluation.folds import in_folds


def auc_figure(
    images: Mapping[int, Mapping[str, Images]], group: Mapping[int, Sequence[Hashable]], schemes: Sequence[str]
) -> Figure:
    """AUC of class 1 (two classes), or the mean one-against-rest AUC, of every seed and scheme.

    images : seed, or fold of a seed -> scheme -> its test images, the same for all of a seed
    group : of each of them; the same name in two seeds is the same group
    The covariance is that of the AUCs' influence values by group (Obuchowski 1997), with the factor
    groups / (groups - 1); it is nan where a class has fewer than two images.
    """
    trials = tuple(images)
    numbers = {name: i for i, name in enumerate(sorted({str(one) for own in group.values() for one in own}))}
    member = {key: np.array([numbers[str(one)] for one in group[key]], np.int64) for key in trials}
    values = np.full((len(trials), len(schemes)), np.nan)
    influence = np.full((len(numbers), *values.shape), np.nan)
    for i, key in enumerate(trials):
        for j, name in enumerate(schemes):
            if name in images[key]:
                own = images[key][name]
                values[i, j] = classes.macro_auc(own)
                if own.count[own.present].min() > 1:
                    influence[:, i, j] = np.bincount(member[key], auc_contributions(own), len(numbers))
    least = min(int(np.unique(own).size) for own in member.values())
    flat = influence.reshape(len(numbers), -1) * np.sqrt(least / max(least - 1, 1))
    covariance = (flat.T @ flat).reshape(*values.shape, *values.shape)
    return Figure(values, covariance, least, trials if in_folds(trials) else ())
