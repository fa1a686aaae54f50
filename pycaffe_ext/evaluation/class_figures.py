"""Figures of a study on classification over seeds and nets, with their covariance over the test groups."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np

from pycaffe_ext.evaluation import classes
from pycaffe_ext.evaluation.class_intervals import auc_contributions
from pycaffe_ext.evaluation.classes import Floats, Images
from pycaffe_ext.evaluation.contrasts import Figure, covariance_by_group
from pycaffe_ext.evaluation.folds import fewest, in_folds
from pycaffe_ext.evaluation.intervals import effective_groups


def auc_figure(
    images: Mapping[int, Mapping[str, Images]], group: Mapping[int, Sequence[Hashable]], schemes: Sequence[str]
) -> Figure:
    """AUC of class 1 (two classes), or the mean one-against-rest AUC, of every seed and scheme.

    images : seed, or fold of a seed -> scheme -> its test images, the same for all of a seed
    group : of each of them; the same name in two seeds is the same group
    The covariance is that of the AUCs' influence values by group (Obuchowski 1997), with the factor
    groups / (groups - 1); it is nan where a class has fewer than two images.  The groups that count are those with an
    image of a class, or without, whichever are fewer: with positives in two patients, two patients are all there is.
    """
    return _figure(images, group, schemes, classes.macro_auc, _auc_contributions, _of_classes)


def accuracy_figure(
    images: Mapping[int, Mapping[str, Images]], group: Mapping[int, Sequence[Hashable]], schemes: Sequence[str]
) -> Figure:
    """Share of the images that are predicted right, as `auc_figure`; its influence values are exact for a share."""
    return _figure(images, group, schemes, classes.accuracy, _accuracy_contributions, _of_all)


def balanced_figure(
    images: Mapping[int, Mapping[str, Images]], group: Mapping[int, Sequence[Hashable]], schemes: Sequence[str]
) -> Figure:
    """Balanced accuracy, as `auc_figure`; the influence values are those of the mean of the classes' recalls."""
    return _figure(images, group, schemes, classes.balanced_accuracy, _balanced_contributions, _of_classes)


def _auc_contributions(images: Images) -> Floats | None:
    return auc_contributions(images) if images.count[images.present].min() > 1 else None


def _accuracy_contributions(images: Images) -> Floats:
    right = (images.predicted == images.label).astype(np.float64)
    found: Floats = (right - right.mean()) / right.size
    return found


def _balanced_contributions(images: Images) -> Floats:
    right = (images.predicted == images.label).astype(np.float64)
    recall, there = classes.recalls(images), np.count_nonzero(images.count)
    found: Floats = (right - recall[images.label]) / images.count[images.label] / there
    return found


def _figure(
    images: Mapping[int, Mapping[str, Images]],
    group: Mapping[int, Sequence[Hashable]],
    schemes: Sequence[str],
    value: Callable[[Images], float],
    contributions: Callable[[Images], Floats | None],
    carrying: Callable[[Images], list[np.ndarray]],
) -> Figure:
    """contributions : (n,) how far each image moves the figure; None where that is not known
    carrying : (n,) bool, the images by which the figure can be told; of several such sets, each of them is needed"""
    trials = tuple(images)
    numbers = {name: i for i, name in enumerate(sorted({str(one) for own in group.values() for one in own}))}
    member = {key: np.array([numbers[str(one)] for one in group[key]], np.int64) for key in trials}
    values = np.full((len(trials), len(schemes)), np.nan)
    influence = np.full((len(numbers), *values.shape), np.nan)
    for i, key in enumerate(trials):
        for j, name in enumerate(schemes):
            if name in images[key]:
                own = images[key][name]
                values[i, j] = value(own)
                if (moved := contributions(own)) is not None:
                    influence[:, i, j] = np.bincount(member[key], moved, len(numbers))
    sizes = {key: _group_sizes(carrying(next(iter(images[key].values()))), member[key]) for key in trials}
    groups = fewest({key: min(own.size for own in sets) for key, sets in sizes.items()})
    effective = fewest({key: min(map(effective_groups, sets)) for key, sets in sizes.items()})
    covariance = covariance_by_group(influence, effective)
    return Figure(values, covariance, round(groups), trials if in_folds(trials) else (), effective)


def _group_sizes(sets: Sequence[np.ndarray], member: np.ndarray) -> list[np.ndarray]:
    """Images of each group that has any, in each set of images."""
    return [np.unique(member[inside], return_counts=True)[1] for inside in sets]


def _of_classes(images: Images) -> list[np.ndarray]:
    """The images of each class, and the others."""
    return [images.label == kind if own else images.label != kind for kind in images.present for own in (True, False)]


def _of_all(images: Images) -> list[np.ndarray]:
    return [np.ones(images.label.size, bool)]
