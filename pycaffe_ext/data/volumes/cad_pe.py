"""CAD-PE (Gonzalez Serrano 2019): NRRD volumes with reference standards that have a value for each clot.

images/001.nrrd belongs to rs/0001RefStd.nrrd (the number is written with four digits there), images/e0032.nrrd to
rs/e0032RefStd.nrrd.  The challenge judges detections by voxel index, so masks belong to volumes voxel by voxel and
their headers are not compared.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from pycaffe_ext.data.names import some
from pycaffe_ext.data.sources.folders import child
from pycaffe_ext.data.sources.listing import walk
from pycaffe_ext.data.volumes.folder import check_mask, grouped, read_volume
from pycaffe_ext.data.volumes.source import VolumeSource
from pycaffe_ext.data.volumes.volume import Volume
from pycaffe_ext.errors import UserError

IMAGES, TRUTH = ("images", "image"), ("rs", "label", "labels")
REFERENCE = re.compile(r"(.+)RefStd", re.IGNORECASE)


def find(folder: Path) -> list[Volume]:
    """Its volumes with their masks; raises UserError for one that lacks either."""
    images, truth = _volumes(folder), _references(folder)
    if bare := sorted(images.keys() - truth.keys()):
        raise UserError(f"{folder}: no reference standard of {some([images[key].name for key in bare])}")
    if stray := sorted(truth.keys() - images.keys()):
        raise UserError(f"{truth[stray[0]]}: no volume of this number")
    volumes = [
        replace(read_volume(path.stem, path, CAD_PE.slug), mask=truth[key], same_grid=True)
        for key, path in images.items()
    ]
    for volume in volumes:
        check_mask(volume)
    return grouped(volumes, folder)


def _volumes(folder: Path) -> dict[str, Path]:
    home = child(folder, *IMAGES)
    found = list(walk(home, (".nrrd",), depth=0)) if home else []
    return _by_key(found, [path.stem for path in found])


def _references(folder: Path) -> dict[str, Path]:
    home = child(folder, *TRUTH)
    found = list(walk(home, (".nrrd",), depth=0)) if home else []
    matches = [(path, REFERENCE.fullmatch(path.stem)) for path in found]
    return _by_key([path for path, match in matches if match], [match[1] for _, match in matches if match])


def _by_key(paths: list[Path], names: list[str]) -> dict[str, Path]:
    """Paths by their number without zeros before it: 001 and 0001 are the same."""
    found: dict[str, Path] = {}
    for path, name in zip(paths, names, strict=True):
        key = re.sub(r"(?<!\d)0+(?=\d)", "", name.lower())
        if key in found:
            raise UserError(f"{path}: the same number as {found[key].name}; keep one of the two")
        found[key] = path
    return found


def _look(folder: Path) -> bool:
    return child(folder, *IMAGES) is not None and bool(_references(folder))


CAD_PE = VolumeSource(
    slug="cad-pe",
    title="CAD-PE (Gonzalez Serrano, IEEE DataPort 2019)",
    counts="91 volumes with a reference standard",
    groups="each volume by itself, unless groups.csv says which patients are in several",
    terms="those of IEEE DataPort",
    where="ieee-dataport.org/open-access/cad-pe",
    layout="""
FOLDER/
  images/001.nrrd          the volume
  rs/0001RefStd.nrrd       its mask: a value for each clot
  groups.csv               if wanted: volume,group and a line for every volume""",
    look=_look,
    read=find,
)
