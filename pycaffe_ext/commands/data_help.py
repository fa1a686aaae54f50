"""Print the data sets that are read: layouts, groups, terms and where to get them; or say what a folder holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pycaffe_ext.command_line.parsing import parse


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse("data-help", arguments)
    from pycaffe_ext.data import sources
    from pycaffe_ext.errors import known

    if options["data"]:
        _describe_folder(Path(options["data"]), options)
        return
    given = options["dataset"]
    slugs = [known(given, sources.SOURCES, "data set")] if given else list(sources.SOURCES)
    print(*(sources.describe(sources.SOURCES[slug]) for slug in slugs), sources.NOTE, sep="\n\n")


def _describe_folder(folder: Path, options: Mapping[str, Any]) -> None:
    """Print what the folder is recognised as, how many frames it holds, and what is left out or damaged."""
    from pycaffe_ext.data import sources
    from pycaffe_ext.data.frames import damaged_frames
    from pycaffe_ext.data.reading import Reading
    from pycaffe_ext.runs.summary import damage_text

    source, home = sources.recognise(folder, options["dataset"])
    print(sources.describe(source))
    reading = Reading(options["mask"], options["damaged"])
    frames = sources.find(folder, source.slug, Path(options["runs"]) / "data" / "videos", reading=reading)
    print(f"\n{home} is {source.slug}:\n{sources.summary(frames)}")
    print(sources.left_out_text(sources.left_out(folder, frames)))
    if damaged := damaged_frames(frames):
        print(damage_text(damaged))
