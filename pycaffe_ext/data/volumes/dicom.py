"""CT series as DICOM folders: which files are the slices of one volume, in which order, and their Hounsfield units.

Headers are read by pydicom, pixels by SimpleITK, which decodes every compression that scanners use and applies each
slice's own rescale slope and intercept.  Masks are read without these: many are made by putting pixels into copies of
the CT's slices, whose header still says -1024.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data.sources.listing import walk
from pycaffe_ext.data.volumes.geometry import Geometry, Hounsfield, Three
from pycaffe_ext.data.volumes.image_files import check_air, in_hounsfield, naming, whole_numbers
from pycaffe_ext.errors import UserError

SUFFIXES = (".dcm", ".dicom", ".ima")
AXIAL = 0.85  # cosine between the slices' normal and the patient's axis: up to about 30 degrees are axial
GAP = 1.5  # of the usual distance between slices: from here on one is missing
UNEVEN = 0.1  # of the mean distance, by which a slice may lie off an even row; positions are rounded
PARALLEL = 1e-3  # by which directions of slices in one volume may differ
TILT = 0.02  # part of a step to the next slice that may lie across the slices' normal
RESCALE = {"RescaleSlope": 1, "RescaleIntercept": 0}  # tag -> what changes nothing
TAGS = (
    "SeriesInstanceUID", "SOPInstanceUID", "SeriesNumber", "Modality", "ImageType", "Rows", "Columns", "PixelSpacing",
    "ImagePositionPatient", "ImageOrientationPatient", "SamplesPerPixel", "BitsAllocated", "NumberOfFrames",
)  # fmt: skip


@dataclass(frozen=True)
class Series:
    """files : one a slice, in the order of the array's z axis.   notes : what was left out or chosen, for a person."""

    files: tuple[Path, ...]
    geometry: Geometry
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Slice:
    path: Path
    header: Any

    @property
    def position(self) -> NDArray[np.float64]:
        return np.array([float(v) for v in self.header.ImagePositionPatient])

    @property
    def orientation(self) -> NDArray[np.float64]:
        """(6,) directions of a row and of a column."""
        return np.array([float(v) for v in self.header.ImageOrientationPatient])

    @property
    def normal(self) -> NDArray[np.float64]:
        return np.cross(self.orientation[:3], self.orientation[3:])


def read_series(folder: Path, mask: bool = False) -> Series:
    """The CT volume in a folder of DICOM files, not in folders below it.   mask : whether it is a mask of one.

    Localisers, pictures of other kinds and a slice's second copy are left out; of several series the axial one with
    most slices is taken: `notes` says so.  Raises UserError, naming what does not fit, if there is none or two have the
    same number of slices, if slices are missing or unevenly spaced, differ in size, spacing or direction, or are
    in colour, in 8 bits (which a mask may be), multi-frame or tilted against the way from slice to slice.
    """
    slices, notes = _slices(folder, mask)
    chosen, about = _chosen(folder, slices)
    ordered = _sorted(folder, _once(chosen, notes))
    return Series(tuple(s.path for s in ordered), _geometry(folder, ordered), (*notes, *about))


def hounsfield(files: Sequence[Path], size: tuple[int, int, int]) -> Hounsfield:
    """(z, y, x) int16 of `Series.files`, read slice by slice; raises UserError if no value of all is below -200."""
    values = np.empty(size, np.int16)
    for number, path in enumerate(files):
        values[number] = slice_hounsfield(path)
    with naming(files[0].parent):
        check_air(values)
    return values


def slice_hounsfield(path: Path) -> Hounsfield:
    """(y, x) int16 of one slice, which may be without air."""
    with naming(path):
        return in_hounsfield(_pixels(path))


def mask_values(files: Sequence[Path], size: tuple[int, int, int]) -> NDArray[np.int32]:
    """(z, y, x) int32 of a mask's `Series.files`: stored values, whatever rescale slope and intercept say.

    Raises UserError for values below 0, and if no voxel is 0, the background.
    """
    values = np.empty(size, np.int32)
    for number, path in enumerate(files):
        with naming(path):
            values[number] = whole_numbers(_stored(path))
    if values.all():
        raise UserError(
            f"{files[0].parent}: no stored value of the mask is 0 (the least is {values.min()}); store 0 where no clot"
            " is, without rescale"
        )
    return values


