"""95 % intervals of everything that `classes` computes: by image, and by group.

By image: exact binomial (Clopper-Pearson) for shares, DeLong for areas; both take the images as independent.
By group: whole groups (patients, videos) are drawn with replacement, and the standard error of the resamples is set out
on the logit scale with the t distribution of as many groups as carry the figure (`intervals.area_interval`).  It is
never narrower than the interval by image where that is exact, because resamples can't hold errors that the sample does
not hold.  A mean over classes (macro AUC, balanced accuracy) takes of each resample the classes that were drawn: their
mean deviation from the sample.  Its degrees of freedom are Satterthwaite's, from those of the classes, but no more than
all groups have.
There is no interval by group (None) where a class has images in fewer than two groups.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import classes, froc, roc
from pycaffe_ext.evaluation.classes import Floats, Images, Ints
from pycaffe_ext.evaluation.intervals import (
    Interval,
    all_alike,
    area_interval,
    clopper_pearson,
    exact_intervals,
    group_resamples,
    on_logit_scale,
)

SPECIFICITIES = (0.8, 0.9, 0.95)
RESAMPLES, MANY, FEWER = 1000, 10, 300  # resamples, and how many where there are more classes than MANY


@dataclass(frozen=True)
class Estimate:
    """A figure with its intervals by image and by group; None where there are too few of either."""

    value: float
    image: Interval | None
    group: Interval | None


@dataclass(frozen=True)
class Sensitivity:
    """Sensitivity at the threshold with the highest sensitivity of at least `specificity`.

    threshold : images with at least this probability are called positive; inf = none is      reached : specificity
    there      hits, total : positive images
    """

    specificity: float
    threshold: float
    reached: float
    hits: int
    total: int
    estimate: Estimate


def resamples(images: Images) -> int:
    """How often groups are drawn: a standard error needs no more, and a hundred classes would take too long."""
    return RESAMPLES if images.classes <= MANY else FEWER


def or_none(interval: Callable[[], Interval]) -> Interval | None:
    """None where there are too few cases or groups for an interval."""
    try:
        return interval()
    except UserError:
        return None


def auc(images: Images, kind: int, seed: int = 0) -> Estimate:
    """AUC of one class against the rest."""
    positive, score = images.label == kind, images.probability[:, kind]
    value = roc.auc(positive, score)

    def by_group() -> Interval:
        drawn = roc.bootstrap_aucs(positive, score, images.group, resamples(images), seed)
        return area_interval(value, drawn, roc.class_groups(positive, images.group))

    return Estimate(value, or_none(lambda: roc.auc_interval(positive, score)), or_none(by_group))


def macro_auc(images: Images, seed: int = 0) -> Estimate:
    """AUC of class 1 (two classes), or the mean one-against-rest AUC."""
    if images.classes == 2:
        return auc(images, 1, seed)
    value = classes.macro_auc(images)
    return Estimate(value, _macro_by_image(images, value), by_group(value, macro_resampled(images, seed)))


def _macro_by_image(images: Images, value: float) -> Interval | None:
    from scipy.special import ndtri

    least = int(images.count[images.present].min())
    if least < 2:
        return None
    error = float(np.sqrt((auc_contributions(images) ** 2).sum()))
    return on_logit_scale(value, error, float(ndtri(0.975)), all_alike(least))


def auc_contributions(images: Images) -> Floats:
    """(n,) how far each image moves the macro AUC: the sum of their squares is DeLong's variance.

    An image moves the AUC of its class by its share of other images below it, and those of other classes by the share
    of their images above it, each less the AUC, over the images of its kind.  Every class needs two images.
    """
    total = np.zeros(images.label.size)
    for kind in images.present:
        positive, score = images.label == kind, images.probability[:, kind]
        for side, sign in ((positive, 1), (~positive, -1)):
            total[side] += _placements(sign * score[side], sign * score[~side]) / len(images.present)
    return total


def _placements(scores: Floats, others: Floats) -> Floats:
    """Share of the others below each score (ties one half), less their mean, over sqrt(n (n - 1))."""
    others = np.sort(others)
    below = np.searchsorted(others, scores, "left") + np.searchsorted(others, scores, "right")
    shares = below / (2 * others.size)
    centred: Floats = (shares - shares.mean()) / np.sqrt(scores.size * (scores.size - 1))
    return centred


@dataclass(frozen=True)
class Resampled:
    """Bootstrap values of a figure.  value : (resamples,)      groups : its degrees of freedom plus 1

    groups is below 2 where a class has images in fewer than two groups.
    """

    value: Floats
    groups: int


def by_group(value: float, drawn: Resampled, least: Interval | None = None) -> Interval | None:
    """Interval of a share from its bootstrap by group, not narrower than `least`; None for fewer than two groups."""
    found = or_none(lambda: area_interval(value, drawn.value, drawn.groups))
    return found and _hull(found, least)


def _hull(interval: Interval, least: Interval | None) -> Interval:
    return Interval(min(interval.low, least.low), max(interval.high, least.high)) if least else interval


def macro_resampled(images: Images, seed: int = 0) -> Resampled:
    """Macro AUCs of resamples; those of two nets on the same images are paired."""
    found = classes.aucs(images)
    groups = [roc.class_groups(images.label == k, images.group) for k in found]
    if min(groups) < 2:
        return Resampled(np.full(resamples(images), np.nan), min(groups))
    drawn = [
        roc.bootstrap_aucs(images.label == k, images.probability[:, k], images.group, resamples(images), seed)
        for k in found
    ]
    return mean_over_classes(np.array(list(found.values())), np.stack(drawn, axis=1), groups, members(images)[1])


def mean_over_classes(value: Floats, drawn: Floats, groups: Sequence[int], most: int) -> Resampled:
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


def satterthwaite(variance: Floats, groups: Sequence[int]) -> int:
    """As many groups as the degrees of freedom of a sum of independent estimates have, plus 1.

    variance : (classes,)      groups : of each.  Where nothing varies, the least number of groups.
    """
    freedom = np.asarray(groups, np.float64) - 1
    if variance.sum() <= 0 or freedom.min() < 1:
        return int(freedom.min()) + 1
    return int(variance.sum() ** 2 / (variance**2 / freedom).sum() + 1e-9) + 1


def resampled_shares(hits: Floats, total: Floats, resamples: int, seed: int) -> Floats:
    """(resamples, k) shares sum(hits) / sum(total) with whole groups drawn; nan where nothing was drawn.

    hits, total : (groups, k).  Resamples depend on the number of groups and the seed only.
    """
    values = np.full((resamples, hits.shape[1]), np.nan)
    for row, weights in zip(values, group_resamples(np.arange(len(hits)), resamples, seed), strict=True):
        drawn = weights @ total
        np.divide(weights @ hits, drawn, out=row, where=drawn > 0)
    return values


def members(images: Images) -> tuple[Ints, int]:
    """(n,) number of each image's group, and how many groups there are."""
    names, member = np.unique(images.group, return_inverse=True)
    return member, names.size


