"""Any folder with images/, boundaries/NAME.csv and mm per pixel: the layout that any data set can be brought into.

boundaries/NAME.csv has the columns boundary,x,y: LI or MA and a point in pixels, 0 the middle of the first pixel; with
the columns width,height the size of the image is checked.  calibration.csv has frame,mm_per_pixel, with a line for
every image, or one for the frame `*`, which stands for all that have none of their own.  A DICOM file needs no line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pycaffe_ext.data.assigned import rows
from pycaffe_ext.data.boundaries.curves import BOUNDARIES, Points, check_points, points_of
from pycaffe_ext.data.boundaries.image import WallImage
from pycaffe_ext.data.boundaries.reading import DICOM, SUFFIXES, size_of, stated_spacing
from pycaffe_ext.data.boundaries.source import WallSource
from pycaffe_ext.data.names import identifier, some
from pycaffe_ext.data.sources import listing
from pycaffe_ext.data.sources.folders import IMAGES, child, plain_name
from pycaffe_ext.data.sources.grouping import groups_table, read_groups
from pycaffe_ext.data.tables import LINE, read_table
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import write_csv

CALIBRATION, EVERY = "calibration.csv", "*"
WORDS = {  # as `plain_name` makes them
    "LI": ("li", "lumenintima", "lumenintimainterface", "intima"),
    "MA": ("ma", "mediaadventitia", "mediaadventitiainterface", "media", "adventitia"),
}
MOST = 1.0  # mm per pixel; ultrasound of an artery has about 0.06


def find(folder: Path) -> list[WallImage]:
    """Its images; raises UserError for one without boundaries or spacing, and for boundaries without an image."""
    pictures, drawn = child(folder, *IMAGES), child(folder, "boundaries")
    if pictures is None or drawn is None:
        raise UserError(f"{folder / ('images' if pictures is None else 'boundaries')}: no such folder")
    images, tables = listing.images(pictures, SUFFIXES), listing.files(drawn, (".csv",))
    _check_paired(drawn, images, tables)
    spacing = spacings(images, folder / CALIBRATION)
    table = groups_table(folder)
    groups = read_groups(table, list(images)) if table else {name: identifier(_group(name)) for name in images}
    found = []
    for name, path in images.items():
        li, ma = read_boundaries(tables[name], size_of(path))
        found.append(WallImage(name, groups[name], FOLDER.slug, path, spacing[name], li, ma))
    return found


def read_boundaries(table: Path, size: tuple[int, int]) -> tuple[Points, Points]:
    """Points of LI and of MA; size : (height, width) of the image.  Raises UserError that names the line."""
    points: dict[str, list[tuple[float, float]]] = {kind: [] for kind in BOUNDARIES}
    for row in read_table(table, ("boundary", "x", "y")):
        kind = _kind(row["boundary"], f"{table}: line {row[LINE]}")
        points[kind].append((_number(table, row, "x"), _number(table, row, "y")))
        _check_size(table, row, size)
    found = [points_of(*zip(*points[kind], strict=True)) if points[kind] else () for kind in BOUNDARIES]
    try:
        check_points(found[0], found[1], size)
    except ValueError as error:
        raise UserError(f"{table}: {error}") from None
    return found[0], found[1]


def spacings(images: Mapping[str, Path], table: Path) -> dict[str, float]:
    """name -> mm per pixel: of the image's line in `table`, else as its DICOM file states it, else of the line `*`."""
    stated = _calibration(table, images) if table.exists() else {}
    found = {}
    for name, path in images.items():
        if name in stated:
            found[name] = stated[name]
        elif path.suffix.lower() in DICOM:
            found[name] = stated[EVERY] if EVERY in stated else stated_spacing(path)
        elif EVERY in stated:
            found[name] = stated[EVERY]
        else:
            raise UserError(
                f"{path}: no mm per pixel; write {table} with the header frame,mm_per_pixel and a line for {name}, or"
                f" for {EVERY}, all images"
            )
    return found