def _stored(path: Path) -> NDArray[Any]:
    """(y, x) stored values; a copy without slope and intercept is read, for SimpleITK cannot leave them out."""
    import pydicom

    rescaled = _pixels(path)  # in any case: a file that is cut off would be copied with anything at its end
    header = pydicom.dcmread(path)
    tags = [tag for tag in RESCALE if tag in header]
    if all(header[tag].value == usual for tag, usual in RESCALE.items() if tag in tags):
        return rescaled
    for tag in tags:
        delattr(header, tag)
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "slice.dcm"
        header.save_as(copy)
        return _pixels(copy)


def _pixels(path: Path) -> NDArray[Any]:
    import SimpleITK as sitk  # noqa: N813 - as everybody calls it; here: commands that read no volume start faster

    sitk.ProcessObject.SetGlobalWarningDisplay(False)  # it would print to the terminal what is reported here
    return np.asarray(sitk.GetArrayFromImage(sitk.ReadImage(str(path)))[0])


def holds_slices(folder: Path) -> bool:
    """Whether a DICOM file lies in the folder itself."""
    return any(is_slice(path) for path in walk(folder, None, depth=0))


def is_slice(path: Path) -> bool:
    """Whether a file is DICOM: by its ending, or, without one or called by its numbers (1.2.840.17), by its content."""
    from pydicom.misc import is_dicom  # here: commands that read no DICOM start faster

    kind = path.suffix.lower()
    return kind in SUFFIXES or ((not kind or kind[1:].isdecimal()) and bool(is_dicom(path)))


def _slices(folder: Path, mask: bool) -> tuple[list[Slice], list[str]]:
    """Slices of CT with a place in the patient, and notes on the other files."""
    found, left = [], []
    for path in filter(is_slice, walk(folder, None, depth=0)):
        header = _header(path)
        if kind := _not_a_slice(header, mask):
            left.append((kind, path.name))
        else:
            _check_slice(path, header, 8 if mask else 16)
            found.append(Slice(path, header))
    kinds = sorted({kind for kind, _ in left})
    notes = [f"{folder}: left out {_files(left, kind)}" for kind in kinds]
    if not found:
        raise UserError(f"{folder}: no CT slices in it" + (f" ({_files(left, kinds[0])} only)" if left else ""))
    return found, notes


def _files(left: Sequence[tuple[str, str]], kind: str) -> str:
    names = [name for k, name in left if k == kind]
    return f"{len(names)} {kind}{'s' * (len(names) > 1)} ({names[0]})"


def _header(path: Path) -> Any:
    import pydicom
    from pydicom.errors import InvalidDicomError

    try:
        return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(TAGS))
    except InvalidDicomError:
        raise UserError(f"{path}: not a DICOM file; replace it or take it away") from None
    except OSError:
        raise
    except Exception as error:  # pydicom raises what its parser stumbles over
        raise UserError(f"{path}: not a DICOM file, or cut off ({' '.join(str(error).split())[:80]})") from None


def _not_a_slice(header: Any, mask: bool) -> str:
    """What the file is if it belongs to no volume, in words that count it."""
    if "LOCALIZER" in [str(word).upper() for word in header.get("ImageType") or ()]:
        return "localiser"
    if (modality := str(header.get("Modality", "CT"))) != "CT" and not mask:
        return f"file of modality {modality}"
    if int(header.get("NumberOfFrames", 1) or 1) == 1 and not header.get("ImagePositionPatient"):
        return "picture without a place in the patient"
    return ""


def _check_slice(path: Path, header: Any, bits: int) -> None:
    if (frames := int(header.get("NumberOfFrames", 1) or 1)) > 1:
        raise UserError(f"{path}: has {frames} frames (enhanced CT); convert it to NIfTI, for example with dcm2niix")
    if int(header.get("SamplesPerPixel", 1)) != 1:
        raise UserError(f"{path}: is in colour; the CT's own slices in Hounsfield units are needed")
    if int(header.get("BitsAllocated", 16)) < bits:
        raise UserError(f"{path}: has {header.BitsAllocated} bits a pixel; CT slices have 16")
    for tag, count in (("ImagePositionPatient", 3), ("ImageOrientationPatient", 6), ("PixelSpacing", 2)):
        if len(header.get(tag) or ()) != count:
            raise UserError(f"{path}: no {tag} in it; its place in the patient is not known")


