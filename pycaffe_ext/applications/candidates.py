"""Counts of candidates and of what they hit, where lesions are detected: for result.json, reports and the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data.items import Ints, Parts, Samples

Words = tuple[str, str]  # what an item and what it can hold several of are called: "frame", "polyp"


def facts(items: Parts, samples: Samples, patches: Ints, words: Words, views: int) -> dict[str, Any]:
    """split -> count -> number, and under "sources" the same for each data set in the split.

    patches : (n,) packed patches of each sample.   views : patches that each can give.
    """
    split = np.repeat(list(items), [len(part) for part in items.values()])
    every = [item for part in items.values() for item in part]
    group, source = (np.array([getattr(item, name) for item in every]) for name in ("group", "source"))

    def counted(inside: NDArray[np.bool_]) -> dict[str, Any]:
        return counts(samples, group, inside, patches, words, views)

    found = {}
    for part in items:
        inside = split == part
        names = np.unique(source[inside]).tolist()
        found[part] = counted(inside) | {"sources": {name: counted(inside & (source == name)) for name in names}}
    return found


def counts(
    samples: Samples, group: NDArray[Any], inside: NDArray[np.bool_], patches: Ints, words: Words, views: int
) -> dict[str, Any]:
    """Of the items that are `inside`, (items,) bool; `covered` is the share of targets that some candidate hits."""
    item, target = words
    own = inside[samples.item]
    targets, items = int(samples.targets[inside].sum()), int(inside.sum())
    with_targets, labels = int((samples.targets[inside] > 0).sum()), samples.label[own]
    negative, positive = (int(count) for count in np.bincount(labels, minlength=2))
    packed = np.bincount(labels, weights=patches[own], minlength=2).astype(int)
    hits = own & (samples.target > 0)
    covered = len(np.unique(np.stack([samples.item[hits], samples.target[hits]]), axis=1).T)
    return {
        f"{item}s": items,
        "groups": len(np.unique(group[inside])),
        f"{item}s_with_{target}s": with_targets,
        f"{item}s_without_{target}s": items - with_targets,
        f"{target}s": targets,
        "candidates": positive + negative,
        "positive_candidates": positive,
        "negative_candidates": negative,
        f"candidates_per_{item}": (positive + negative) / items,
        "covered": covered / targets if targets else None,
        "patches_before_balancing": {"positive": positive * views, "negative": negative * views},
        "patches": {"positive": int(packed[1]), "negative": int(packed[0])},
    }


def text(facts: Mapping[str, Any], patches: Mapping[str, int], words: Words) -> list[str]:
    """A line for each split, from what `facts` gave."""
    return [_line(split, fact, patches[split], *words) for split, fact in facts.items()]


def _line(split: str, fact: Mapping[str, Any], patches: int, item: str, target: str) -> str:
    covered = "-" if fact["covered"] is None else f"{100 * fact['covered']:.1f} %"
    return (
        f"{split:5s} {fact[f'{item}s']} {item}s in {fact['groups']} groups, {fact[f'{target}s']} {target}s,"
        f" {fact[f'candidates_per_{item}']:.1f} candidates a {item} cover {covered} of the {target}s, {patches} patches"
    )
