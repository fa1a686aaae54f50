"""Print the data sets that are read: layouts, groups, terms and where to get them; or say what a folder holds."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pycaffe_ext.data import class_folders, frame_sets, images, sources
from pycaffe_ext.data.frames import damaged_frames
from pycaffe_ext.data.reading import HELP, Reading
from pycaffe_ext.data.sources.listing import not_taken
from pycaffe_ext.errors import UserError, known, run_cli
from pycaffe_ext.files import user_path
from pycaffe_ext.runs.summary import damage_text

SETS = (
    ("polyp", "frames with masks of their polyps", tuple(sources.SOURCES.values())),
    ("frames", "frames that are informative or not", tuple(frame_sets.SOURCES.values())),
    ("folder", "pictures of 2 to 100 classes", (class_folders.CLASS_FOLDERS,)),
)


def main() -> None:
    every = {about.slug: about for _, _, known_sets in SETS for about in known_sets}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", help=f"one of {', '.join(every)}")
    parser.add_argument("--data", type=user_path, help="a folder: say what it is recognised as, and count its frames")
    for name, text in HELP.items():
        parser.add_argument(f"--{name}", default=getattr(Reading, name), help=text)
    parser.add_argument("--runs", type=user_path, default=Path("runs"), help="gets frames of videos (default: runs)")
    args = parser.parse_args()
    slugs = [known(args.dataset, every, "data set")] if args.dataset else []
    if args.data:
        say_what_it_is(args)
    elif slugs:
        print(sources.describe(every[slugs[0]]), sources.NOTE, sep="\n\n")
    else:
        for job, what, known_sets in SETS:
            print(f"For `make {job}`: {what}", *map(sources.describe, known_sets), "", sep="\n\n")
        print(sources.NOTE)


def say_what_it_is(args: argparse.Namespace) -> None:
    """Print which layout a folder has and what is in it; what nothing recognises is an error of the polyps' layouts."""
    kinds: dict[Callable[[argparse.Namespace], None], Callable[[Path], object]] = {
        say_of_polyps: sources.recognise,
        say_of_frames: frame_sets.recognise,
        say_of_class_folders: class_folders.class_names,
    }
    if args.dataset:
        named = next(
            say for say, kind in zip(kinds, SETS, strict=True) if args.dataset in [one.slug for one in kind[2]]
        )
        named(args)
        return
    next((say for say, recognise in kinds.items() if _recognised(recognise, args.data)), say_of_polyps)(args)


def _recognised(recognise: Callable[[Path], object], folder: Path) -> bool:
    try:
        recognise(folder)
    except UserError:
        return False
    return True


def say_of_frames(args: argparse.Namespace) -> None:
    found = frame_sets.find(args.data, args.dataset, args.damaged == "keep")
    print(sources.describe(found.source))
    print(f"\n{found.folder} is {found.source.slug}:")
    say_of_images(args, found.images, frame_sets.CLASSES)


def say_of_class_folders(args: argparse.Namespace) -> None:
    found = class_folders.read(args.data, args.damaged == "keep")
    print(sources.describe(class_folders.CLASS_FOLDERS))
    print(f"\n{found.folder} is {class_folders.CLASS_FOLDERS.slug}:")
    say_of_images(args, found.images, found.classes)


def say_of_images(args: argparse.Namespace, found: Sequence[images.Image], classes: Sequence[str]) -> None:
    count = np.bincount([image.label for image in found], minlength=len(classes))
    counts = ", ".join(f"{n} {name}" for n, name in zip(count, classes, strict=True))
    print(f"{len(found)} pictures, {counts}; {len({image.group for image in found})} groups")
    print(sources.left_out_text(not_taken(args.data, [image.path for image in found])))
    if damaged := images.damaged(found):
        print(damage_text(damaged))


def say_of_polyps(args: argparse.Namespace) -> None:
    source, home = sources.recognise(args.data, args.dataset)
    print(sources.describe(source))
    reading = Reading(args.mask, args.damaged)
    frames = sources.find(args.data, source.slug, args.runs / "data" / "videos", reading=reading)
    print(f"\n{home} is {source.slug}:\n{sources.summary(frames)}")
    print(sources.left_out_text(sources.left_out(args.data, frames)))
    if damaged := damaged_frames(frames):
        print(damage_text(damaged))


if __name__ == "__main__":
    run_cli(main)