def accuracy(images: Images, seed: int = 0) -> Estimate:
    """Share of the images that are predicted right."""
    right = images.predicted == images.label
    exact = clopper_pearson(int(right.sum()), right.size)
    return Estimate(
        float(right.mean()), exact, by_group(float(right.mean()), _mean_resampled(images, right, seed), exact)
    )


def _mean_resampled(images: Images, value: NDArray[Any], seed: int) -> Resampled:
    """The mean over images of (n,) values in each resample."""
    member, groups = members(images)
    if groups < 2:
        return Resampled(np.full(resamples(images), np.nan), groups)
    hits, total = (_by_group(member, weights, groups) for weights in (value, np.ones(member.size)))
    return Resampled(resampled_shares(hits, total, resamples(images), seed)[:, 0], groups)


def _by_group(member: Ints, weights: NDArray[Any], groups: int) -> Floats:
    """(groups, 1) sum of the weights of each group's images."""
    return np.bincount(member, weights, groups).astype(np.float64)[:, None]


def mean_loss(images: Images, loss: Floats, limit: float, seed: int = 0) -> Estimate:
    """Mean of a loss of each image between 0 and `limit` (Brier score): normal by image, on the logit scale."""
    from scipy.special import ndtri

    share = loss / limit
    error = float(share.std(ddof=1) / np.sqrt(share.size))
    image = on_logit_scale(float(share.mean()), error, float(ndtri(0.975)), all_alike(share.size))
    group = by_group(float(share.mean()), _mean_resampled(images, share, seed))
    return Estimate(float(loss.mean()), _scaled(image, limit), group and _scaled(group, limit))


def _scaled(interval: Interval, limit: float) -> Interval:
    return Interval(interval.low * limit, interval.high * limit)


