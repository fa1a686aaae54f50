"""Millimetres a pixel of a single picture, wherever the data sets that are read say it."""

from __future__ import annotations

from pathlib import Path

from pycaffe_ext.data.boundaries import cubs, ucy
from pycaffe_ext.data.boundaries.folder import CALIBRATION, EVERY, calibration_of
from pycaffe_ext.data.boundaries.reading import DICOM, stated_spacing
from pycaffe_ext.data.sources.folders import IMAGES, child, plain_name
from pycaffe_ext.errors import UserError

LEVELS = 3  # folders above a picture where its calibration.csv may lie


def spacing_of(path: Path) -> float:
    """Of a picture, from calibration.csv, its DICOM header, the .scl file or the CF/ID_CF.txt that belongs to it.

    Raises UserError, naming the picture, if none says it.
    """
    if (stated := _calibrated(path)) is not None:
        return stated
    if path.suffix.lower() in DICOM:
        return stated_spacing(path)
    points = path.with_suffix(ucy.POINTS)
    if path.suffix.lower() == ucy.IMAGE and points.exists():
        return ucy.read_scl(points).mm_per_pixel
    factors = child(path.parent.parent, "CF")
    if factors is not None and (factor := factors / f"{path.stem}_CF.txt").exists():
        return cubs.read_factor(factor)
    raise UserError(
        f"{path}: no mm per pixel; write {CALIBRATION} beside it with the header frame,mm_per_pixel and a line for"
        f" {path.stem}, or for {EVERY}, all pictures"
    )


def _calibrated(path: Path) -> float | None:
    """What the nearest calibration.csv says of it, if there is one."""
    for folder in list(path.absolute().parents)[:LEVELS]:
        table = folder / CALIBRATION
        if table.exists():
            inside = path.absolute().relative_to(folder)
            below = inside.relative_to(inside.parts[0]) if plain_name(inside.parts[0]) in IMAGES else inside
            stated = calibration_of(table)
            names = [str(name.with_suffix("")) for name in (below, inside)] + [str(below), str(inside), EVERY]
            return next((stated[name] for name in names if name in stated), None)
    return None
