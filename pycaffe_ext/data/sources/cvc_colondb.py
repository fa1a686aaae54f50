"""CVC-ColonDB: 300 frames with masks beside them, or 380 in images/ and masks/, called by their numbers.

Which frame is of which sequence is not published with them. Without groups.csv all frames are one group: such a set
cannot be split, because neighbours of one sequence would stand on both sides.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from pycaffe_ext.data.frames import Frame
from pycaffe_ext.data.names import some
from pycaffe_ext.data.sources.folders import child, image_folder, mask_folder, number, numbered
from pycaffe_ext.data.sources.grouping import grouped
from pycaffe_ext.data.sources.listing import walk
from pycaffe_ext.data.sources.pairing import pair
from pycaffe_ext.data.sources.source import Source
from pycaffe_ext.errors import UserError

LAST = 380
DEPTH = 1  # sub-folders
OTHERS = re.compile(r"[cs]\d+")  # contours, and regions without information


def look(folder: Path) -> str | None:
    if found := numbered(folder, ("colondb", "cvc300"), (300, LAST)):
        return found
    if found == "":
        return ""
    pictures, masks = _beside(folder)
    if pictures and not masks and _has_others(folder):
        return "the masks p1.bmp, p2.bmp, ... are missing"
    return "" if pictures and masks and not child(folder, "Ground Truth") else None


def read(folder: Path, _cache: Path | None, _progress: bool) -> list[Frame]:
    pictures, masks = image_folder(folder), mask_folder(folder)
    pairs = pair(pictures, masks) if pictures and masks else _pair_beside(folder)
    frames = []
    for name, (image, mask) in pairs.items():
        number(name, image, LAST)
        frames.append(Frame(name, image, mask, CVC_COLONDB.slug, CVC_COLONDB.slug))
    return grouped(frames, folder)


def _beside(folder: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """Frames N.bmp and masks pN.bmp by N, wherever they lie below `folder`."""
    paths = list(walk(folder, (".bmp",), DEPTH))
    pictures = {path.stem: path for path in paths if path.stem.isdecimal()}
    return pictures, {path.stem[1:]: path for path in paths if re.fullmatch(r"[pP]\d+", path.stem)}


def _has_others(folder: Path) -> bool:
    return any(OTHERS.fullmatch(path.stem) for path in walk(folder, (".bmp",), DEPTH))


def _pair_beside(folder: Path) -> dict[str, tuple[Path, Path]]:
    pictures, masks = _beside(folder)
    if not pictures:
        raise UserError(f"{folder}: no frames 1.bmp, 2.bmp, ... in it, nor images/ and masks/")
    twice = Counter(path.stem.lower() for path in walk(folder, (".bmp",), DEPTH))
    if again := [f"{stem}.bmp" for stem, count in twice.items() if count > 1]:
        raise UserError(f"{folder}: {some(again)} lie in two of its folders; keep one of each")
    if bare := sorted(pictures.keys() - masks.keys()):
        raise UserError(f"{folder}: no mask for {some(bare)}; it is called p{bare[0]}.bmp")
    if stray := sorted(masks.keys() - pictures.keys()):
        raise UserError(f"{folder}: no frame for masks {some(['p' + name for name in stray])}")
    return {name: (path, masks[name]) for name, path in pictures.items()}


CVC_COLONDB = Source(
    slug="cvc-colondb",
    title="CVC-ColonDB (Bernal et al., Pattern Recognition 2012)",
    counts="300 frames of 15 sequences, or 380 frames in later copies, each with a polyp",
    groups="those of groups.csv; without it all frames are one group, because their sequences are not"
    " published: such a set cannot be split",
    terms="research and education; by request; cite the paper",
    where="mv.cvc.uab.es/projects/colon-qa/cvccolondb",
    layout="""
CVC-ColonDB/
  1.bmp                    in it, or in its sub-folders
  p1.bmp                   its mask; s1.bmp and c1.bmp are not read
  groups.csv               if wanted: frame,group and a line for every frame
or images/1.png and masks/1.png with numbers up to 380""",
    look=look,
    read=read,
)
