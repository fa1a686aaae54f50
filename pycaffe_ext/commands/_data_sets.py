"""What `data-help` prints: the data sets that are read, or what a folder holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from pycaffe_ext.data import boundaries, class_folders, depths, doubles, frame_sets, groups, images, sources, volumes
from pycaffe_ext.data.frames import damaged_frames
from pycaffe_ext.data.items import Item
from pycaffe_ext.data.reading import Reading
from pycaffe_ext.data.sources.listing import not_taken
from pycaffe_ext.errors import UserError, known
from pycaffe_ext.runs.summary import damage_text

Options: TypeAlias = Mapping[str, Any]
SETS = (
    ("polyp", "frames with masks of their polyps", tuple(sources.SOURCES.values())),
    ("frames", "frames that are informative or not", tuple(frame_sets.SOURCES.values())),
    ("folder", "pictures of 2 to 100 classes", (class_folders.CLASS_FOLDERS,)),
    ("imt", "ultrasound images of arteries with both boundaries of the far wall", tuple(boundaries.SOURCES.values())),
    ("pe", "CT volumes with the clots in them", tuple(volumes.SOURCES.values())),
)


def show(options: Options) -> None:
    """Print what the parsed options of `data-help` ask for; UserError for an unknown data set or folder."""
    every = {about.slug: about for _, _, known_sets in SETS for about in known_sets}
    slugs = [known(options["dataset"], every, "data set")] if options["dataset"] else []
    if options["data"]:
        say_what_it_is(options)
    elif slugs:
        print(sources.describe(every[slugs[0]]), sources.NOTE, sep="\n\n")
    else:
        for job, what, known_sets in SETS:
            print(f"For `make {job}`: {what}", *map(sources.describe, known_sets), "", sep="\n\n")
        print(sources.NOTE)


def say_what_it_is(options: Options) -> None:
    """Print which layout a folder has and what is in it; what nothing recognises is an error of the polyps' layouts."""
    kinds: dict[Callable[[Options], None], Callable[[Path], object]] = {
        say_of_polyps: sources.recognise,
        say_of_frames: frame_sets.recognise,
        say_of_class_folders: class_folders.class_names,
        say_of_walls: boundaries.recognise,
        say_of_volumes: volumes.recognise,
    }
    if options["dataset"]:
        named = next(
            say for say, kind in zip(kinds, SETS, strict=True) if options["dataset"] in [one.slug for one in kind[2]]
        )
        named(options)
        return
    folder = Path(options["data"])
    next((say for say, recognise in kinds.items() if _recognised(recognise, folder)), say_of_polyps)(options)


def _recognised(recognise: Callable[[Path], object], folder: Path) -> bool:
    try:
        recognise(folder)
    except UserError:
        return False
    return True


def say_of_frames(options: Options) -> None:
    found = frame_sets.find(Path(options["data"]), options["dataset"], options["damaged"] == "keep")
    print(sources.describe(found.source))
    print(f"\n{found.folder} is {found.source.slug}:")
    say_of_images(options, found.images, frame_sets.CLASSES, "frame")


def say_of_class_folders(options: Options) -> None:
    found = class_folders.read(Path(options["data"]), options["damaged"] == "keep")
    print(sources.describe(class_folders.CLASS_FOLDERS))
    print(f"\n{found.folder} is {class_folders.CLASS_FOLDERS.slug}:")
    positive = class_folders.positive_text(found.classes)
    say_of_images(options, found.images, found.classes, more=[positive] if positive else [])


def say_of_images(
    options: Options,
    found: Sequence[images.Image],
    classes: Sequence[str],
    word: str = "image",
    more: Sequence[str] = (),
) -> None:
    count = np.bincount([image.label for image in found], minlength=len(classes))
    counts = ", ".join(f"{n} {name}" for n, name in zip(count, classes, strict=True))
    print(f"{len(found)} pictures, {counts}; {len({image.group for image in found})} groups", *more, sep="\n")
    print(sources.left_out_text(not_taken(Path(options["data"]), [image.path for image in found])))
    if damaged := images.damaged(found):
        print(damage_text(damaged))
    for line in doubles.said(found, groups.hash_frames(found), word).lines:
        print(line)
    say_of_depth(options, found)


def say_of_depth(options: Options, items: Sequence[Item]) -> None:
    """Of pictures stored with 16 bits, how many of them are used; UserError where that differs."""
    data = f"DATA={options['data']}"
    if (found := depths.of(items, data)).pictures:
        print(f"{found.pictures} pictures are stored with 16 bits and shown as {found.bits}: {found.white} is white")
    for warning in depths.warnings(found, data):
        print(f"warning: {warning}")


def say_of_walls(options: Options) -> None:
    folder = Path(options["data"])
    source, home = boundaries.recognise(folder, options["dataset"])
    print(sources.describe(source))
    found = boundaries.find(folder, source.slug)
    spacing = [image.mm_per_pixel for image in found]
    print(f"\n{home} is {source.slug}:")
    print(
        f"{len(found)} images with both boundaries, {min(spacing):.4f} to {max(spacing):.4f} mm per pixel;"
        f" {len({image.group for image in found})} groups"
    )
    print(sources.left_out_text(not_taken(folder, [image.path for image in found])))
    say_of_depth(options, found)


def say_of_volumes(options: Options) -> None:
    folder = Path(options["data"])
    source, home = volumes.recognise(folder, options["dataset"])
    print(sources.describe(source))
    found = volumes.find(folder, source.slug)
    clots = [volume.clots for volume in found]
    print(f"\n{home} is {source.slug}:")
    print(
        f"{len(found)} volumes, {sum(map(bool, clots))} of them with clots, {sum(clots)} clots in all;"
        f" {len({volume.group for volume in found})} groups"
    )
    print(f"spacing along x, y, z: {_spacings(found)} mm")
    for note in (note for volume in found for note in volume.notes):
        print(note)
    print(sources.left_out_text(not_taken(folder, [path for volume in found for path in volume.every_file()])))


def _spacings(found: Sequence[volumes.Volume]) -> str:
    """The least and the greatest along each axis of the arrays."""
    every = np.array([volume.geometry.spacing for volume in found])
    spans = zip(every.min(axis=0), every.max(axis=0), strict=True)
    return ", ".join(f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}" for low, high in spans)


def say_of_polyps(options: Options) -> None:
    folder, videos = Path(options["data"]), Path(options["runs"]) / "data" / "videos"
    source, home = sources.recognise(folder, options["dataset"])
    print(sources.describe(source))
    reading = Reading(options["mask"], options["damaged"])
    frames = sources.find(folder, source.slug, videos, reading=reading)
    print(f"\n{home} is {source.slug}:\n{sources.summary(frames)}")
    print(sources.left_out_text(sources.left_out(folder, frames)))
    if damaged := damaged_frames(frames):
        print(damage_text(damaged))
    say_of_depth(options, frames)
