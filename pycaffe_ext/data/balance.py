"""Which patches to cut: chosen by index arithmetic before any pixel is read (paper, section 6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pycaffe_ext.errors import UserError

CHUNK = 65536  # samples handled at once: 120 random numbers each, 63 MB


@dataclass(frozen=True)
class Selection:
    """m chosen patches, ordered by sample, then view.

    sample : (m,) int64, row of Samples.   view : (m,) int16, index into the application's views.
    label : (m,) int32, class of the sample.
    """

    sample: np.ndarray
    view: np.ndarray
    label: np.ndarray

    def __len__(self) -> int:
        return len(self.sample)


def choose(
    labels: np.ndarray, views: int, limit: int | None = None, seed: int = 0, classes: int = 2, balanced: bool = True
) -> Selection:
    """A class-balanced selection of patches, or one that is as unbalanced as the samples.

    labels : (n,) int, class of each sample, 0 .. classes - 1.   views : ways to cut a sample.

    Balanced, the rarest class keeps all its patches (the positives, in the paper's data), the others are sampled
    down at random to as many; with `limit`, at most limit // classes patches of each class are kept. Not balanced,
    every class is sampled down by the same factor, if at all. A sampled class is spread over its samples: any two
    contribute equally, give or take one patch, with views drawn at random, so every patch of a class is as likely as
    any other. Memory grows with the chosen patches only.
    Raises UserError if a class has no sample, a label is out of range, or `limit` is below `classes`.
    """
    labels = np.asarray(labels)
    counts = _count(labels, classes)
    if limit is not None and limit < classes:
        raise UserError(f"a limit of {limit} patches can't hold {classes} classes; set PATCHES= higher")
    quotas = _equal(counts * views, limit) if balanced else _proportional(counts * views, limit)
    rng = np.random.default_rng(seed)
    parts = [_sample(np.flatnonzero(labels == label), quotas[label], views, rng) for label in range(classes)]
    return _ordered(np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts]), labels)


def _equal(available: np.ndarray, limit: int | None) -> list[int]:
    """The same number of patches of each class."""
    quota = int(available.min())
    return [quota if limit is None else min(quota, limit // len(available))] * len(available)


def _proportional(available: np.ndarray, limit: int | None) -> list[int]:
    """Patches of each class in the proportion of what there is, at least one."""
    factor = 1.0 if limit is None else min(1.0, limit / int(available.sum()))
    return [max(1, int(count * factor)) for count in available]


def take_all(labels: np.ndarray, views: int, per_sample: int) -> Selection:
    """Every sample with `per_sample` of the `views`, evenly spread and the same for all; labels : (n,) int.

    The paper scores all 120 views of a test candidate; fewer are a deviation for small machines.
    """
    labels = np.asarray(labels)
    chosen = spread_views(per_sample, views)
    return _ordered(np.repeat(np.arange(len(labels)), len(chosen)), np.tile(chosen, len(labels)), labels)


def spread_views(count: int, views: int) -> np.ndarray:
    """(count,) int16: indices into the `views`, evenly spread; the first, plain one is among them.

    Raises UserError outside 1..views.
    """
    if not 1 <= count <= views:
        raise UserError(f"TEST_VIEWS={count} is out of range; allowed: 1 to {views}")
    return (np.arange(count) * views // count).astype(np.int16)


def _count(labels: np.ndarray, classes: int) -> np.ndarray:
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        raise UserError(f"labels from {labels.min()} to {labels.max()}: must be 0..{classes - 1}")
    counts = np.bincount(labels, minlength=classes)
    if (counts == 0).any():
        found = ", ".join(f"{n} of class {label}" for label, n in enumerate(counts))
        raise UserError(f"balancing needs samples of every class; found {found}: add data of the missing class")
    return counts


def _sample(members: np.ndarray, quota: int, views: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Sample and view of `quota` patches drawn without replacement, spread evenly over `members`."""
    share, extra = divmod(quota, len(members))
    takes = np.full(len(members), share, np.int64)
    takes[rng.choice(len(members), extra, replace=False, shuffle=False)] += 1
    used = np.flatnonzero(takes)
    samples, chosen = [], []
    for start in range(0, len(used), CHUNK):
        part = used[start : start + CHUNK]
        order = rng.random((len(part), views)).argsort(axis=1)
        keep = np.arange(views) < takes[part][:, None]
        chosen.append(order[keep].astype(np.int16))
        samples.append(np.repeat(members[part], takes[part]))
    return np.concatenate(samples), np.concatenate(chosen)


def _ordered(sample: np.ndarray, view: np.ndarray, labels: np.ndarray) -> Selection:
    order = np.lexsort((view, sample))
    sample = sample[order]
    return Selection(sample.astype(np.int64), view[order].astype(np.int16), labels[sample].astype(np.int32))
