"""The IMT segmentation database of the University of Cyprus (Loizou et al. 2007): .CRI images, .scl points.

A .scl file is MATLAB's, version 5: `Param_3` x and `Param_4` y of the points as MATLAB counts pixels (from 1), in
pairs lumen-intima, media-adventitia; `scale` in mm per pixel; `imt_thikn` the mean distance of the pairs in mm, which
was stored when the expert saved the points of this image.

Some files hold the points of another image: their thickness is 0 or does not fit.  `stale` finds them; they are left
out, because what they say of the image is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pycaffe_ext.data.boundaries.curves import Points, check_points, points_of
from pycaffe_ext.data.boundaries.image import WallImage
from pycaffe_ext.data.boundaries.reading import size_of
from pycaffe_ext.data.boundaries.source import WallSource
from pycaffe_ext.data.items import Floats
from pycaffe_ext.data.sources.grouping import groups_table, read_groups
from pycaffe_ext.data.sources.listing import by_stem, walk
from pycaffe_ext.errors import UserError

IMAGE, POINTS = ".cri", ".scl"
FITS = 0.01  # of the stored thickness, by which the points' own may differ
DATE_TIME = 306  # TIFF's tag
SCALES = (0.01, 0.5)  # mm per pixel that a scanner's image can have


@dataclass(frozen=True)
class Reading:
    """li, ma : points from 0.   mm_per_pixel : from the file.   stored, own : mean distance of the pairs in mm."""

    li: Points
    ma: Points
    mm_per_pixel: float
    stored: float
    own: float

    @property
    def stale(self) -> bool:
        """The stored thickness is not that of the points: they belong to another image."""
        return not abs(self.stored - self.own) <= FITS * self.own


def find(folder: Path, keep_stale: bool = False) -> list[WallImage]:
    """Its images with points.  keep_stale : also those with the points of another image.

    Groups are those of groups.csv, else all exams of a day, which the images state, are one group.
    """
    pairs = _pairs(folder)
    table = groups_table(folder)
    groups = read_groups(table, list(pairs)) if table else {name: _day(image) for name, (image, _) in pairs.items()}
    images = []
    for name, (image, scl) in pairs.items():
        reading = read_scl(scl)
        if reading.stale and not keep_stale:
            continue
        try:
            check_points(reading.li, reading.ma, size_of(image))
        except ValueError as error:
            raise UserError(f"{scl}: {error}") from None
        images.append(WallImage(name, groups[name], UCY.slug, image, reading.mm_per_pixel, reading.li, reading.ma))
    return images


def read_scl(path: Path) -> Reading:
    """The points of a .scl file; raises UserError for a file that is not one, or without a scale."""
    fields = _fields(path)
    x, y = fields["Param_3"] - 1, fields["Param_4"] - 1
    if x.size != y.size or x.size % 2:
        raise UserError(f"{path}: {x.size} x and {y.size} y; pairs of lumen-intima and media-adventitia are needed")
    scale, stored = (float(fields[name].sum()) for name in ("scale", "imt_thikn"))
    if not SCALES[0] <= scale <= SCALES[1]:
        raise UserError(f"{path}: a scale of {scale:g} mm per pixel; expected {SCALES[0]} to {SCALES[1]}")
    own = float(np.hypot(x[::2] - x[1::2], y[::2] - y[1::2]).mean() * scale) if x.size else 0.0
    return Reading(points_of(x[::2], y[::2]), points_of(x[1::2], y[1::2]), scale, stored, own)


def _fields(path: Path) -> dict[str, Floats]:
    from scipy.io import loadmat  # here: it takes a while to load

    names = ("Param_3", "Param_4", "scale", "imt_thikn")
    try:
        content: dict[str, Any] = loadmat(path)
        return {name: np.asarray(content[name], np.float64).ravel() for name in names}
    except KeyError as error:
        raise UserError(f"{path}: no field {error.args[0]} in it; it is no file of points and scale") from None
    except OSError:
        raise
    except Exception:  # SciPy raises what its parser stumbles over
        raise UserError(f"{path}: not a MATLAB file, or cut off; download it again") from None


def _pairs(folder: Path) -> dict[str, tuple[Path, Path]]:
    """name -> (.CRI, .scl)"""
    found = {kind: by_stem(walk(folder, (kind,), depth=0)) for kind in (IMAGE, POINTS)}
    for name in sorted(found[IMAGE].keys() ^ found[POINTS].keys()):
        lacks = POINTS if name in found[IMAGE] else IMAGE
        raise UserError(f"{folder / name}{lacks}: missing beside {name}{IMAGE if lacks == POINTS else POINTS}")
    return {name: (image, found[POINTS][name]) for name, image in sorted(found[IMAGE].items())}


def _day(image: Path) -> str:
    """The day of the exam as the scanner wrote it; a group of its own where it wrote none."""
    import tifffile

    try:
        with tifffile.TiffFile(image) as file:
            first: Any = file.pages.first
            tag = first.tags.get(DATE_TIME)
            return f"day-{str(tag.value)[:10].replace(':', '-')}" if tag else image.stem
    except Exception:
        raise UserError(f"{image}: not a TIFF file, or cut off; download it again") from None


def _look(folder: Path) -> bool:
    def holds(kind: str) -> Sequence[Path]:
        return list(walk(folder, (kind,), depth=0))

    return bool(holds(IMAGE) and holds(POINTS))


UCY = WallSource(
    slug="ucy-imt",
    title="IMT segmentation database, University of Cyprus (Loizou et al. 2007)",
    counts="100 images by its description; those with another image's points (thickness does not fit) are left out",
    groups="groups.csv, else the day of the exam, from the image's file; identical images are joined",
    terms="use, copy, modify and distribute for any purpose with its notice; acknowledge the University of Cyprus",
    where="www.medinfo.cs.ucy.ac.cy",
    layout="""
FOLDER/
  NAME.CRI                 the image, a TIFF
  NAME.scl                 points and scale, a MATLAB file
  groups.csv               if wanted: frame,group and a line for every image""",
    look=_look,
    read=find,
)
