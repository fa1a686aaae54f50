"""95 % intervals of everything that `classes` computes: by image, and by group.

By image: exact binomial (Clopper-Pearson) for shares, DeLong for areas; both take the images as independent.
By group: whole groups (patients, videos) are drawn with replacement, and the standard error of the resamples is set out
on the logit scale with the t distribution of as many groups as carry the figure (`intervals.area_interval`); of groups
with unequal numbers of images as many count as groups of one size that would tell as much
(`intervals.effective_groups`).  An interval of a share or of a mean over classes is never narrower than the one by
image: resamples can't hold errors that the sample does not hold.
There is no interval by group (None) where a class has images in fewer than two groups.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import class_resampling, classes, froc, roc
from pycaffe_ext.evaluation.class_resampling import Resampled
from pycaffe_ext.evaluation.classes import Floats, Images
from pycaffe_ext.evaluation.intervals import (
    Interval,
    all_alike,
    area_interval,
    clopper_pearson,
    exact_intervals,
    logit_interval,
    t_quantile,
)

SPECIFICITIES = (0.8, 0.9, 0.95)


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


def or_none(interval: Callable[[], Interval]) -> Interval | None:
    """None where there are too few cases or groups for an interval."""
    try:
        return interval()
    except UserError:
        return None


def areas(images: Images, seed: int = 0) -> tuple[dict[int, Estimate], Estimate]:
    """AUC of each class against the rest, for the classes in `Images.present`; and the AUC of class 1 (two classes), or
    the mean one-against-rest AUC."""
    drawn = class_resampling.class_aucs(images, seed)
    found = {kind: _area(images, kind, column) for kind, column in zip(images.present, drawn.T, strict=True)}
    if images.classes == 2:
        return found, found[1]
    value = float(np.mean([own.value for own in found.values()]))
    image = _macro_by_image(images, value)
    return found, Estimate(value, image, by_group(value, class_resampling.macro(images, drawn), image))


def _area(images: Images, kind: int, drawn: Floats) -> Estimate:
    positive, score = images.label == kind, images.probability[:, kind]
    value = roc.auc(positive, score)
    resampled = Resampled(drawn, roc.effective_class_groups(positive, images.group))
    return Estimate(value, or_none(lambda: roc.auc_interval(positive, score)), by_group(value, resampled))


def macro_auc(images: Images, seed: int = 0) -> Estimate:
    """AUC of class 1 (two classes), or the mean one-against-rest AUC."""
    return areas(images, seed)[1]


def _macro_by_image(images: Images, value: float) -> Interval | None:
    """DeLong's, with the t tail of the images that its variance comes from.

    Where all images of a class are placed alike, they may still differ (`roc.auc_interval`): such a class moves the
    mean by its part of what its own interval reaches.
    """
    if int(images.count[images.present].min()) < 2:
        return None
    added = auc_contributions(images)
    kinds = np.flatnonzero(images.count)
    of_class = np.array([(added[images.label == kind] ** 2).sum() for kind in kinds])
    count = images.count[kinds]
    reach = t_quantile(class_resampling.satterthwaite(of_class, count.tolist())) * float(np.sqrt(of_class.sum()))
    found = logit_interval(value, reach, all_alike(int(count.min())))
    alike = [_reaches(images, kind) for kind in images.present if _alike(images, kind)]
    below, above = np.sqrt((np.array([*alike, (0.0, 0.0)]) ** 2).sum(axis=0)) / len(images.present)
    return _hull(found, Interval(max(value - float(below), 0.0), min(value + float(above), 1.0)))


def _alike(images: Images, kind: int) -> bool:
    """Whether all images of a class, or all others, are placed alike for it."""
    return bool(roc.delong(images.label == kind, images.probability[None, :, kind]).alike(np.ones(1)))


def _reaches(images: Images, kind: int) -> tuple[float, float]:
    """How far the interval of a class's AUC by image reaches to either side of it."""
    positive, score = images.label == kind, images.probability[:, kind]
    value, interval = roc.auc(positive, score), roc.auc_interval(positive, score)
    return value - interval.low, interval.high - value


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


def by_group(value: float, drawn: Resampled, least: Interval | None = None) -> Interval | None:
    """Interval of a share from its bootstrap by group, not narrower than `least`; None for fewer than two groups."""
    found = or_none(lambda: area_interval(value, drawn.value, drawn.groups))
    return found and _hull(found, least)


def _hull(interval: Interval, least: Interval | None) -> Interval:
    return Interval(min(interval.low, least.low), max(interval.high, least.high)) if least else interval


def accuracy(images: Images, seed: int = 0) -> Estimate:
    """Share of the images that are predicted right."""
    right = images.predicted == images.label
    exact = clopper_pearson(int(right.sum()), right.size)
    return Estimate(
        float(right.mean()), exact, by_group(float(right.mean()), class_resampling.means(images, right, seed), exact)
    )


def mean_loss(images: Images, loss: Floats, limit: float, seed: int = 0) -> Estimate:
    """Mean of a loss of each image between 0 and `limit` (Brier score): normal by image, on the logit scale."""
    from scipy.special import ndtri

    share = loss / limit
    error = float(share.std(ddof=1) / np.sqrt(share.size))
    image = logit_interval(float(share.mean()), float(ndtri(0.975)) * error, all_alike(share.size))
    group = by_group(float(share.mean()), class_resampling.means(images, share, seed))
    return Estimate(float(loss.mean()), _scaled(image, limit), group and _scaled(group, limit))


def _scaled(interval: Interval, limit: float) -> Interval:
    return Interval(interval.low * limit, interval.high * limit)


def recalls(images: Images, seed: int = 0) -> dict[int, Estimate]:
    """Class -> its recall, for the classes that have an image."""
    found, drawn = classes.recalls(images), class_resampling.recalls(images, seed)
    hits = np.diag(classes.confusion(images))
    estimates = {}
    for kind in np.flatnonzero(images.count).tolist():
        exact = clopper_pearson(int(hits[kind]), int(images.count[kind]))
        resampled = Resampled(drawn[:, kind], class_resampling.effective_class_groups(images, kind))
        estimates[kind] = Estimate(float(found[kind]), exact, by_group(float(found[kind]), resampled, exact))
    return estimates


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
    return Estimate(value, image, by_group(value, class_resampling.balanced_accuracies(images, seed), image))


def sensitivities(
    images: Images, kind: int, specificities: Sequence[float] = SPECIFICITIES, seed: int = 0
) -> list[Sensitivity]:
    """Sensitivity for a class against the rest at specificities; the threshold is found again in each resample."""
    positive, score = roc.checked(images.label == kind, images.probability[:, kind])
    if not all(0 < specificity < 1 for specificity in specificities):
        raise UserError(f"a specificity lies between 0 and 1, not {', '.join(f'{s:g}' for s in specificities)}")
    rates = 1 - np.asarray(specificities)
    drawn = class_resampling.sensitivities(images, positive == 1, score, rates, seed)
    groups = roc.effective_class_groups(positive, images.group)
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
