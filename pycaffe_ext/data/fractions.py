"""Smaller training sets: a share of the training groups, the smaller shares inside the larger ones.

The groups are put in one random order by the seed, and a share takes the first of them.  Each kind of group (the rarest
class that it holds) is spread evenly over the order, so that a share has about the proportions of the whole, and one
group of every kind comes first, so that small shares keep all classes as long as they can.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data.folds import Fold
from pycaffe_ext.data.items import Ints, Samples
from pycaffe_ext.errors import UserError

ALL = "1"  # the fraction that takes every group


def parse_fraction(text: object) -> str:
    """`1/4`, `2/8` and `0.25` -> "1/4"; UserError unless it is above 0 and at most 1."""
    try:
        share = Fraction(str(text))
    except (ValueError, ZeroDivisionError):
        share = Fraction(0)
    if not 0 < share <= 1:
        raise UserError(f"FRACTION={text}: must be a share of the training groups, above 0 to 1, such as 1/4 or 0.25")
    return str(share)


def count(groups: int, share: Fraction) -> int:
    """How many of the groups a share takes: the nearest whole number (halves go up), at least 1."""
    return max(1, int(groups * share + Fraction(1, 2)))


def order(holds: NDArray[np.bool_], rng: np.random.Generator) -> Ints:
    """(groups,) the order of which shares are the beginnings.  holds : (groups, classes), whether a group has samples
    of a class."""
    groups = len(holds)
    frequency = np.where(holds, holds.sum(axis=0), groups + 1)
    kind = np.argmin(frequency, axis=1)  # the rarest class of each group
    lot = rng.permutation(groups)
    place = np.zeros(groups)
    for own in (np.flatnonzero(kind == each) for each in np.unique(kind)):
        place[own[np.argsort(lot[own])]] = np.arange(len(own)) / len(own)
    return np.lexsort((lot, -holds.sum(axis=1) * (place == 0), place))


def reduced(
    parts: Mapping[str, Sequence[Any]], samples: Samples, share: Fraction, classes: Sequence[str], seed: tuple[int, ...]
) -> tuple[dict[str, list[Any]], Samples]:
    """The splits and samples that are left of the `share` of the training groups; other splits keep all.

    samples : of the items of all parts, in their order; so are those returned, which count the items that are left.
    seed : equal for all shares of one data set, which then lie within each other.
    Raises UserError if no group with samples of some class is left.
    """
    group = np.array([item.group for item in parts["train"]])
    names, index = np.unique(group, return_inverse=True)
    holds = np.zeros((len(names), len(classes)), bool)
    inside = np.flatnonzero(np.repeat(np.array([*parts]), [*map(len, parts.values())])[samples.item] == "train")
    first = sum(len(part) for part in [*parts.values()][: [*parts].index("train")])
    holds[index[samples.item[inside] - first], samples.label[inside]] = True
    ranked = order(holds, np.random.default_rng(seed))
    chosen = ranked[: count(len(names), share)]
    _check_classes(holds[ranked], len(chosen), share, classes)
    taken = set(names[chosen].tolist())
    keep = np.array([split != "train" or item.group in taken for split, part in parts.items() for item in part], bool)
    left = {s: [item for item in part if s != "train" or item.group in taken] for s, part in parts.items()}
    return left, _of_items(samples, keep)


def _check_classes(holds: NDArray[np.bool_], taken: int, share: Fraction, classes: Sequence[str]) -> None:
    """holds : (groups, classes), in the order of `order`."""
    if not (lacking := np.flatnonzero(holds.any(axis=0) & ~holds[:taken].any(axis=0))).size:
        return
    least = int(np.argmax(np.logical_or.accumulate(holds)[:, holds.any(axis=0)].all(axis=1))) + 1
    raise UserError(
        f"FRACTION={share} leaves {taken} of {len(holds)} training groups, none of class"
        f" {', '.join(classes[i] for i in lacking.tolist())}; every class is needed: the least that has them all is"
        f" FRACTION={least}/{len(holds)}"
    )


def _of_items(samples: Samples, keep: NDArray[np.bool_]) -> Samples:
    """The samples of the items to keep, (items,) bool, which are counted again."""
    chosen = samples.chosen(np.flatnonzero(keep[samples.item]))
    return replace(chosen, item=(np.cumsum(keep) - 1)[chosen.item], targets=samples.targets[keep])


def fold_seed(seed: int, fold: Fold | None) -> tuple[int, ...]:
    """What `reduced` draws by: other random numbers than the splits of the same seed."""
    return seed, 2, fold.number if fold else 0
