"""Which groups go where, drawn at random: among the draws that come near enough to the wanted shares, not the nearest.

The nearest of many random draws is nearly the same whatever the seed: with 8 videos of different lengths ten seeds gave
one or two test sets, and their spread said nothing of other test sets.  So a draw is taken at random from those within
TOLERANCE of the wanted share of the items and of each stratum, at most CHOICES of them, the nearest ones; where fewer
than FEW are, from the FEW nearest, whatever they miss.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data.items import Ints

DRAWS = 1000
DEALS = 300  # of a partition, which is dealt with balance in mind
CELLS = 500_000  # bounds the memory of the draws when there are many groups
# Of all items and of each stratum.  A test set of 45 % instead of 50 % of the lesions has intervals 5 % wider, which
# is less than what the choice of the groups changes.
TOLERANCE = 0.05
CHOICES = 100  # among so many, seeds hardly ever draw the same; more would come less near
FEW = 10

Counts = NDArray[np.int64]


def draw(counts: Counts, fraction: float, keep: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Indices of the groups taken, sorted: about `fraction` of the items and of each stratum but the last.

    counts : (groups, strata) items.  Both sides get items of every stratum if the groups allow it: one group here,
    `keep` on the side that stays.  Of each random order of the groups the best cut is a choice.
    """
    orders = _orders(len(counts), DRAWS, rng)
    taken = np.cumsum(counts[orders], axis=1)[:, :-keep]
    groups = np.cumsum(counts[orders] > 0, axis=1)[:, :-keep]
    total_groups = np.count_nonzero(counts, axis=0)
    lacking = (np.maximum(1 - groups, 0) + np.maximum(keep - (total_groups - groups), 0)).sum(axis=2)
    miss = np.abs(_shares(taken, counts.sum(axis=0)) - fraction)
    cut = np.argmin(10 * lacking + miss.sum(axis=2), axis=1)
    rows = np.arange(len(orders))
    place = np.argsort(orders, axis=1)  # of each group in its order
    chosen = place <= cut[:, None]
    best = _any_near(chosen, lacking[rows, cut], miss[rows, cut], rng)
    return np.flatnonzero(chosen[best])


def partition(counts: Counts, folds: int, keep: int, rng: np.random.Generator) -> Ints:
    """(groups,) int, the fold of each group, 0 .. folds - 1: about equal in items and in each stratum but the last.

    counts : (groups, strata) items.  Groups are dealt out in random order, each to the fold that lacks it most.  Every
    fold gets a group of every stratum and leaves `keep` of them to the others, if there are so many.
    """
    orders = _orders(len(counts), DEALS, rng)
    total = np.maximum(counts.sum(axis=0), 1)
    share = np.c_[counts.sum(axis=1) / total.sum(), counts / total]  # of all items, of each stratum
    load = np.zeros((len(orders), folds, share.shape[1]))
    groups = np.zeros((len(orders), folds, counts.shape[1]), np.int64)
    fold = np.zeros(orders.shape, np.int64)
    rows = np.arange(len(orders))
    for group in orders.T:
        # the growth of the loads' sum of squares; ties, as among empty folds, by lot
        growth = np.einsum("dfk,dk->df", load, share[group]) + 1e-12 * rng.random((len(orders), folds))
        best = np.argmin(growth, axis=1)
        fold[rows, group] = best
        load[rows, best] += share[group]
        groups[rows, best] += counts[group] > 0
    left = np.count_nonzero(counts, axis=0) - groups
    lacking = (np.maximum(1 - groups, 0) + np.maximum(keep - left, 0)).sum(axis=(1, 2))
    miss = np.abs(load[:, :, :-1] - 1 / folds).max(axis=1)
    return fold[_any_near(fold, lacking, miss, rng)]


def _orders(groups: int, most: int, rng: np.random.Generator) -> Ints:
    """(draws, groups) random orders, at most `most`."""
    draws = max(1, min(most, CELLS // groups))
    return rng.permuted(np.tile(np.arange(groups), (draws, 1)), axis=1)


def _shares(taken: Counts, total: Counts) -> NDArray[np.float64]:
    """(..., strata) share of all items, then of each stratum but the last; taken : (..., strata)."""
    items = taken.sum(axis=-1, keepdims=True) / total.sum()
    return np.concatenate([items, taken[..., :-1] / np.maximum(total[:-1], 1)], axis=-1)


def _any_near(choices: NDArray[np.generic], lacking: Ints, miss: NDArray[np.float64], rng: np.random.Generator) -> int:
    """Row of one of the different choices (rows), by lot, as the module's head says.

    lacking : (rows,) strata that a side lacks; only the least counts.   miss : (rows, shares) distance from what is
    wanted, of the items and of each stratum.
    """
    different = np.unique(choices, axis=0, return_index=True)[1]
    fit = different[lacking[different] == lacking.min()]
    outside = (miss[fit].max(axis=1) > TOLERANCE).astype(np.int64)
    order = np.lexsort((miss[fit].sum(axis=1), outside))
    near = order[: max(FEW, min(CHOICES, int(np.count_nonzero(outside == 0))))]
    return int(fit[rng.choice(near)])
