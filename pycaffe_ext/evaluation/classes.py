"""Classification of images into two or more classes: areas under ROC curves, recalls, confusion.

With two classes, class 1 is the positive one and its AUC is the AUC.  With more, each class has a ROC curve against all
others together (one against rest), and the macro AUC is the mean of their areas, each class counting alike.
The predicted class is the most probable one, of equally probable ones the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import roc

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

CHUNK = 1_000_000  # patches averaged at a time
ROUNDING = 1e-3  # of the sum of an image's probabilities, which single precision and printed digits leave


@dataclass(frozen=True)
class Images:
    """Classified images.

    probability : (n, classes) float      label : (n,) int, 0 .. classes - 1      group : (n,) patient or video
    Raises UserError for probabilities that are not finite, outside of 0 .. 1 or do not sum to 1, for labels that are no
    class, and where all images are of one class; ValueError for arrays that do not fit.
    """

    probability: Floats
    label: Ints
    group: NDArray[Any]

    def __post_init__(self) -> None:
        for name, kind in (("probability", np.float64), ("label", np.int64), ("group", None)):
            object.__setattr__(self, name, np.asarray(getattr(self, name), kind))
        if self.probability.ndim != 2 or self.probability.shape[1] < 2:
            raise ValueError(f"probabilities must be (images, 2 classes or more), they are {self.probability.shape}")
        if not self.label.shape == self.group.shape == (len(self.probability),):
            raise ValueError(
                f"labels {self.label.shape} and groups {self.group.shape} must be ({len(self.probability)},)"
            )
        _check_probabilities(self.probability)
        _check_labels(self.label, self.classes)

    @property
    def classes(self) -> int:
        return int(self.probability.shape[1])

    @property
    def count(self) -> Ints:
        """(classes,) images of each class."""
        return np.bincount(self.label, minlength=self.classes)

    @property
    def predicted(self) -> Ints:
        """(n,) the most probable class of each image."""
        return np.asarray(self.probability.argmax(axis=1), np.int64)

    @property
    def present(self) -> list[int]:
        """The classes that have an AUC: of two classes the second, else every class that has an image."""
        return [1] if self.classes == 2 else np.flatnonzero(self.count).tolist()


def _check_probabilities(probability: Floats) -> None:
    bad = int((~np.isfinite(probability)).any(axis=1).sum())
    if bad:
        raise UserError(f"classes undefined: the probabilities of {bad} of {len(probability)} images are not finite")
    if probability.size and (probability.min() < -ROUNDING or probability.max() > 1 + ROUNDING):
        raise UserError(f"probabilities lie between 0 and 1, not {probability.min():g} and {probability.max():g}")
    off = np.abs(probability.sum(axis=1) - 1)
    if (off > ROUNDING).any():
        worst = int(off.argmax())
        raise UserError(f"the probabilities of image {worst} sum to {probability[worst].sum():g}, not to 1")


def _check_labels(label: Ints, classes: int) -> None:
    if label.size and not 0 <= label.min() <= label.max() < classes:
        raise UserError(f"labels must be 0 .. {classes - 1}, there are {label.min()} .. {label.max()}")
    if np.unique(label).size < 2:
        only = f"all {label.size} images are of class {label[0]}" if label.size else "there is no image"
        raise UserError(f"AUC undefined: {only}; the split needs two classes or more")


def mean_by_sample(sample: ArrayLike, probability: NDArray[np.floating[Any]], n: int) -> Floats:
    """(n, classes) mean probabilities of the patches of each sample.

    sample : (patches,) int, which sample a patch belongs to       probability : (patches, classes)
    Patches are averaged CHUNK at a time: beyond its arguments it holds the result and one chunk.
    Raises UserError for probabilities that are not finite, ValueError for a sample without a patch or beyond n.
    """
    sample = np.asarray(sample)
    if probability.ndim != 2 or sample.shape != probability.shape[:1]:
        raise ValueError(f"samples {sample.shape} do not fit probabilities {probability.shape}")
    total, patches = np.zeros((n, probability.shape[1])), np.zeros(n, np.int64)
    for start in range(0, sample.size, CHUNK):
        part, values = sample[start : start + CHUNK], probability[start : start + CHUNK]
        if part.min() < 0 or part.max() >= n:
            raise ValueError(f"patches name samples {part.min()} .. {part.max()}, there are 0 .. {n - 1}")
        if not np.isfinite(values).all():
            raise UserError(f"the probabilities of patches {start} .. {start + len(part) - 1} are not all finite")
        patches += np.bincount(part, minlength=n)
        for column in range(total.shape[1]):
            total[:, column] += np.bincount(part, weights=values[:, column], minlength=n)
    if not patches.all():
        raise ValueError(f"{int((patches == 0).sum())} of {n} samples have no patch")
    return total / patches[:, None]


def validation(probability: Floats, label: Ints) -> float:
    """What early stopping maximises: the AUC of class 1 (two classes), or the mean one-against-rest AUC.

    A class without an image has no AUC and is left out of the mean.
    probability : (n, classes)      label : (n,)
    Raises UserError if fewer than two classes have an image or a probability is not finite.
    """
    label = np.asarray(label)
    _check_labels(label, probability.shape[1])
    present = [1] if probability.shape[1] == 2 else np.unique(label).tolist()
    return float(np.mean([roc.auc(label == k, probability[:, k]) for k in present]))


def aucs(images: Images) -> dict[int, float]:
    """Class -> area under its ROC curve against all other images, for the classes in `Images.present`."""
    return {k: roc.auc(images.label == k, images.probability[:, k]) for k in images.present}


def macro_auc(images: Images) -> float:
    """The AUC of class 1 (two classes), or the mean of `aucs`."""
    return float(np.mean(list(aucs(images).values())))


def confusion(images: Images) -> Ints:
    """(classes, classes) images of the row's class that were predicted to be of the column's."""
    from sklearn.metrics import confusion_matrix

    counts: Ints = confusion_matrix(images.label, images.predicted, labels=range(images.classes))
    return counts


def by_row(counts: Ints) -> Floats:
    """A confusion matrix as shares of its rows; nan where a class has no image."""
    total = counts.sum(axis=1, keepdims=True)
    return np.where(total > 0, counts / np.maximum(total, 1), np.nan)


def accuracy(images: Images) -> float:
    return float((images.predicted == images.label).mean())


def recalls(images: Images) -> Floats:
    """(classes,) share of each class's images that are predicted to be of it; nan for a class without an image."""
    hits = np.bincount(images.label[images.predicted == images.label], minlength=images.classes)
    return np.where(images.count > 0, hits / np.maximum(images.count, 1), np.nan)


