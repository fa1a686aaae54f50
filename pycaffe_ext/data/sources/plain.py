"""The layout that any data set can be brought into: images/ and masks/ with names that pair (see `pairing`).

Every frame has a mask; an all-black mask marks a frame without polyps. Frames of one video or patient form a group:
they lie in images/GROUP/ (mirrored in masks/GROUP/), also in folders below it, or groups.csv (header `frame,group`)
says so; otherwise a frame is a group of its own.
"""

from __future__ import annotations

from pathlib import Path

from pycaffe_ext.data.frames import Frame, check_sizes
from pycaffe_ext.data.sources.folders import image_folder, mask_folder
from pycaffe_ext.data.sources.grouping import grouped, with_identifiers
from pycaffe_ext.data.sources.pairing import pair
from pycaffe_ext.data.sources.source import Source
from pycaffe_ext.errors import UserError


def find(folder: Path, progress: bool = True) -> list[Frame]:
    """Frames of `folder`, sorted by name, each with its mask and its group.

    Raises UserError if the folder or images/ or masks/ is missing, there is no image, a frame has no mask or a mask
    no frame, two files share a name, an image's header can't be read, the sizes of image and mask differ, or
    groups.csv misses a frame or names an unknown one.
    """
    frames = with_identifiers(sorted(read(folder, None, progress), key=lambda frame: frame.name))
    check_sizes(frames, progress)
    return frames


def look(folder: Path) -> str | None:
    there = [image_folder(folder), mask_folder(folder)]
    if all(there):
        return ""
    return f"{'images/' if there[1] else 'masks/'} is missing" if any(there) else None


def read(folder: Path, _cache: Path | None, _progress: bool) -> list[Frame]:
    images, masks = image_folder(folder), mask_folder(folder)
    if images is None or masks is None:
        missing = folder / ("images" if images is None else "masks") if folder.is_dir() else folder
        raise UserError(f"{missing}: no such folder; a data set is a folder with images/ and masks/")
    pairs = pair(images, masks)
    frames = [Frame(name, *files, _group(name), PLAIN.slug) for name, files in pairs.items()]
    return grouped(frames, folder)


def _group(name: str) -> str:
    return name.partition("/")[0]


PLAIN = Source(
    slug="plain",
    title="Any folder of images and masks",
    counts="whatever is in it; a frame without polyps has an all-black mask",
    groups="the first folder below images/ (a patient, a video), or the line of the frame in groups.csv; else each"
    " frame by itself",
    terms="those of the data",
    where="yours; `make polyp` without DATA= draws a synthetic one",
    layout="""
FOLDER/
  images/NAME.png          or images/GROUP/NAME.png; png, jpg, bmp, tif, webp or gif
  masks/NAME.png           or masks/GROUP/NAME.png; also NAME_mask, gt-NAME ...;
                           or in GT/, Ground Truth/, segmentations/, labels/, annotations/
  groups.csv               if wanted: frame,group and a line for every frame
  splits.csv               if wanted: frame,split with a line for every frame""",
    look=look,
    read=read,
)