def _calibration(table: Path, images: Mapping[str, Path]) -> dict[str, float]:
    called = {identifier(alias): name for name, path in images.items() for alias in (name, f"{name}{path.suffix}")}
    found: dict[str, float] = {}
    for frame, row in rows(table, ("mm_per_pixel",)):
        name = EVERY if frame == EVERY else called.get(frame)
        if name is None:
            raise UserError(f"{table}: line {row[LINE]}: no image {frame!r}; a frame is named as below images/")
        if name in found:
            raise UserError(f"{table}: line {row[LINE]}: {frame!r} is listed twice")
        found[name] = _millimetres(table, row)
    return found


def calibration_of(table: Path) -> dict[str, float]:
    """frame -> mm per pixel of every line, named as it stands there."""
    return {frame: _millimetres(table, row) for frame, row in rows(table, ("mm_per_pixel",))}


def _millimetres(table: Path, row: Mapping[str, str]) -> float:
    found = _number(table, row, "mm_per_pixel")
    if not 0 < found < MOST:
        raise UserError(f"{table}: line {row[LINE]}: {found:g} mm per pixel; expected 0 to {MOST:g}")
    return found


def _check_paired(drawn: Path, images: Mapping[str, Path], tables: Mapping[str, Path]) -> None:
    if missing := sorted(images.keys() - tables.keys()):
        raise UserError(f"{drawn}: no boundaries of {some(missing)}; expected {missing[0]}.csv with boundary,x,y")
    if unknown := sorted(tables.keys() - images.keys()):
        raise UserError(f"{tables[unknown[0]]}: no image of this name")


def _kind(word: str, where: str) -> str:
    plain = plain_name(word)
    for kind, words in WORDS.items():
        if plain in words:
            return kind
    raise UserError(f"{where}: boundary {word!r} is not known; write LI (lumen-intima) or MA (media-adventitia)")


def _number(table: Path, row: Mapping[str, str], column: str) -> float:
    try:
        return float(row[column])
    except ValueError:
        raise UserError(f"{table}: line {row[LINE]}: {column} {row[column]!r} is not a number") from None


def _check_size(table: Path, row: Mapping[str, str], size: tuple[int, int]) -> None:
    for column, side in zip(("height", "width"), size, strict=True):
        if row.get(column) and _number(table, row, column) != side:
            raise UserError(
                f"{table}: drawn on an image with {column} {row[column]}, this one has {side}; scale the points"
            )


def _group(name: str) -> str:
    return name.partition("/")[0]


def _look(folder: Path) -> bool:
    return child(folder, *IMAGES) is not None and child(folder, "boundaries") is not None


def write_boundaries(path: Path, points: Sequence[tuple[str, float, float]], size: tuple[int, int]) -> None:
    """A table that `read_boundaries` reads.  points : (boundary, x, y) of each point.   size : (height, width)"""
    height, width = size
    lines = [(kind, f"{x:g}", f"{y:.4f}", width, height) for kind, x, y in points]
    write_csv(path, ("boundary", "x", "y", "width", "height"), lines)


FOLDER = WallSource(
    slug="walls",
    title="Any folder of images and boundaries",
    counts="whatever is in it; pictures in grey, or DICOM files of one frame",
    groups="the first folder below images/ (a patient), or the line of the image in groups.csv; else each image by"
    " itself",
    terms="those of the data",
    where="yours; without DATA= a phantom is made in this layout",
    layout="""
FOLDER/
  images/NAME.png          or images/PATIENT/NAME.png; also .dcm
  boundaries/NAME.csv      boundary,x,y: LI (lumen-intima) or MA (media-adventitia)
  calibration.csv          frame,mm_per_pixel; * is every other frame; none for DICOM
  groups.csv               if wanted: frame,group and a line for every image
  splits.csv               if wanted: frame,split with a line for every image""",
    look=_look,
    read=find,
)
