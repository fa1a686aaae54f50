"""ETIS-Larib: 196 frames of 34 sequences, called by their numbers; masks are called alike, or with a p before.

Which frame is of which sequence is not published with them. Without groups.csv all frames are one group: such a set
cannot be split, because neighbours of one sequence would stand on both sides.
"""

from __future__ import annotations

from pathlib import Path

from pycaffe_ext.data.frames import Frame
from pycaffe_ext.data.sources.folders import child, image_folder, mask_folder, number, numbered
from pycaffe_ext.data.sources.grouping import grouped
from pycaffe_ext.data.sources.listing import walk
from pycaffe_ext.data.sources.pairing import pair
from pycaffe_ext.data.sources.source import Source
from pycaffe_ext.errors import UserError

LAST = 196
FRAMES = ("ETIS-LaribPolypDB", "ETIS-Larib", "ETIS")
MASKS = ("Ground Truth", "GroundTruth", "GT")


def look(folder: Path) -> str | None:
    frames, masks = child(folder, *FRAMES), child(folder, *MASKS)
    if frames and masks:
        return ""
    if frames and any(walk(frames, depth=0)) and image_folder(folder) is None:
        return "'Ground Truth/' is missing"
    return numbered(folder, ("etis", "larib"), (LAST,))


def read(folder: Path, _cache: Path | None, _progress: bool) -> list[Frame]:
    pictures = child(folder, *FRAMES) or image_folder(folder)
    masks = child(folder, *MASKS) or mask_folder(folder)
    if not pictures or not masks:
        raise UserError(f"{folder}: no ETIS-LaribPolypDB/ and 'Ground Truth/' in it, nor images/ and masks/")
    frames = []
    for name, (image, mask) in pair(pictures, masks).items():
        number(name, image, LAST)
        frames.append(Frame(name, image, mask, ETIS_LARIB.slug, ETIS_LARIB.slug))
    return grouped(frames, folder)


ETIS_LARIB = Source(
    slug="etis-larib",
    title="ETIS-Larib Polyp DB (Silva et al., IJCARS 2014)",
    counts="196 frames of 34 sequences with 44 polyps, each with a polyp",
    groups="those of groups.csv; without it all frames are one group, because their sequences are not"
    " published: such a set cannot be split",
    terms="research and education; cite the paper",
    where="polyp.grand-challenge.org/ETISLarib",
    layout="""
ETIS-Larib/
  ETIS-LaribPolypDB/1.tif
  Ground Truth/p1.tif      or Ground Truth/1.tif
  groups.csv               if wanted: frame,group and a line for every frame
or images/1.png and masks/1.png with the same numbers""",
    look=look,
    read=read,
)
