"""Print the data sets that are read: layouts, groups, terms and where to get them; or say what a folder holds."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pycaffe_ext.data import frame_sets, images, sources
from pycaffe_ext.data.frames import damaged_frames
from pycaffe_ext.data.reading import HELP, Reading
from pycaffe_ext.data.sources.listing import not_taken
from pycaffe_ext.errors import UserError, known, run_cli
from pycaffe_ext.files import user_path
from pycaffe_ext.runs.summary import damage_text

FOLDERS = """For `make folder`: any folder with a sub-folder for each of 2 to 100 classes
  layout  FOLDER/
            CLASS/NAME.jpg           or CLASS/PATIENT/NAME.jpg; every picture that OpenCV or Pillow reads
            groups.csv               if wanted: frame,group (a patient) and a line for every picture
            splits.csv               if wanted: frame,split (train, val, test) and a line for every picture"""


def main() -> None:
    every = {**sources.SOURCES, **frame_sets.SOURCES}
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
        print(
            "For `make polyp`: frames with masks of their polyps",
            *map(sources.describe, sources.SOURCES.values()),
            sep="\n\n",
        )
        print(
            "\nFor `make frames`: frames that are informative or not",
            *map(sources.describe, frame_sets.SOURCES.values()),
            sep="\n\n",
        )
        print("", FOLDERS, sources.NOTE, sep="\n\n")


def say_what_it_is(args: argparse.Namespace) -> None:
    """Print which layout a folder has and what is in it, as polyp frames, or else as informative and other frames."""
    of_frames = args.dataset in frame_sets.SOURCES
    if args.dataset is None and not _recognised(sources.recognise, args.data):
        of_frames = _recognised(frame_sets.recognise, args.data)
    (say_of_frames if of_frames else say_of_polyps)(args)


def _recognised(recognise: Callable[[Path], object], folder: Path) -> bool:
    try:
        recognise(folder)
    except UserError:
        return False
    return True


def say_of_frames(args: argparse.Namespace) -> None:
    found = frame_sets.find(args.data, args.dataset, args.damaged == "keep")
    count = np.bincount([image.label for image in found.images], minlength=len(frame_sets.CLASSES))
    counts = ", ".join(f"{n} {name}" for n, name in zip(count, frame_sets.CLASSES, strict=True))
    print(sources.describe(found.source))
    print(f"\n{found.folder} is {found.source.slug}:")
    print(f"{len(found.images)} frames, {counts}; {len({image.group for image in found.images})} groups")
    print(sources.left_out_text(not_taken(args.data, [image.path for image in found.images])))
    if damaged := images.damaged(found.images):
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
