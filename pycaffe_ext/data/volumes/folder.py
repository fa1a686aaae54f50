"""Any folder with volumes/ and masks/, or volumes/ and positions.csv: the layout that any data set can be brought into.

A volume is a file (NIfTI, NRRD, MetaImage) or a folder of DICOM slices.  Its patient is the first folder below
volumes/, or the volume itself if it lies in none.  positions.csv has the columns volume,x,y,z: a point in each clot, in
mm in the patient (LPS: x to the left, y to the back, z to the head); a volume without clots has a line with the three
left empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from pycaffe_ext.data.names import by_identifier, identifier, some
from pycaffe_ext.data.sources.folders import ALSO_MASKS, MASKS, child
from pycaffe_ext.data.sources.grouping import groups_table, read_groups
from pycaffe_ext.data.sources.listing import ending, refuse_unread, walk
from pycaffe_ext.data.tables import LINE, read_table
from pycaffe_ext.data.volumes import dicom, image_files
from pycaffe_ext.data.volumes.clots import check_geometry, read_mask
from pycaffe_ext.data.volumes.geometry import Three
from pycaffe_ext.data.volumes.source import VolumeSource
from pycaffe_ext.data.volumes.volume import Volume
from pycaffe_ext.errors import UserError

VOLUMES = ("volumes", "volume", "scans", "ct")
HOMES = (VOLUMES, ("CT_scans",), ("images", "image"))  # where data sets have them, without the masks
POSITIONS = "positions.csv"
AXES = ("x", "y", "z")
Places = dict[str, tuple[Path, ...]]


def find(folder: Path) -> list[Volume]:
    """Its volumes with clots; raises UserError for one without a mask or a line of positions, and the reverse."""
    home = child(folder, *VOLUMES)
    if home is None:
        raise UserError(f"{folder / VOLUMES[0]}: no such folder")
    volumes = grouped([read_volume(name, place, "volumes") for name, place in volumes_in(home).items()], folder)
    masks, table = child(folder, *MASKS, *ALSO_MASKS), folder / POSITIONS
    if masks is not None and table.exists():
        raise UserError(f"{folder}: holds {masks.name}/ and {POSITIONS}; keep one of the two")
    if masks is not None:
        return with_masks(volumes, masks)
    if table.exists():
        return with_positions(volumes, table)
    raise UserError(f"{folder}: no masks/ and no {POSITIONS} beside {home.name}/; one of them says where clots lie")


def volumes_in(home: Path) -> dict[str, Path]:
    """name -> file, or folder of DICOM slices.  A name is the path below `home`, without the ending of a file.

    Raises UserError if there is none, or two share a name.
    """
    found: dict[str, Path] = {}
    for path in _files_and_series(home):
        name = path.relative_to(home).as_posix()
        if not path.is_dir():
            name = name[: -len(ending(path))]
        if name in found:
            raise UserError(f"{path}: same name as {found[name].name}; keep one of the two")
        found[name] = path
    if not found:
        endings = ", ".join(image_files.SUFFIXES)
        raise UserError(f"{home}: no volume in it ({endings}, or folders of DICOM slices)")
    return dict(sorted(found.items()))


def unmarked(folder: Path) -> dict[str, Path]:
    """name -> file or folder of slices of the volumes in a folder that is a series of slices itself, a data set, whose
    masks are not volumes, or any other."""
    if dicom.holds_slices(folder):
        return {folder.resolve().name: folder}
    return volumes_in(next((home for names in HOMES if (home := child(folder, *names)) is not None), folder))


def read_volume(name: str, place: Path, source: str) -> Volume:
    """The volume of a file or of a folder of slices, without clots; its group is the first folder of its name."""
    group = identifier(name.partition("/")[0])
    if place.is_dir():
        series = dicom.read_series(place)
        return Volume(name, group, source, series.files, series.geometry, notes=series.notes)
    return Volume(name, group, source, (place,), image_files.geometry_of(place))


def grouped(volumes: list[Volume], folder: Path) -> list[Volume]:
    """With the groups of `folder`/groups.csv (volume,group), where there is one: the user's word wins."""
    by_identifier((volume.name for volume in volumes), "volume")
    table = groups_table(folder)
    if table is None:
        return volumes
    groups = read_groups(table, [volume.name for volume in volumes], "volume")
    return [replace(volume, group=groups[volume.name]) for volume in volumes]


