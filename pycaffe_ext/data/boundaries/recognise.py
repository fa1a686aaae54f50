"""Which data set of walls a folder holds, and its images."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data.boundaries import reading
from pycaffe_ext.data.boundaries.cubs import CLINICAL_SET, TECHNICAL_SET
from pycaffe_ext.data.boundaries.folder import FOLDER
from pycaffe_ext.data.boundaries.image import WallImage
from pycaffe_ext.data.boundaries.source import WallSource
from pycaffe_ext.data.boundaries.ucy import UCY
from pycaffe_ext.data.frames import map_frames
from pycaffe_ext.data.groups import join_groups
from pycaffe_ext.data.names import by_identifier, check_look, identifier
from pycaffe_ext.data.sources import layout

SOURCES = {source.slug: source for source in (UCY, CLINICAL_SET, TECHNICAL_SET, FOLDER)}


def find(folder: str | Path, dataset: str | None = None, progress: bool = True) -> list[WallImage]:
    """Images with boundaries in `folder`, or in its only sub-folder that holds such a set, sorted by name.

    dataset : name in SOURCES; None = recognised by the layout.  Groups that share an image, pixel for pixel, become
    one.  Every image is decoded once: UserError for colour Doppler, and for what cannot be read.
    """
    source, home = recognise(folder, dataset)
    images = sorted(source.read(home), key=lambda image: image.name)
    alone = by_identifier((image.name for image in images), "image")
    images = [replace(image, group=identifier(image.group)) for image in images]
    check_look((image.group, f"image {image.name}") for image in images if image.group not in alone)
    pixels = map_frames(_digest, images, "reading images", progress)
    groups = join_groups([image.group for image in images], _equal(pixels))
    return [replace(image, group=group) for image, group in zip(images, groups, strict=True)]


def recognise(folder: str | Path, dataset: str | None = None) -> tuple[WallSource, Path]:
    """The layout and the folder that has it, `folder` or one in it; raises UserError if there is none."""
    expected = "images/ and boundaries/, or the layout of a data set of artery walls"
    return layout.recognise(folder, dataset, SOURCES, expected)


def _digest(image: WallImage) -> bytes:
    return hashlib.sha256(reading.read(image.path).grey.tobytes()).digest()


def _equal(pixels: Sequence[bytes]) -> NDArray[np.int64]:
    """(n, 2) pairs of places that hold the same; the first of them with each other one."""
    first: dict[bytes, int] = {}
    pairs = [(first[one], i) for i, one in enumerate(pixels) if first.setdefault(one, i) != i]
    return np.array(pairs, np.int64).reshape(-1, 2)
