"""Classified images without a training: test data, patch scores of nets that know more or less, their evaluations."""

import numpy as np

from pycaffe_ext.data.items import Samples
from pycaffe_ext.evaluation.metrics.base import PatchScores, TestData
from pycaffe_ext.evaluation.metrics.by_class import RocByClass


class Frames(RocByClass):
    word = "frame"
    baseline = "random forest"


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def data(names=("cat", "dog"), n=90, groups=15, seed=0, baseline=False):
    """Test data of n images in groups of unequal sizes, named out of order; with a baseline's score if asked for."""
    rng = np.random.default_rng(seed)
    group = np.sort(rng.integers(groups, size=n))
    label = rng.permutation(np.arange(n) % len(names)).astype(np.int32)
    zero = np.zeros(n, np.int64)
    score = 1 / (1 + np.exp(-rng.normal(size=n) - 2 * label + 1)) if baseline else None
    samples = Samples(np.arange(n), zero, np.zeros((n, 0), np.float32), label, zero, zero, score)
    items = tuple(f"images/{i:03d}" for i in range(n))
    return TestData(items, np.array([f"patient {g}" for g in group]), samples, tuple(names))


def patches(test, gain=1.5, seed=1, views=3):
    """Scores of some patches an image; `gain`: how much the net knows."""
    rng = np.random.default_rng(seed)
    label = np.repeat(test.samples.label, views)
    z = np.repeat(rng.normal(size=(len(test.samples), len(test.classes))), views, axis=0)
    z = z + rng.normal(size=z.shape) / 3
    z[np.arange(label.size), label] += gain
    return PatchScores(np.repeat(np.arange(len(test.samples)), views).astype(np.int32), label, softmax(z))
