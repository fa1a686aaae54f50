"""Figures of a classification in resamples of whole groups (patients, videos), drawn with replacement.

A mean over classes (macro AUC, balanced accuracy) takes of each resample the classes that were drawn: their mean
deviation from the sample.  Its degrees of freedom are Satterthwaite's, from those of the classes, but no more than all
groups have.  Resamples depend on the groups and the seed only: those of two nets on the same images are paired.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.evaluation import classes, froc, roc
from pycaffe_ext.evaluation.classes import Floats, Images, Ints
from pycaffe_ext.evaluation.intervals import effective_groups, group_counts

RESAMPLES, MANY, FEWER = 1000, 10, 300  # resamples, and how many where there are more classes than MANY


@dataclass(frozen=True)
class Resampled:
    """Bootstrap values of a figure.  value : (resamples,)      groups : its degrees of freedom plus 1

    groups is the number of groups of one size that would tell as much as the unequal ones at hand
    (`intervals.effective_groups`).  It is below 2 where a class has images in fewer than two groups.
    """

    value: Floats
    groups: float


def resamples(images: Images) -> int:
    """How often groups are drawn: a standard error needs no more, and a hundred classes would take too long."""
    return RESAMPLES if images.classes <= MANY else FEWER


def mean_over_classes(value: Floats, drawn: Floats, groups: Sequence[float], most: float) -> Resampled:
    """The mean over classes in each resample.

    value : (classes,) in the sample      drawn : (resamples, classes), nan where a class was not drawn
    groups : of each class; most : in all, which bounds the degrees of freedom where classes share groups
    A resample without any class is nan.
    """
    known = np.isfinite(drawn)
    deviation = np.where(known, drawn - value, 0)
    total = known.sum(axis=1)
    mean = value.mean() + deviation.sum(axis=1) / np.maximum(total, 1)
    freedom = satterthwaite(_variances(deviation, known), groups)
    return Resampled(np.where(total > 0, mean, np.nan), min(freedom, most))


def _variances(deviation: Floats, known: NDArray[Any]) -> Floats:
    count = np.maximum(known.sum(axis=0), 1)
    found: Floats = (deviation**2).sum(axis=0) / count
    return found


def satterthwaite(variance: Floats, groups: Sequence[float] | np.ndarray) -> float:
    """As many groups as the degrees of freedom of a sum of independent estimates have, plus 1.

    variance : (classes,)      groups : of each.  Where nothing varies, the least number of groups.
    """
    freedom = np.asarray(groups, np.float64) - 1
    if variance.sum() <= 0 or freedom.min() < 1:
        return float(freedom.min()) + 1
    return float(variance.sum() ** 2 / (variance**2 / freedom).sum()) + 1


def shares(hits: Floats, total: Floats, resamples: int, seed: int) -> Floats:
    """(resamples, k) shares sum(hits) / sum(total) with whole groups drawn; nan where nothing was drawn.

    hits, total : (groups, k).  Resamples depend on the number of groups and the seed only.
    """
    drawn = [(weights @ hits, weights @ total) for weights in group_counts(len(hits), resamples, seed)]
    found, of = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
    return np.divide(found, of, out=np.full(found.shape, np.nan), where=of > 0)


def members(images: Images) -> tuple[Ints, int]:
    """(n,) number of each image's group, and how many groups there are."""
    names, member = np.unique(images.group, return_inverse=True)
    return member, names.size


def _effective(images: Images) -> float:
    """As `intervals.effective_groups`, of all groups."""
    return effective_groups(np.bincount(members(images)[0]))


def class_groups(images: Images) -> list[int]:
    """(classes,) how many groups have an image of each class."""
    return [int(np.unique(images.group[images.label == kind]).size) for kind in range(images.classes)]


def effective_class_groups(images: Images, kind: int) -> float:
    """As `intervals.effective_groups`, of the groups that have an image of a class."""
    return effective_groups(np.unique(images.group[images.label == kind], return_counts=True)[1])


def means(images: Images, value: NDArray[Any], seed: int) -> Resampled:
    """The mean over images of (n,) values in each resample."""
    member, groups = members(images)
    if groups < 2:
        return Resampled(np.full(resamples(images), np.nan), groups)
    hits, total = (_by_group(member, weights, groups) for weights in (value, np.ones(member.size)))
    drawn = shares(hits, total, resamples(images), seed)[:, 0]
    return Resampled(drawn, effective_groups(np.bincount(member)))


def _by_group(member: Ints, weights: NDArray[Any], groups: int) -> Floats:
    """(groups, 1) sum of the weights of each group's images."""
    return np.bincount(member, weights, groups).astype(np.float64)[:, None]


def class_aucs(images: Images, seed: int = 0) -> Floats:
    """(resamples, classes in `Images.present`) AUCs; nan where a class was not drawn, or everything was of it."""
    count = resamples(images)
    if members(images)[1] < 2:
        return np.full((count, len(images.present)), np.nan)
    label, score, group = images.label, images.probability, images.group
    drawn = [roc.bootstrap_aucs(label == kind, score[:, kind], group, count, seed) for kind in images.present]
    return np.stack(drawn, axis=1)


def macro(images: Images, drawn: Floats) -> Resampled:
    """The macro AUC in each resample.  drawn : what `class_aucs` gave"""
    value = np.array(list(classes.aucs(images).values()))
    groups = [roc.effective_class_groups(images.label == kind, images.group) for kind in images.present]
    return mean_over_classes(value, drawn, groups, _effective(images))


def macro_aucs(images: Images, seed: int = 0) -> Resampled:
    """Macro AUCs of resamples; those of two nets on the same images are paired."""
    return macro(images, class_aucs(images, seed))


def recalls(images: Images, seed: int) -> Floats:
    """(resamples, classes)"""
    member, groups = members(images)
    if groups < 2:
        return np.full((resamples(images), images.classes), np.nan)
    total, hits = (np.zeros((groups, images.classes)) for _ in range(2))
    np.add.at(total, (member, images.label), 1)
    np.add.at(hits, (member, images.label), images.predicted == images.label)
    return shares(hits, total, resamples(images), seed)


def balanced_accuracies(images: Images, seed: int = 0) -> Resampled:
    """Balanced accuracies of resamples; those of two nets on the same images are paired."""
    there = np.flatnonzero(images.count)
    groups = [effective_class_groups(images, kind) for kind in there.tolist()]
    drawn = recalls(images, seed)[:, there]
    return mean_over_classes(classes.recalls(images)[there], drawn, groups, _effective(images))


def sensitivities(images: Images, positive: NDArray[Any], score: Floats, rates: Floats, seed: int) -> Floats:
    """(resamples, rates)"""
    member, groups = members(images)
    if groups < 2:
        return np.full((resamples(images), rates.size), np.nan)
    order = np.argsort(-score[~positive], kind="stable")
    false = score[~positive][order], member[~positive][order]
    negatives = np.bincount(member[~positive], minlength=groups)
    found = score[positive], member[positive]
    curves = froc.resampled_curves(false, found, negatives, resamples(images), seed)
    return froc.sensitivities_of(curves, rates, resamples(images))
