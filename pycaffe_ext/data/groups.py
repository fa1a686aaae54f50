"""Near-duplicate frames belong to one group: found by a 256-bit difference hash, joined before any split.

What it finds: copies, re-encodings, other sizes, slight changes of light, neighbouring frames of a still camera.
What it does not: a picture that was mirrored, turned or cropped, or the same place seen from elsewhere; frames of one
video or patient must share a group for that. Blank frames (covered lens, black lead-in) are exempt: they resemble
each other without showing one place, and joining them would unite all videos that begin with black. They may lie in
two splits; nothing of a scene can be learned from them by heart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import cv2
import numpy as np

from pycaffe_ext.data.frames import map_frames
from pycaffe_ext.data.items import Item, Parts
from pycaffe_ext.errors import UserError
from pycaffe_ext.threads import one_thread_each

NEAR = 10  # of 256 bits
REMEDY = "remove the folder of packed data to split again"
BLANK = 2.0  # grey levels; below this spread the 16 x 17 thumbnail shows nothing that could be repeated
FILTER = 1  # the 64 bits that are compared first: rows 4 to 7 of 16, where there is no dark corner
Hashed = tuple[np.ndarray, np.ndarray]
I = TypeVar("I", bound=Any)  # noqa: E741 (an item)
ROWS, COLUMNS = 256, 4096  # hashes compared at a time: what fits in a processor's cache


def dhash(image: np.ndarray) -> np.ndarray:
    """(4,) uint64: the signs of the 16 x 16 horizontal differences of a 16 x 17 grey thumbnail.

    image : (H, W, 3) uint8, BGR.
    """
    return _hash(_thumbnail(image))


def near_duplicates(hashes: np.ndarray, near: int = NEAR) -> np.ndarray:
    """(m, 2) int64 pairs i < j whose hashes, (n, 4) uint64, differ in at most `near` bits."""
    return np.concatenate([np.empty((0, 2), np.int64), *near_pairs(hashes, near)])


def near_pairs(hashes: np.ndarray, near: int = NEAR) -> Iterator[np.ndarray]:
    """The same pairs in pieces of at most ROWS * COLUMNS, so that memory stays bounded however many there are."""
    first = np.ascontiguousarray(hashes[:, FILTER])
    for row in range(0, len(hashes), ROWS):
        for column in range(row, len(hashes), COLUMNS):
            word = first[row : row + ROWS, None] ^ first[None, column : column + COLUMNS]
            i, j = np.divmod(np.flatnonzero(np.bitwise_count(word) <= near), word.shape[1])
            pairs = np.stack([i + row, j + column], axis=1)[i + row < j + column]
            if len(found := pairs[bits(hashes[pairs[:, 0]], hashes[pairs[:, 1]]) <= near]):
                yield found


def near_pairs_between(first: np.ndarray, second: np.ndarray, near: int = NEAR) -> Iterator[np.ndarray]:
    """(m, 2) int64 pairs of a row of `first` and a row of `second`, in pieces as those of `near_pairs`.

    first : (n, 4) uint64 hashes   second : (k, 4) of another set
    """
    for row in range(0, len(first), ROWS):
        for column in range(0, len(second), COLUMNS):
            word = first[row : row + ROWS, FILTER, None] ^ second[None, column : column + COLUMNS, FILTER]
            i, j = np.divmod(np.flatnonzero(np.bitwise_count(word) <= near), word.shape[1])
            pairs = np.stack([i + row, j + column], axis=1)
            if len(found := pairs[bits(first[pairs[:, 0]], second[pairs[:, 1]]) <= near]):
                yield found


def bits(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(m,) in how many of 256 bits the hashes of each pair differ; first, second : (m, 4) uint64"""
    distance: np.ndarray = np.bitwise_count(first ^ second).sum(axis=1, dtype=np.int64)
    return distance