def balanced_accuracy(images: Images) -> float:
    """The mean recall of the classes that have an image."""
    return float(np.nanmean(recalls(images)))


def extremes(images: Images, kind: int, count: int, best: bool, names: Sequence[str] | None = None) -> list[int]:
    """Rows of `count` images of a class to which the net gives the highest (or lowest) probability of that class.

    At most one of each group: the frames of a video are alike.  Ties go by name, or by row.
    """
    rows = np.flatnonzero(images.label == kind)
    key = images.probability[rows, kind] * (-1 if best else 1)
    tie = np.asarray(names)[rows] if names is not None else rows
    ordered = rows[np.lexsort((tie, key))]
    first = np.sort(np.unique(images.group[ordered], return_index=True)[1])
    chosen: list[int] = ordered[first][:count].tolist()
    return chosen


def roc_curve(images: Images, kind: int) -> tuple[Floats, Floats]:
    """(corners,) shares of the other images and of a class's images at or above falling thresholds, from (0, 0)."""
    from sklearn.metrics import roc_curve as corners

    # all corners: of those on one line scikit-learn leaves some out, and between them the curve is a staircase
    false, true, _ = corners(images.label == kind, images.probability[:, kind], drop_intermediate=False)
    return np.asarray(false, np.float64), np.asarray(true, np.float64)


def sensitivities_along(images: Images, rates: Floats) -> Floats:
    """(classes in `Images.present`, rates) the highest sensitivity for each class with at most these shares of false
    positives."""
    rows = []
    for kind in images.present:
        false, true = roc_curve(images, kind)
        rows.append(true[np.searchsorted(false, rates + 1e-12, side="right") - 1])
    return np.array(rows)