def recalls(images: Images, seed: int = 0) -> dict[int, Estimate]:
    """Class -> its recall, for the classes that have an image."""
    found, drawn, groups = classes.recalls(images), _recalls_resampled(images, seed), class_groups(images)
    hits = np.diag(classes.confusion(images))
    estimates = {}
    for kind in np.flatnonzero(images.count).tolist():
        exact = clopper_pearson(int(hits[kind]), int(images.count[kind]))
        resampled = Resampled(drawn[:, kind], groups[kind])
        estimates[kind] = Estimate(float(found[kind]), exact, by_group(float(found[kind]), resampled, exact))
    return estimates


def class_groups(images: Images) -> list[int]:
    """(classes,) how many groups have an image of each class."""
    return [int(np.unique(images.group[images.label == kind]).size) for kind in range(images.classes)]


def _recalls_resampled(images: Images, seed: int) -> Floats:
    """(resamples, classes)"""
    member, groups = members(images)
    if groups < 2:
        return np.full((resamples(images), images.classes), np.nan)
    total, hits = (np.zeros((groups, images.classes)) for _ in range(2))
    np.add.at(total, (member, images.label), 1)
    np.add.at(hits, (member, images.label), images.predicted == images.label)
    return resampled_shares(hits, total, resamples(images), seed)


def balanced_resampled(images: Images, seed: int = 0) -> Resampled:
    """Balanced accuracies of resamples; those of two nets on the same images are paired."""
    there = np.flatnonzero(images.count)
    groups = [class_groups(images)[kind] for kind in there]
    drawn = _recalls_resampled(images, seed)[:, there]
    return mean_over_classes(classes.recalls(images)[there], drawn, groups, members(images)[1])


def balanced_accuracy(images: Images, seed: int = 0) -> Estimate:
    """The mean recall of the classes.

    By image: the exact intervals of the recalls, combined by squaring and adding their reaches (MOVER, Zou and Donner
    2008), which holds also where a recall is 1.
    """
    there = np.flatnonzero(images.count)
    share, total = classes.recalls(images)[there], images.count[there]
    hits = np.diag(classes.confusion(images))[there]
    ends = np.array([exact_intervals(np.array([h]), int(n)) for h, n in zip(hits, total, strict=True)])[..., 0]
    low, high = (np.sqrt(((share - ends[:, side]) ** 2).sum()) / there.size for side in (0, 1))
    value = float(share.mean())
    image = Interval(float(max(value - low, 0)), float(min(value + high, 1)))
    return Estimate(value, image, by_group(value, balanced_resampled(images, seed), image))


def sensitivities(
    images: Images, kind: int, specificities: Sequence[float] = SPECIFICITIES, seed: int = 0
) -> list[Sensitivity]:
    """Sensitivity for a class against the rest at specificities; the threshold is found again in each resample."""
    positive, score = roc.checked(images.label == kind, images.probability[:, kind])
    if not all(0 < specificity < 1 for specificity in specificities):
        raise UserError(f"a specificity lies between 0 and 1, not {', '.join(f'{s:g}' for s in specificities)}")
    rates = 1 - np.asarray(specificities)
    drawn = _sensitivities_resampled(images, positive == 1, score, rates, seed)
    groups = roc.class_groups(positive, images.group)
    return [
        _sensitivity(positive == 1, score, specificity, Resampled(column, groups))
        for specificity, column in zip(specificities, drawn.T, strict=True)
    ]


def _sensitivity(positive: NDArray[Any], score: Floats, specificity: float, drawn: Resampled) -> Sensitivity:
    found, false = score[positive], -np.sort(-score[~positive])
    allowed = int(froc.allowance(1 - specificity, false.size))
    above = found[found > false[allowed]] if allowed < false.size else found  # above the first that is one too many
    threshold = float(above.min()) if above.size else np.inf
    exact = clopper_pearson(above.size, found.size)
    value = above.size / found.size
    return Sensitivity(
        specificity,
        threshold,
        float((false < threshold).mean()),
        above.size,
        found.size,
        Estimate(value, exact, by_group(value, drawn, exact)),
    )


def _sensitivities_resampled(images: Images, positive: NDArray[Any], score: Floats, rates: Floats, seed: int) -> Floats:
    """(resamples, rates)"""
    member, groups = members(images)
    if groups < 2:
        return np.full((resamples(images), rates.size), np.nan)
    order = np.argsort(-score[~positive], kind="stable")
    false = score[~positive][order], member[~positive][order]
    negatives = np.bincount(member[~positive], minlength=groups)
    found = score[positive], member[positive]
    return froc.resampled_sensitivities(false, found, negatives, rates, resamples(images), seed)