def join_near_duplicates(frames: Sequence[I], hashed: Hashed | None = None, near: int = NEAR) -> list[I]:
    """The same items; groups that share a near-duplicate become one, transitively, named after the first of them.

    hashed : what `hash_frames` gives of them, if it is at hand.
    """
    shown, hashes = hashed or hash_frames(frames)
    joined = [frame.group for frame in frames]
    code = np.unique(np.array(joined, str), return_inverse=True)[1]
    for pairs in near_pairs(hashes, near):
        pairs = shown[pairs]
        if len(apart := pairs[code[pairs[:, 0]] != code[pairs[:, 1]]]):
            joined = join_groups(joined, apart)
            code = np.unique(np.array(joined, str), return_inverse=True)[1]
    return [replace(frame, group=group) for frame, group in zip(frames, joined, strict=True)]


def check_near_duplicates(parts: Parts, hashed: Hashed | None = None, near: int = NEAR, remedy: str = REMEDY) -> None:
    """Look at the pictures of all items, split -> its items; UserError naming two near-duplicates in two splits, how
    many such pairs there are, and what to do, the `remedy`.

    Nothing that was stored about the items is trusted: hashes are computed from the pictures, by this call or, as
    `hashed`, by `hash_frames` of the same items in the same order.
    """
    frames = [frame for part in parts.values() for frame in part]
    split = np.repeat(np.arange(len(parts)), [len(part) for part in parts.values()])
    found, places = apart(frames, split, hashed, near), list(parts)
    if found.pairs:
        one, other = found.first
        raise UserError(
            f"near-duplicates in two splits, {found.pairs} pair{'s' * (found.pairs > 1)}, the first: {frames[one].name}"
            f" in {places[split[one]]} and {frames[other].name} in {places[split[other]]}; {remedy}"
        )


@dataclass(frozen=True)
class Apart:
    """Near-duplicates that are told apart.  pairs : how many.   first : indices i < j of the least of them, (-1, -1)
    without one.   items : (n,) bool, which items are in one of them."""

    pairs: int
    first: tuple[int, int]
    items: np.ndarray


def apart(frames: Sequence[Item], code: np.ndarray, hashed: Hashed | None = None, near: int = NEAR) -> Apart:
    """The near-duplicates whose codes differ.

    code : (n,) of the items, such as their splits.   hashed : as in `check_near_duplicates`.
    """
    shown, hashes = hashed or hash_frames(frames)
    count, first, items = 0, (len(frames), len(frames)), np.zeros(len(frames), bool)
    for pairs in near_pairs(hashes, near):
        pairs = np.sort(shown[pairs], axis=1)
        if len(told := pairs[code[pairs[:, 0]] != code[pairs[:, 1]]]):
            count += len(told)
            one, other = told[np.lexsort(told.T[::-1])[0]].tolist()
            first = min(first, (one, other))
            items[told] = True
    return Apart(count, first if count else (-1, -1), items)


def hash_frames(frames: Sequence[Item], progress: bool = True) -> Hashed:
    """(m,) int64 indices of the items that show something, and their hashes (m, 4) uint64; see BLANK."""

    def hashed(frame: Item) -> tuple[np.ndarray, bool]:
        thumbnail = _thumbnail(frame.picture())
        return _hash(thumbnail), bool(thumbnail.std() >= BLANK)

    with one_thread_each():
        found = map_frames(hashed, frames, "hashing images", progress)
    shown = np.array([i for i, (_, shows) in enumerate(found) if shows], np.int64)
    return shown, np.array([found[i][0] for i in shown], np.uint64).reshape(-1, 4)


def join_groups(groups: Sequence[str], pairs: np.ndarray) -> list[str]:
    """Groups of n items after the groups of each pair of items, (m, 2) int, are united, transitively."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    names, index = np.unique(np.array(groups, dtype=str), return_inverse=True)
    a, b = index[np.asarray(pairs, np.int64).reshape(-1, 2)].T
    graph = coo_array((np.ones(len(a), bool), (a, b)), shape=(len(names), len(names)))
    _, component = connected_components(graph, directed=False)
    _, first = np.unique(component, return_index=True)  # names are sorted, so the first of a component is least
    return [str(name) for name in names[first[component[index]]]]


def _thumbnail(image: np.ndarray) -> np.ndarray:
    return cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), (17, 16), interpolation=cv2.INTER_AREA)


def _hash(thumbnail: np.ndarray) -> np.ndarray:
    return np.packbits(thumbnail[:, 1:] > thumbnail[:, :-1]).view(np.uint64)