def with_masks(volumes: list[Volume], home: Path) -> list[Volume]:
    """Each with the mask of its name; sizes and geometries are compared."""
    masks = volumes_in(home)
    names = [volume.name for volume in volumes]
    if bare := sorted(set(names) - masks.keys()):
        raise UserError(f"{home}: no mask of {some(bare)}; a volume without clots needs a mask of zeros")
    if stray := sorted(masks.keys() - set(names)):
        raise UserError(f"{masks[stray[0]]}: no volume of this name; add it or remove the mask")
    found = [replace(volume, mask=masks[volume.name]) for volume in volumes]
    for volume in found:
        check_mask(volume)
    return found


def check_mask(volume: Volume) -> None:
    """Raise UserError unless the mask has the volume's size and geometry; only headers are read."""
    if volume.mask is None:
        return
    if volume.mask.is_dir() or volume.mask.suffix.lower() == ".mat":
        read_mask(volume.mask, volume.geometry, volume.files)
    else:
        check_geometry(volume.mask, image_files.geometry_of(volume.mask), volume.geometry, not volume.same_grid)


def with_positions(volumes: list[Volume], table: Path) -> list[Volume]:
    """Each with the positions of its lines; raises UserError naming the line that does not fit."""
    known = {identifier(alias): volume for volume in volumes for alias in _aliases(volume)}
    found: dict[str, list[Three]] = {}
    for row in read_table(table, ("volume", *AXES)):
        where = f"{table}: line {row[LINE]}"
        if (volume := known.get(row["volume"])) is None:
            raise UserError(f"{where}: no volume {row['volume']!r}; it is named as below volumes/")
        points = found.setdefault(volume.name, [])
        if any(row[axis] for axis in AXES):
            points.append(_point(row, where, volume))
    if bare := sorted({volume.name for volume in volumes} - found.keys()):
        raise UserError(f"{table}: no line for {some(bare)}; a volume without clots has a line with x, y, z left empty")
    return [replace(volume, positions=tuple(found[volume.name])) for volume in volumes]


def _point(row: Mapping[str, str], where: str, volume: Volume) -> Three:
    try:
        x, y, z = (float(row[axis]) for axis in AXES)
    except ValueError:
        raise UserError(f"{where}: x, y, z are numbers in mm, not {[row[axis] for axis in AXES]}") from None
    if not np.isfinite([x, y, z]).all() or not volume.geometry.contains((x, y, z)):
        hint = " (it is with x and y negated: RAS instead of LPS?)" if volume.geometry.contains((-x, -y, z)) else ""
        raise UserError(f"{where}: ({x:g}, {y:g}, {z:g}) mm is not in volume {volume.name}{hint}")
    return x, y, z


def _aliases(volume: Volume) -> tuple[str, ...]:
    first = volume.files[0]
    return (volume.name,) if len(volume.files) > 1 else (volume.name, f"{volume.name}{ending(first)}")


def _files_and_series(home: Path) -> list[Path]:
    """Files that are volumes and folders that hold DICOM slices; UserError for a picture or something unknown."""
    found: set[Path] = set()
    for path in walk(home, None):
        kind = ending(path)
        if kind in image_files.SUFFIXES:
            found.add(path)
        elif path.parent in found or dicom.is_slice(path):
            found.add(path.parent)
        elif kind not in (".raw", ".zraw", ".img") and not path.name.endswith(".raw.gz"):
            refuse_unread(path, (*image_files.SUFFIXES, *dicom.SUFFIXES))
    return sorted(found)


def _look(folder: Path) -> bool:
    if child(folder, *VOLUMES) is None:
        return False
    return child(folder, *MASKS, *ALSO_MASKS) is not None or (folder / POSITIONS).exists()


FOLDER = VolumeSource(
    slug="volumes",
    title="Any folder of CT volumes with clots marked",
    counts="whatever is in it; NIfTI, NRRD, MetaImage, or folders of DICOM slices",
    groups="the first folder below volumes/ (a patient), or the line in groups.csv; else each volume by itself",
    terms="those of the data",
    where="yours; without DATA= a phantom is made in this layout",
    layout="""
FOLDER/
  volumes/NAME.nii.gz      or volumes/PATIENT/NAME.nii.gz; .nrrd, .mha; or NAME/ of slices
  masks/NAME.nii.gz        0 = no clot; one other value: each part a clot; else each value
  positions.csv            instead of masks/: volume,x,y,z, a point in each clot, mm
  groups.csv               if wanted: volume,group and a line for every volume
  splits.csv               if wanted: volume,split with a line for every volume""",
    look=_look,
    read=find,
)
