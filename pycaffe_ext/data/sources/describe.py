"""The data sets in words, for `make data-help`."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np

from pycaffe_ext.data.frames import Frame, map_frames, read_mask
from pycaffe_ext.data.sources.source import About

NOTE = "A data set's own page has the last word on its terms; read it before you use or publish anything."
WIDTH = 100
INDENT = 10


def describe(source: About) -> str:
    """A data set's name, size, groups, terms, place and layout, in lines of at most 100 columns."""
    facts = {"frames": source.counts, "groups": source.groups, "terms": source.terms, "where": source.where}
    lines = [f"{source.slug}: {source.title}", *(_fact(*fact) for fact in facts.items())]
    drawing = source.layout.strip("\n").splitlines()
    return "\n".join([*lines, *(f"  {'layout' if not i else '':8}{line}" for i, line in enumerate(drawing))])


def summary(frames: Sequence[Frame], progress: bool = True) -> str:
    """How many frames there are, with and without polyps, in how many groups; reads all masks."""
    shown = map_frames(lambda frame: bool(read_mask(frame).any()), frames, "reading masks", progress)
    polyps, bare = int(np.sum(shown)), sum(frame.mask is None for frame in frames)
    groups = len({frame.group for frame in frames})
    without = f"{len(frames) - polyps} without" + (f" ({bare} of them without a mask)" if bare else "")
    alone = "each frame by itself" if groups == len(frames) else f"{len(frames) / groups:.0f} frames each on average"
    return f"{len(frames)} frames, {polyps} with polyps, {without}; {groups} group{'s' * (groups > 1)} ({alone})"


def _fact(title: str, text: str) -> str:
    return textwrap.fill(f"  {title:8}{text}", WIDTH, subsequent_indent=" " * INDENT, break_on_hyphens=False)
