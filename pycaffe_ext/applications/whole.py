"""What applications about whole pictures share: a sample is the picture itself, its class is the item's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.applications.base import Application
from pycaffe_ext.data.class_folders import named_pictures
from pycaffe_ext.data.crops import CROPS, CropViews, cut
from pycaffe_ext.data.doubles import Said, said
from pycaffe_ext.data.fixed import fixed_splits
from pycaffe_ext.data.groups import Hashed
from pycaffe_ext.data.images import Image
from pycaffe_ext.data.items import Floats, Ints, Parts, Picture, Samples
from pycaffe_ext.data.reading import DAMAGED
from pycaffe_ext.errors import UserError, known
from pycaffe_ext.pictures.shown import SUFFIXES
from pycaffe_ext.report.overlay import with_caption
from pycaffe_ext.runs.settings import DataRequest

NAMED = 3  # classes on an overlay
E = TypeVar("E")


class WholePictures(Application[Image, E]):
    """Resized pictures, cropped on a grid and mirrored; the probabilities of a picture's patches are averaged."""

    words: ClassVar[tuple[str, str]] = ("image", "sample")
    endings = SUFFIXES
    test_views = 9  # of 18: the whole grid, not mirrored
    views = CropViews()

    def check(self, request: DataRequest) -> None:
        known(request.option("damaged"), DAMAGED, "DAMAGED")
        self.check_test_views(request)

    def strata(self, items: Sequence[Image]) -> tuple[Ints, tuple[str, ...]]:
        kinds = dict(sorted((item.label, item.kind) for item in items))
        return np.array([item.label for item in items], np.int64), tuple(kinds.values())

    def doubles(self, items: Sequence[Image], hashed: Hashed) -> Said:
        return said(items, hashed, self.words[0])

    def fixed_splits(self, items: Sequence[Image]) -> Mapping[str, Sequence[Image]] | None:
        return fixed_splits(items)

    def propose(self, parts: Mapping[str, Sequence[Image]], workspace: Path, request: DataRequest) -> Samples:
        return samples_of([item for part in parts.values() for item in part])

    def pictures(self, folder: Path, cache: Path) -> Mapping[str, Path]:
        """By the names that they have as items of a class: two that differ in their endings keep theirs."""
        found = named_pictures(folder)
        if not found:
            raise UserError(f"{folder}: no image in it ({', '.join(ending[1:] for ending in self.endings)})")
        return found

    def unlabelled(self, pictures: Sequence[tuple[str, Path]], request: DataRequest) -> list[Image]:
        keep, resize = request.option("damaged") == "keep", self.resize(request)
        return [Image(name, name, "", path, 0, "", keep_damaged=keep, resize=resize) for name, path in pictures]

    def resize(self, request: DataRequest) -> str:
        """How pictures are made square; the paper squashes them."""
        return "squash"

    def apply(self, items: Sequence[Image], workspace: Path) -> Samples:
        return samples_of(items)

    def cut(self, item: Image, places: NDArray[np.float32], views: Ints, size: int) -> Iterator[Picture]:
        return cut(item.pixels(), [CROPS[view] for view in views], size, item.resize)

    def show(self, item: Image) -> Picture:
        return item.pixels()

    def overlay(self, item: Image, samples: Samples, probability: Floats, classes: Sequence[str]) -> Picture:
        """The picture above the names of the most probable classes."""
        (own,) = probability
        best = np.argsort(-own, kind="stable")[:NAMED]
        return with_caption(item.pixels(), [f"{classes[i]}: {own[i]:.2f}" for i in best])

    def facts(self, items: Parts, samples: Samples, patches: Ints) -> dict[str, Any]:
        """split -> images, groups, and of each class its images and packed patches."""
        facts, start = {}, 0
        for split, part in items.items():
            packed = patches[start : start + len(part)]
            facts[split] = _counts(part, packed)
            start += len(part)
        return facts

    def data_text(self, facts: Mapping[str, Any], patches: Mapping[str, int]) -> list[str]:
        return [
            f"{split:5s} {fact['images']} {self.words[0]}s in {fact['groups']} groups, "
            + ", ".join(f"{count} {kind}" for kind, count in fact["classes"].items())
            + f"; {patches[split]} patches"
            for split, fact in facts.items()
        ]


def samples_of(items: Sequence[Image], score: Floats | None = None) -> Samples:
    """A sample for each image: no place, its class, nothing to hit."""
    count = len(items)
    zeros = np.zeros(count, np.int64)
    label = np.array([item.label for item in items], np.int32)
    return Samples(np.arange(count), zeros, np.zeros((count, 0), np.float32), label, zeros, zeros, score)


def _counts(part: Sequence[Image], packed: Ints) -> dict[str, Any]:
    kinds = [item.kind for item in sorted(part, key=lambda item: item.label)]
    of_class = {kind: [item.kind == kind for item in part] for kind in dict.fromkeys(kinds)}
    return {
        "images": len(part),
        "groups": len({item.group for item in part}),
        "classes": {kind: sum(own) for kind, own in of_class.items()},
        "patches": {kind: int(packed[np.array(own)].sum()) for kind, own in of_class.items()},
    }