def _chosen(folder: Path, slices: Sequence[Slice]) -> tuple[list[Slice], list[str]]:
    """The axial series with most slices."""
    series: dict[str, list[Slice]] = {}
    for one in slices:
        series.setdefault(str(one.header.get("SeriesInstanceUID", "")), []).append(one)
    axial = [found for found in series.values() if abs(found[0].normal[2]) >= AXIAL]
    if not axial:
        raise UserError(f"{folder}: no axial series in it; coronal or sagittal ones are not taken")
    axial.sort(key=len, reverse=True)
    if len(axial) > 1 and len(axial[0]) == len(axial[1]):
        a, b = (one[0].header.get("SeriesNumber", "?") for one in axial[:2])
        raise UserError(
            f"{folder}: series {a} and {b} have {len(axial[0])} axial slices each; keep the files of one in this folder"
        )
    others = sorted(len(found) for found in series.values() if found is not axial[0])
    note = f"{folder}: {len(series)} series; took the axial one with most slices ({len(axial[0])}), left out " + (
        ", ".join(map(str, reversed(others))) + " slices"
    )
    return axial[0], [note] if others else []


def _once(slices: Sequence[Slice], notes: list[str]) -> list[Slice]:
    """Each slice once, where a file was copied under two names."""
    seen: dict[str, Slice] = {}
    for one in slices:
        first = seen.setdefault(str(one.header.get("SOPInstanceUID", one.path)), one)
        if first is not one:
            notes.append(f"{one.path}: left out, a copy of {first.path.name}")
    return list(seen.values())


def _sorted(folder: Path, slices: Sequence[Slice]) -> list[Slice]:
    """Along the slices' normal (row x column), which is the array's z axis; checked to be one even volume."""
    first = slices[0]
    for one in slices:
        _check_alike(first, one)
    if len(slices) < 2:
        raise UserError(f"{folder}: one slice only; a volume has several")
    ordered = sorted(slices, key=lambda one: float(one.position @ first.normal))
    _check_even(folder, ordered, np.array([float(one.position @ first.normal) for one in ordered]))
    return ordered


def _check_alike(first: Slice, one: Slice) -> None:
    for tag in ("Rows", "Columns"):
        if first.header[tag].value != one.header[tag].value:
            raise UserError(
                f"{one.path}: {tag} {one.header[tag].value}, but {first.path.name} has {first.header[tag].value}"
            )
    mixed = [[float(v) for v in s.header.PixelSpacing] for s in (first, one)]
    if not np.allclose(mixed[0], mixed[1], rtol=1e-4, atol=0):
        raise UserError(f"{one.path}: pixels of {mixed[1][0]:g} mm, but {first.path.name} has {mixed[0][0]:g} mm")
    if np.abs(first.orientation - one.orientation).max() > PARALLEL:
        raise UserError(f"{one.path}: is not parallel to {first.path.name} of the same series")


def _check_even(folder: Path, ordered: Sequence[Slice], places: NDArray[np.float64]) -> None:
    gaps = np.diff(places)
    usual = float(np.median(gaps))
    for number in np.flatnonzero(gaps < 0.1 * usual)[:1] if usual > 0 else [int(np.argmin(gaps))]:
        a, b = (ordered[number + i].path.name for i in (0, 1))
        raise UserError(f"{folder}: {a} and {b} lie at the same place; keep one of the two, or of the two phases")
    for number in np.flatnonzero(gaps > GAP * usual)[:1]:
        missing = gaps[number] / usual - 1
        what = f"{round(missing)} missing" if abs(missing - round(missing)) < 0.1 else "spacings are mixed"
        raise UserError(
            f"{folder}: {gaps[number]:.2f} mm between {ordered[number].path.name} and {ordered[number + 1].path.name},"
            f" elsewhere {usual:.2f} mm ({what}); a volume is evenly spaced"
        )
    even = np.linspace(places[0], places[-1], len(places))
    if np.abs(places - even).max() > UNEVEN * (even[1] - even[0]):
        raise UserError(
            f"{folder}: mixed spacings, {gaps.min():.2f} to {gaps.max():.2f} mm from slice to slice; a volume is evenly"
            " spaced"
        )


def _geometry(folder: Path, ordered: Sequence[Slice]) -> Geometry:
    first, last = ordered[0], ordered[-1]
    way = (last.position - first.position) / (len(ordered) - 1)
    step = float(np.linalg.norm(way))
    if np.linalg.norm(way - (way @ first.normal) * first.normal) > TILT * step:
        raise UserError(f"{folder}: slices are tilted against the way from one to the next (gantry tilt); resample it")
    axes = np.stack([first.orientation[:3], first.orientation[3:], first.normal], axis=1)
    down, across = (float(v) for v in first.header.PixelSpacing)
    size = (len(ordered), int(first.header.Rows), int(first.header.Columns))
    x, y, z = (float(v) for v in first.position)
    origin: Three = (x, y, z)
    try:
        return Geometry(size, (across, down, step), origin, tuple(axes.ravel().tolist()))
    except ValueError as error:
        raise UserError(f"{folder}: {error}") from None
