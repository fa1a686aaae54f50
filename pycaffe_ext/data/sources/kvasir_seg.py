"""Kvasir-SEG: single frames with a polyp each, as JPEG with JPEG masks, or scaled copies of them with other masks."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from pycaffe_ext.data.frames import Frame
from pycaffe_ext.data.sources import plain
from pycaffe_ext.data.sources.folders import image_folder, plain_name
from pycaffe_ext.data.sources.grouping import groups_table
from pycaffe_ext.data.sources.listing import walk
from pycaffe_ext.data.sources.source import Source

BOXES = ("kavsir_bboxes.json", "kvasir_bboxes.json")  # the first is how its authors spell it
TUNING = 0.2  # the detector's settings are chosen on frames of this data set
NAME = re.compile(r"c[jk][a-z0-9]{23}")  # all of its frames are called so
MIXED = (  # such as the collections of Kvasir-SEG and CVC-ClinicDB that networks for segmentation are trained on
    "other frames are among its own: where some are of one video, say in groups.csv which; if none are, DATASET=plain"
)


def look(folder: Path) -> str | None:
    boxes = any((folder / name).is_file() for name in BOXES)
    named = "kvasirseg" in plain_name(folder.name)
    share = _share_named_so(folder)
    if not (boxes or named or share) or (folder / "bounding-boxes.json").exists():
        return None
    if 0 < share < 1:
        return None if groups_table(folder) else MIXED
    found = plain.look(folder)
    return "images/ and masks/ are missing" if boxes and found is None else found


def read(folder: Path, cache: Path | None, progress: bool) -> list[Frame]:
    return [replace(frame, source=KVASIR_SEG.slug) for frame in plain.read(folder, cache, progress)]


def _share_named_so(folder: Path) -> float:
    pictures = image_folder(folder)
    named = [bool(NAME.fullmatch(path.stem)) for path in walk(pictures)] if pictures else []
    return sum(named) / len(named) if named else 0


KVASIR_SEG = Source(
    slug="kvasir-seg",
    title="Kvasir-SEG (Jha et al., MMM 2020)",
    counts="1000 frames, each with at least one polyp",
    groups="each frame by itself: no video or patient is given; near-duplicates are joined when the set is split",
    terms="research and education; cite the paper",
    where="datasets.simula.no/kvasir-seg",
    layout="""
Kvasir-SEG/
  images/cju0qkwl35piu0993l0dewei2.jpg
  masks/cju0qkwl35piu0993l0dewei2.jpg  or .png
  kavsir_bboxes.json                   not needed""",
    look=look,
    read=read,
    tuning=TUNING,
)
