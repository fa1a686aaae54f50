"""Classifications of known truth: what nets say of images, and what their figures are in the population.

The score of an image for a class is normal: within a group with standard deviation 1, and each group shifts the scores
of its images of a class by an amount for each class that may be predicted.  The image's own class has more by the net's
gain, and the probabilities are the softmax.  How many images a group has does not depend on its shifts, so groups of
unequal size have the same truth.  It is taken from a large sample of single images, stratified by class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from math import sqrt
from typing import NamedTuple

import numpy as np

from pycaffe_ext.evaluation import calibration, class_comparison, class_intervals, classes, roc, thresholds
from pycaffe_ext.evaluation.classes import Floats, Images, Ints
from pycaffe_ext.evaluation.worlds import lengths

STRATUM = 50_000  # images of each class from which the truth is taken: its error is a tenth of a test set's or less
SPECIFICITY = 0.9
LEVEL = 0.05
NETS = ("a", "b", "c")

MEANINGS = {
    "image_auc": "DeLong's interval of the AUC (mean AUC of the classes) covers the truth",
    "auc": "interval by group of the AUC (mean AUC of the classes) covers the truth",
    "class_auc": "interval by group of the AUC of the last class covers the truth",
    "sensitivity": "interval by group of the last class's sensitivity at a specificity of 0.9 covers the truth",
    "carried": "interval by group of its sensitivity at a fixed threshold covers the truth",
    "carried_false": "interval by group of the share of false positives there covers the truth",
    "recall": "interval by group of the last class's recall covers the truth",
    "accuracy": "interval by group of the accuracy covers the truth",
    "balanced": "interval by group of the balanced accuracy covers the truth",
    "brier": "interval by group of the Brier score covers the truth",
    "none": "there are too few groups with the last class: no interval by group of its AUC",
    "auc_test": "paired test by group finds a difference in AUC, p < .05",
    "balanced_test": "paired test by group finds a difference in balanced accuracy, p < .05",
    "holm": "of three pairs of nets one or more differs in AUC by Holm's method",
    "max_t": "of three pairs of nets one or more differs in AUC by max-T",
}


@dataclass(frozen=True)
class ClassWorld:
    """Three nets tested on the same images.

    groups, images : how many groups, and images of each, on average where they are `uneven`
    shares : of the classes among the images, which sum to 1; the last class is the one that is looked at by itself
    pure : whether all images of a group are of one class, as of patients with one diagnosis; else every image has a
        class of its own.  Then as many groups are of a class as its share says, but no fewer than two
    gain : of each net        spread : standard deviation between groups        shared : correlation of two nets' scores
    uneven : standard deviation of the logarithm of a group's size; 0 = all have `images`
    """

    groups: int
    images: int = 1
    shares: tuple[float, ...] = (0.5, 0.5)
    pure: bool = False
    gain: tuple[float, float, float] = (1.2, 1.2, 1.2)
    spread: float = 0.0
    shared: float = 0.5
    uneven: float = 0.0

    @property
    def last(self) -> int:
        return len(self.shares) - 1


class Truth(NamedTuple):
    """Figures of one net in the population; those of a class are of the last.

    threshold, false : at which the specificity is SPECIFICITY, and the share of false positives there
    """

    auc: float
    class_auc: float
    recall: float
    accuracy: float
    balanced: float
    brier: float
    threshold: float
    sensitivity: float
    false: float


def draw(world: ClassWorld, rng: np.random.Generator) -> dict[str, Images]:
    """What each of three nets says of one test set."""
    size = lengths(world.groups, world.images, world.uneven, rng)
    group = np.repeat(np.arange(world.groups), size)
    label = _labels(world, group, rng)
    common, *alone = (_scores(world, group, label, rng) for _ in range(1 + len(NETS)))
    found = {}
    for name, own, gain in zip(NETS, alone, world.gain, strict=True):
        score = sqrt(world.shared) * common + sqrt(1 - world.shared) * own
        found[name] = Images(_probabilities(score, label, gain), label, group)
    return found


def _labels(world: ClassWorld, group: Ints, rng: np.random.Generator) -> Ints:
    """(n,) classes of images in groups (n,)."""
    if not world.pure:
        return rng.choice(len(world.shares), group.size, p=world.shares)
    of_class = np.maximum(np.round(np.array(world.shares[1:]) * world.groups), 2).astype(np.int64)
    return np.repeat(np.arange(len(world.shares)), np.r_[world.groups - of_class.sum(), of_class])[group]


def _scores(world: ClassWorld, group: Ints, label: Ints, rng: np.random.Generator) -> Floats:
    """(n, classes) scores about 0: the shift of each group's images of a class, and the spread within a group."""
    kinds = len(world.shares)
    between = rng.normal(size=(world.groups, kinds, kinds))
    return np.asarray(world.spread * between[group, label] + rng.normal(size=(group.size, kinds)))


def _probabilities(score: Floats, label: Ints, gain: float) -> Floats:
    from scipy.special import softmax

    return np.asarray(softmax(score + gain * np.eye(score.shape[1])[label], axis=1))


@cache
def truth(world: ClassWorld, net: int = 0) -> Truth:
    """Figures of the net with that place in `NETS`."""
    kinds, rng = len(world.shares), np.random.default_rng(0)
    label = np.repeat(np.arange(kinds), STRATUM)
    score = sqrt(1 + world.spread**2) * rng.normal(size=(label.size, kinds))
    images = Images(_probabilities(score, label, world.gain[net]), label, np.arange(label.size))
    recalls, shares = classes.recalls(images), np.array(world.shares)
    losses = calibration.brier_losses(images)[0].reshape(kinds, STRATUM).mean(axis=1)
    areas = [_area(images.probability.reshape(kinds, STRATUM, kinds), shares, kind) for kind in images.present]
    return Truth(
        float(np.mean(areas)),
        areas[-1],
        float(recalls[-1]),
        float(shares @ recalls),
        float(recalls.mean()),
        float(shares @ losses),
        *_at_specificity(images.probability[:, -1].reshape(kinds, STRATUM), shares),
    )


