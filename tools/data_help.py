"""Print the data sets that are read: layouts, groups, terms and where to get them; or say what a folder holds."""

from __future__ import annotations

import argparse
from pathlib import Path

from pycaffe_ext.data import sources
from pycaffe_ext.data.frames import damaged_frames
from pycaffe_ext.data.reading import HELP, Reading
from pycaffe_ext.errors import known, run_cli
from pycaffe_ext.files import user_path
from pycaffe_ext.runs.summary import damage_text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", help=f"one of {', '.join(sources.SOURCES)}")
    parser.add_argument("--data", type=user_path, help="a folder: say what it is recognised as, and count its frames")
    for name, text in HELP.items():
        parser.add_argument(f"--{name}", default=getattr(Reading, name), help=text)
    parser.add_argument("--runs", type=user_path, default=Path("runs"), help="gets frames of videos (default: runs)")
    args = parser.parse_args()
    slugs = [known(args.dataset, sources.SOURCES, "data set")] if args.dataset else list(sources.SOURCES)
    if not args.data:
        print(*(sources.describe(sources.SOURCES[slug]) for slug in slugs), sources.NOTE, sep="\n\n")
        return
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
