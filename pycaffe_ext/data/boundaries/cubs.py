"""Carotid Ultrasound Boundary Study (CUBS): the clinical set of 2021 and the technical one of 2022, as distributed.

An image ID.tiff has the profiles ID-LI.txt and ID-MA.txt of each analyst, and its calibration in CF/ID_CF.txt, one
number, mm per pixel.  A profile is text: two lines, all x and then all y, or a line for each point.  Coordinates are
taken as MATLAB counts pixels, from 1.  Written after the published descriptions, not after the files themselves.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from pycaffe_ext.data.boundaries.curves import BOUNDARIES, Points, check_points, points_of
from pycaffe_ext.data.boundaries.image import WallImage
from pycaffe_ext.data.boundaries.reading import size_of
from pycaffe_ext.data.boundaries.source import WallSource
from pycaffe_ext.data.sources.folders import child, plain_name, subfolders
from pycaffe_ext.data.sources.grouping import groups_table, read_groups
from pycaffe_ext.data.sources.listing import by_stem, walk
from pycaffe_ext.errors import UserError

ANALYST = "Manual-A1"  # the first expert, whom the study compares everything with
CLINICAL = re.compile(r"(clin_\d+)_[LR]", re.IGNORECASE)
TECHNICAL = re.compile(r"tech_\d+", re.IGNORECASE)
PROFILES = {"SEGMENTATIONS": CLINICAL, "LIMA-Profiles": TECHNICAL}
TIFF = (".tif", ".tiff")


def find(folder: Path, analyst: str = ANALYST) -> list[WallImage]:
    """Images with the boundaries of `analyst`; those that the analyst did not draw are left out."""
    home, images = _profiles(folder, analyst), _images(folder)
    factors = child(folder, "CF")
    if factors is None:
        raise UserError(f"{folder / 'CF'}: missing; it holds the calibration, ID_CF.txt for each image")
    table = groups_table(folder)
    groups = read_groups(table, list(images)) if table else {name: _patient(name) for name in images}
    found = []
    for name, path in images.items():
        files = [home / f"{name}-{kind}.txt" for kind in BOUNDARIES]
        if not any(file.exists() for file in files):
            continue
        if missing := [file for file in files if not file.exists()]:
            raise UserError(f"{missing[0]}: missing; both boundaries are needed")
        li, ma = (read_profile(file) for file in files)
        try:
            check_points(li, ma, size_of(path))
        except ValueError as error:
            raise UserError(f"{files[0]}: {error}") from None
        found.append(
            WallImage(name, groups[name], _slug(folder), path, read_factor(factors / f"{name}_CF.txt"), li, ma)
        )
    if not found:
        raise UserError(f"{home}: no profiles of an image (ID-LI.txt and ID-MA.txt)")
    return found


def read_profile(path: Path) -> Points:
    """Points, from 0, of a profile."""
    try:
        lines = [[float(word) for word in re.split(r"[\s,;]+", line.strip())] for line in _lines(path)]
        table = np.array(lines, np.float64)
    except ValueError:
        raise UserError(f"{path}: expected two lines of numbers, x and y, or a line for each point") from None
    table = table.T if table.shape[0] == 2 else table
    if table.ndim != 2 or table.shape[1] != 2 or len(table) < 2:
        raise UserError(f"{path}: expected two lines of numbers, x and y, or a line for each point")
    return points_of(table[:, 0] - 1, table[:, 1] - 1)


def read_factor(path: Path) -> float:
    """Millimetres a pixel; raises UserError for a file that is missing or states none."""
    if not path.exists():
        raise UserError(f"{path}: missing; it is the image's calibration, mm per pixel")
    try:
        (line,) = _lines(path)
        factor = float(line)
    except ValueError:
        raise UserError(f"{path}: expected one number, mm per pixel") from None
    if not 0 < factor < 1:
        raise UserError(f"{path}: {factor:g} mm per pixel cannot be; expected about 0.06")
    return factor


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines() if line.strip()]


def _home(folder: Path) -> Path | None:
    return next((place for name in PROFILES if (place := child(folder, name)) is not None), None)


def _profiles(folder: Path, analyst: str) -> Path:
    home = _home(folder)
    place = child(home, analyst) if home else None
    if place is None:
        there = ", ".join(path.name for path in subfolders(home)) if home else "nothing"
        raise UserError(f"{home or folder}: no profiles of {analyst} in it, but {there or 'nothing'}")
    return place


def _images(folder: Path) -> dict[str, Path]:
    place = child(folder, "images")
    found = by_stem(walk(place, TIFF, depth=0)) if place else {}
    for name in found:
        if not (CLINICAL.fullmatch(name) or TECHNICAL.fullmatch(name)):
            raise UserError(f"{found[name]}: images of CUBS are called clin_NUMBER_L, clin_NUMBER_R or tech_NUMBER")
    return dict(sorted(found.items()))


def _patient(name: str) -> str:
    match = CLINICAL.fullmatch(name)
    return match[1] if match else name


def _slug(folder: Path) -> str:
    home = _home(folder)
    return CLINICAL_SET.slug if home and plain_name(home.name) == "segmentations" else TECHNICAL_SET.slug


def _look(profiles: str, folder: Path) -> bool:
    place = child(folder, "images")
    first = next(walk(place, TIFF, depth=0), None) if place else None
    pattern = PROFILES[profiles]
    return first is not None and bool(pattern.fullmatch(first.stem)) and child(folder, profiles) is not None


CLINICAL_SET = WallSource(
    slug="cubs-clinical",
    title="CUBS, clinical set (Meiburger et al., Ultrasound in Medicine and Biology 2021)",
    counts="2176 images of 1088 patients, left and right; boundaries by three analysts, the first (Manual-A1) is taken",
    groups="the patient, from the image's name, or groups.csv",
    terms="CC BY 4.0; cite the paper",
    where="data.mendeley.com/datasets/fpv535fss7",
    layout="""
FOLDER/
  IMAGES/clin_0001_L.tiff
  SEGMENTATIONS/Manual-A1/clin_0001_L-LI.txt  clin_0001_L-MA.txt
  CF/clin_0001_L_CF.txt    mm per pixel""",
    look=lambda folder: _look("SEGMENTATIONS", folder),
    read=find,
)
TECHNICAL_SET = WallSource(
    slug="cubs-technical",
    title="CUBS, technical set (Meiburger et al., Computers in Biology and Medicine 2022)",
    counts="500 images of several centres; boundaries by three analysts, the first (Manual-A1) is taken",
    groups="each image by itself (no patient is given), or groups.csv; near-duplicates are joined by the split",
    terms="CC BY 4.0; cite the paper",
    where="data.mendeley.com/datasets/m7ndn58sv6",
    layout="""
FOLDER/
  images/tech_001.tiff
  LIMA-Profiles/Manual-A1/tech_001-LI.txt  tech_001-MA.txt
  CF/tech_001_CF.txt       mm per pixel""",
    look=lambda folder: _look("LIMA-Profiles", folder),
    read=find,
)