def _area(probability: Floats, shares: Floats, kind: int) -> float:
    """AUC of a class against the others in their shares.  probability : (classes, STRATUM, classes)"""
    of_class, label = probability[..., kind], np.repeat([1, 0], STRATUM)
    others = [k for k in range(len(shares)) if k != kind]
    pairs = [roc.auc(label, np.r_[of_class[kind], of_class[k]]) for k in others]
    return float(np.average(pairs, weights=shares[others]))


def _at_specificity(score: Floats, shares: Floats) -> tuple[float, float, float]:
    """Threshold, sensitivity and share of false positives of the last class.  score : (classes, STRATUM)"""
    others, weights = score[:-1].ravel(), np.repeat(shares[:-1] / shares[:-1].sum(), STRATUM) / STRATUM
    order = np.argsort(others)
    threshold = float(others[order][np.searchsorted(np.cumsum(weights[order]), SPECIFICITY)])
    return threshold, float((score[-1] >= threshold).mean()), float(weights[others >= threshold].sum())


def trial(world: ClassWorld, nets: dict[str, Images], seed: int) -> dict[str, bool]:
    """What the intervals of the first net and the tests say, compared with the truth: name -> yes or no, `MEANINGS`."""
    images, true, last = nets[NETS[0]], truth(world), world.last
    areas, macro = class_intervals.areas(images, seed)
    sensitivity = class_intervals.sensitivities(images, last, [SPECIFICITY], seed)[0].estimate
    threshold = partial(thresholds.carried_share, images.label == last, images.probability[:, last], images.group)
    carried = threshold(true.threshold, seed=seed)
    assert isinstance(carried.false_positives, thresholds.Share)
    return {
        "image_auc": _covers(macro.image, true.auc),
        "auc": _covers(macro.group, true.auc),
        "class_auc": _covers(areas[last].group, true.class_auc),
        "sensitivity": _covers(sensitivity.group, true.sensitivity),
        "carried": _covers(carried.sensitivity.group, true.sensitivity),
        "carried_false": _covers(carried.false_positives.group, true.false),
        "recall": _covers(class_intervals.recalls(images, seed)[last].group, true.recall),
        "accuracy": _covers(class_intervals.accuracy(images, seed).group, true.accuracy),
        "balanced": _covers(class_intervals.balanced_accuracy(images, seed).group, true.balanced),
        "brier": _covers(calibration.brier(images, seed).group, true.brier),
        "none": areas[last].group is None,
        **_tests(nets, seed),
    }


def _tests(nets: dict[str, Images], seed: int) -> dict[str, bool]:
    rows = class_comparison.compare(nets, class_comparison.AUC, seed)
    balanced = class_comparison.compare({name: nets[name] for name in NETS[:2]}, class_comparison.BALANCED, seed)
    return {
        "auc_test": _below(rows[0].difference and rows[0].difference.p),
        "balanced_test": _below(balanced[0].difference and balanced[0].difference.p),
        "holm": any(_below(row.p_holm) for row in rows),
        "max_t": any(_below(row.p_max_t) for row in rows),
    }


def _covers(interval: Sequence[float] | None, true: float) -> bool:
    """No interval claims nothing."""
    return interval is None or bool(interval[0] <= true <= interval[1])


def _below(p: float | None) -> bool:
    return p is not None and p < LEVEL


def repetition(world: ClassWorld, seed: int, number: int) -> dict[str, bool]:
    """`trial` of the test set of that number."""
    return trial(world, draw(world, np.random.default_rng([seed, number])), number)


FIVE = (0.2, 0.2, 0.2, 0.2, 0.2)
FIVE_RARE = (0.38, 0.3, 0.2, 0.1, 0.02)
WORLDS = {
    "400 pictures without groups": ClassWorld(400),
    "1000 pictures without groups, 2 % of a class": ClassWorld(1000, shares=(0.98, 0.02)),
    "40 patients": ClassWorld(40, 10, spread=0.7),
    "40 unequal patients": ClassWorld(40, 10, spread=0.7, uneven=1.0),
    "40 unequal patients of one class each": ClassWorld(40, 10, spread=0.7, uneven=1.0, pure=True),
    "10 unequal patients": ClassWorld(10, 20, spread=0.7, uneven=1.0),
    "5 patients": ClassWorld(5, 20, spread=0.7),
    "100 unequal patients, 2 % of a class": ClassWorld(100, 10, (0.98, 0.02), spread=0.7, uneven=1.0),
    "200 unequal patients of one class each, 2 % of a class": ClassWorld(
        200, 4, (0.98, 0.02), spread=0.7, uneven=1.0, pure=True
    ),
    "400 pictures without groups, 5 classes": ClassWorld(400, shares=FIVE),
    "40 unequal patients, 5 classes": ClassWorld(40, 10, FIVE, spread=0.7, uneven=1.0),
    "40 unequal patients of one class each, 5 classes": ClassWorld(40, 10, FIVE, spread=0.7, uneven=1.0, pure=True),
    "100 unequal patients, 5 classes, 2 % of one": ClassWorld(100, 10, FIVE_RARE, spread=0.7, uneven=1.0),
    "40 unequal patients, nets of unequal gain": ClassWorld(40, 10, spread=0.7, uneven=1.0, gain=(1.6, 1.1, 1.1)),
}
