"""Which patches to cut: chosen by index arithmetic before any pixel is read (paper, section 6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pycaffe_ext.data.patches import VIEWS
from pycaffe_ext.errors import UserError

CHUNK = 65536  # candidates handled at once: 120 random numbers each, 63 MB


@dataclass(frozen=True)
class Selection:
    """m chosen patches, ordered by candidate, then view.

    candidate : (m,) int64, row in the table of candidates.   view : (m,) int16, index into VIEWS.
    label : (m,) int32, class of the candidate.
    """

    candidate: np.ndarray
    view: np.ndarray
    label: np.ndarray

    def __len__(self) -> int:
        return len(self.candidate)


def choose(
    labels: np.ndarray, limit: int | None = None, seed: int = 0, classes: int = 2, views: int = len(VIEWS)
) -> Selection:
    """A class-balanced selection of patches.

    labels : (n,) int, class of each candidate, 0 .. classes - 1 (1 = polyp).

    The rarest class keeps all its patches (the positives, in the paper's data), the others are sampled down at
    random to as many; with `limit`, at most limit // classes patches of each class are kept. A sampled class is
    spread over its candidates: any two contribute equally, give or take one patch, with views drawn at random, so
    every patch of a class is as likely as any other. Memory grows with the chosen patches only.
    Raises UserError if a class has no candidate, a label is out of range, or `limit` is below `classes`.
    """
    labels = np.asarray(labels)
    counts = _count(labels, classes)
    quota = int(counts.min()) * views
    if limit is not None:
        if limit < classes:
            raise UserError(f"a limit of {limit} patches can't hold {classes} classes; set PATCHES= higher")
        quota = min(quota, limit // classes)
    rng = np.random.default_rng(seed)
    parts = [_sample(np.flatnonzero(labels == label), quota, views, rng) for label in range(classes)]
    return _ordered(np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts]), labels)


def take_all(labels: np.ndarray, views_per_candidate: int = len(VIEWS)) -> Selection:
    """Every candidate with the same evenly spread views, for testing; labels : (n,) int.

    The paper scores all views of a test candidate (120, the default); fewer are a deviation for small machines.
    """
    labels = np.asarray(labels)
    views = spread_views(views_per_candidate)
    return _ordered(np.repeat(np.arange(len(labels)), len(views)), np.tile(views, len(labels)), labels)


def spread_views(count: int) -> np.ndarray:
    """(count,) int16: indices into VIEWS, evenly spread over scales, shifts and orientations, the same for every
    candidate; the plain box (scale 1, not moved, not turned) is the first. Raises UserError outside 1..120."""
    if not 1 <= count <= len(VIEWS):
        raise UserError(f"{count} views per candidate: must be 1..{len(VIEWS)}")
    return (np.arange(count) * len(VIEWS) // count).astype(np.int16)


def _count(labels: np.ndarray, classes: int) -> np.ndarray:
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        raise UserError(f"labels from {labels.min()} to {labels.max()}: must be 0..{classes - 1}")
    counts = np.bincount(labels, minlength=classes)
    if (counts == 0).any():
        found = ", ".join(f"{n} of class {label}" for label, n in enumerate(counts))
        raise UserError(
            f"balancing needs candidates of every class (1 = polyp); found {found}: add frames of the missing"
            " class or let the detector propose more candidates"
        )
    return counts


def _sample(members: np.ndarray, quota: int, views: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Candidate and view of `quota` patches drawn without replacement, spread evenly over `members`."""
    share, extra = divmod(quota, len(members))
    takes = np.full(len(members), share, np.int64)
    takes[rng.choice(len(members), extra, replace=False, shuffle=False)] += 1
    used = np.flatnonzero(takes)
    candidates, chosen = [], []
    for start in range(0, len(used), CHUNK):
        part = used[start : start + CHUNK]
        order = rng.random((len(part), views)).argsort(axis=1)
        keep = np.arange(views) < takes[part][:, None]
        chosen.append(order[keep].astype(np.int16))
        candidates.append(np.repeat(members[part], takes[part]))
    return np.concatenate(candidates), np.concatenate(chosen)


def _ordered(candidate: np.ndarray, view: np.ndarray, labels: np.ndarray) -> Selection:
    order = np.lexsort((view, candidate))
    candidate = candidate[order]
    return Selection(candidate.astype(np.int64), view[order].astype(np.int16), labels[candidate].astype(np.int32))
