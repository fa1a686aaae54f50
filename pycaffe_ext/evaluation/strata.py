"""Sensitivity by video or patient and by the size of lesions, at a threshold; recall by video or patient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import froc, operating
from pycaffe_ext.evaluation.classes import Images
from pycaffe_ext.evaluation.intervals import Interval, all_alike, clopper_pearson, logit_interval, t_quantile
from pycaffe_ext.evaluation.thresholds import Share, detected, numbered, share_by_group


class GroupRow(NamedTuple):
    """A video or patient.  exact : 95 % of its sensitivity, lesions taken as independent; None where it has none"""

    group: str
    frames: int
    hits: int
    lesions: int
    exact: Interval | None
    false_positives_per_frame: float

    @property
    def sensitivity(self) -> float | None:
        return self.hits / self.lesions if self.lesions else None


class GroupMean(NamedTuple):
    """mean : of the groups' sensitivities, each group counting once        interval : 95 % t, None for one group
    worst : the lowest of a group        groups : those with lesions"""

    mean: float
    interval: Interval | None
    worst: float
    groups: int


class SizeRow(NamedTuple):
    """Lesions of a size from `least` (included) to `most` (excluded; inf = no end)."""

    least: float
    most: float
    found: Share


def by_group(
    cases: froc.Cases, group: Sequence[object] | np.ndarray, threshold: float, by: str = "lesion"
) -> list[GroupRow]:
    """A row for each video or patient, in the order of their names.  group : (frames,)"""
    names, member = np.unique(np.asarray(group)), numbered(group, cases.lesions.size)
    best, frame = cases.best_scores(by)
    false = cases.frame[(cases.lesion == 0) & (cases.score >= threshold)]
    hits, lesions, wrong, frames = (
        np.bincount(member[at], minlength=names.size)
        for at in (frame[detected(best, threshold)], frame, false, np.arange(member.size))
    )
    return [
        GroupRow(str(name), int(n), int(h), int(t), clopper_pearson(int(h), int(t)) if t else None, float(w / n))
        for name, n, h, t, w in zip(names, frames, hits, lesions, wrong, strict=True)
    ]


def recall_by_group(images: Images, kind: int) -> list[GroupRow]:
    """A row for each video or patient, in the order of their names: its images of a class that were found to be so.

    hits, lesions : images of the class        false_positives_per_frame : images of other classes that were taken for
    it, over the group's images
    """
    names, member = np.unique(images.group, return_inverse=True)
    own, taken = images.label == kind, images.predicted == kind
    counts = (np.bincount(member[at], minlength=names.size) for at in (own & taken, own, ~own & taken, own | ~own))
    return [
        GroupRow(str(name), int(n), int(h), int(t), clopper_pearson(int(h), int(t)) if t else None, float(w / n))
        for name, h, t, w, n in zip(names, *counts, strict=True)
    ]


def group_mean(rows: Sequence[GroupRow]) -> GroupMean:
    """The mean over groups, for which a long video counts no more than a short one.

    t interval on the logit scale; where all groups agree, `intervals.alike_bounds`.
    Raises UserError if no group has a lesion.
    """
    values = np.array([row.sensitivity for row in rows if row.sensitivity is not None])
    if not values.size:
        raise UserError("sensitivity undefined: no group has a lesion")
    mean, worst = float(values.mean()), float(values.min())
    if values.size < 2:
        return GroupMean(mean, None, worst, 1)
    reach = t_quantile(values.size) * values.std(ddof=1) / np.sqrt(values.size)
    return GroupMean(mean, logit_interval(mean, float(reach), all_alike(values.size)), worst, values.size)


def by_size(
    cases: froc.Cases,
    group: Sequence[object] | np.ndarray,
    size: Sequence[float] | np.ndarray,
    threshold: float,
    edges: Sequence[float] | None = None,
    resamples: int = operating.RESAMPLES,
    seed: int = 0,
) -> list[SizeRow]:
    """Sensitivity of lesions by their size, from small to large.

    size : (lesions,) of each lesion, frame after frame, in the order of its numbers: pixels, a diameter, whatever grows
    edges : where one class of sizes ends and the next begins, rising; None = thirds of the lesions
    Classes without a lesion are left out.  Raises ValueError for sizes or edges that do not fit.
    """
    size = np.asarray(size, np.float64)
    best, frame = cases.best_scores("lesion")
    if size.shape != best.shape or not np.isfinite(size).all():
        raise ValueError(f"{size.shape} sizes for {best.size} lesions; each needs a finite one")
    limits = np.unique(np.quantile(size, [1 / 3, 2 / 3])) if edges is None else np.asarray(edges, np.float64)
    if np.isnan(limits).any() or not (np.diff(limits) > 0).all():
        raise ValueError(f"the edges {list(limits)} of classes of sizes must rise")
    of, ends = np.digitize(size, limits), np.r_[-np.inf, limits, np.inf]
    member = numbered(group, cases.lesions.size)[frame]
    rows = []
    for row in np.unique(of):
        here = of == row
        counted = (here & detected(best, threshold), here)
        hits, total = (np.bincount(member[lesions], minlength=member.max() + 1) for lesions in counted)
        rows.append(SizeRow(float(ends[row]), float(ends[row + 1]), share_by_group(hits, total, resamples, seed)))
    return rows
