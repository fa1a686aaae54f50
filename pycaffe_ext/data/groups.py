"""Near-duplicate frames belong to one group: found by a 256-bit difference hash, joined before any split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from pycaffe_ext.data.frames import Frame, map_frames, read_image

NEAR = 10  # of 256 bits
BLANK = 2.0  # grey levels; below this spread the 16 x 17 thumbnail shows nothing that could be repeated
BLOCK = 512


def dhash(image: np.ndarray) -> np.ndarray:
    """(4,) uint64: the signs of the 16 x 16 horizontal differences of a 16 x 17 grey thumbnail.

    image : (H, W, 3) uint8, BGR.
    """
    return _hash(_thumbnail(image))


def near_duplicates(hashes: np.ndarray, near: int = NEAR) -> np.ndarray:
    """(m, 2) int64 pairs i < j whose hashes, (n, 4) uint64, differ in at most `near` bits."""
    n = len(hashes)
    pairs = [np.empty((0, 2), np.int64)]
    for start in range(0, n, BLOCK):
        rows, columns = hashes[start : start + BLOCK], hashes[start:]
        distance = np.zeros((len(rows), len(columns)), np.uint16)
        for word in range(hashes.shape[1]):
            distance += np.bitwise_count(rows[:, None, word] ^ columns[None, :, word])
        i, j = np.nonzero(distance <= near)
        pairs.append(np.stack([i, j], axis=1)[i < j] + start)
    return np.concatenate(pairs)


def join_near_duplicates(frames: Sequence[Frame], near: int = NEAR, progress: bool = True) -> list[Frame]:
    """The same frames; groups that share a near-duplicate become one, named after the first of them.

    Blank frames (covered lens, black lead-in) resemble each other without showing one place: they join nothing.
    """
    thumbnails = map_frames(lambda f: _thumbnail(read_image(f.image)), frames, "hashing images", progress)
    shown = np.array([i for i, thumbnail in enumerate(thumbnails) if thumbnail.std() >= BLANK], np.int64)
    hashes = np.array([_hash(thumbnails[i]) for i in shown], np.uint64).reshape(-1, 4)
    joined = join_groups([frame.group for frame in frames], shown[near_duplicates(hashes, near)])
    return [replace(frame, group=group) for frame, group in zip(frames, joined, strict=True)]


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
