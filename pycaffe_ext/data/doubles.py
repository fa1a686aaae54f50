"""What near-duplicates among labelled pictures tell: of two classes, one of the labels is wrong; joined, how many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pycaffe_ext.data.groups import Hashed, apart
from pycaffe_ext.data.images import Image


@dataclass(frozen=True)
class Said:
    """warnings : that labels contradict each other.   notes : that groups are joined."""

    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def lines(self) -> list[str]:
        """For the terminal."""
        return [*self.notes, *(f"warning: {text}" for text in self.warnings)]


def said(images: Sequence[Image], hashed: Hashed, word: str = "image") -> Said:
    """Of near-duplicates among the pictures of a data set, a line for each matter.

    hashed : what `groups.hash_frames` gives of them.   word : what a picture is called.
    Half of each group of semi-synthetic pictures is degraded on purpose: nothing is said of them.
    """
    if any(image.pristine for image in images):
        return Said()
    return Said(_contradictions(images, hashed), _joined(images, hashed, word))


def _contradictions(images: Sequence[Image], hashed: Hashed) -> tuple[str, ...]:
    found = apart(images, np.array([image.label for image in images]), hashed)
    if not found.pairs:
        return ()
    one, other = (_file(images[i]) for i in found.first)
    many = f"{found.pairs} pairs of near-duplicates have" if found.pairs > 1 else "1 pair of near-duplicates has"
    return (f"{many} different classes: {one} = {other}; check the labels",)


def _joined(images: Sequence[Image], hashed: Hashed, word: str) -> tuple[str, ...]:
    """Where splits are drawn; those that the user fixed keep the groups as they are."""
    if any(image.split for image in images):
        return ()
    count = int(apart(images, np.array([image.group for image in images]), hashed).items.sum())
    text = f"{count} of {len(images)} {word}s are near-duplicates of others: each is put into one group with those"
    return (text,) * (count > 0)


def _file(image: Image) -> str:
    """The name with the ending."""
    return image.name if image.name.endswith(image.path.suffix) else image.name + image.path.suffix
