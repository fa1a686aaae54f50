"""Volumes in one file: NIfTI, NRRD and MetaImage, by SimpleITK.  Hounsfield units come out, int16, (z, y, x)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data.volumes.geometry import AIR, Geometry, Hounsfield
from pycaffe_ext.errors import UserError

SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
BESIDE = (".nhdr", ".mhd")  # headers whose voxels lie in a file of the same name
SOME_AIR = -200  # HU; the least value of a chest is below it, whatever the scanner
HIGHEST = 32767


def geometry_of(path: Path) -> Geometry:
    """Size, spacing, origin and direction from the file's header; UserError for one that is not a grey 3-D volume."""
    with naming(path):
        reader = _header(path)
        if reader.GetDimension() != 3:
            raise ValueError(f"has {reader.GetDimension()} axes; a volume has three")
        if reader.GetNumberOfComponents() != 1:
            raise ValueError(f"has {reader.GetNumberOfComponents()} values a voxel, as colours have; CT has one")
        z, y, x = reader.GetSize()[::-1]
        return Geometry((z, y, x), reader.GetSpacing(), reader.GetOrigin(), reader.GetDirection())


def hounsfield(path: Path) -> Hounsfield:
    """(z, y, x) int16; values below -1024, outside the scanner's circle, are -1024.

    NIfTI's slope and offset are applied.  Raises UserError for 8 bits, for a value that is not finite, and for a
    volume without a value below -200: its numbers are not Hounsfield units, in which air is -1000.
    """
    with naming(path):
        values = in_hounsfield(_array(path))
        check_air(values)
        return values


def labels(path: Path) -> NDArray[np.int32]:
    """(z, y, x) int32 of a mask, whatever its type; raises UserError for values that are not whole numbers from 0."""
    with naming(path):
        return whole_numbers(_array(path))


def whole_numbers(values: NDArray[Any]) -> NDArray[np.int32]:
    """int32 of a mask's values; ValueError for values that are not finite, not whole or below 0."""
    whole = values.astype(np.int32, casting="unsafe") if np.isfinite(values).all() else None
    if whole is None or not np.array_equal(whole, values) or (whole.size and whole.min() < 0):
        raise ValueError("is not a mask: it has values other than 0, 1, 2, ...")
    return whole


def check_air(values: Hounsfield) -> None:
    """Raise ValueError for a whole volume without a value below -200."""
    if (least := int(values.min())) > SOME_AIR:
        raise ValueError(
            f"has no value below {SOME_AIR} (the least is {least}), so it is not in Hounsfield units, in which air"
            " is -1000; add its offset, often -1024"
        )


def in_hounsfield(values: NDArray[Any]) -> Hounsfield:
    """int16 of stored values to which slope and offset have been applied; ValueError for 8 bits or values not finite"""
    if values.dtype.itemsize == 1:
        raise ValueError("has 8 bits a voxel; Hounsfield units need 16, so export it without a window")
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise ValueError("has a value that is not finite")
        values = np.rint(values)
    return np.clip(values, AIR, HIGHEST).astype(np.int16)


def parts(path: Path) -> tuple[Path, ...]:
    """The file, and what lies beside it under its name where it is a header only."""
    if path.suffix.lower() not in BESIDE:
        return (path,)
    return (path, *sorted(p for p in path.parent.glob("*") if p != path and p.stem in (path.stem, f"{path.stem}.raw")))


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """UserError with the path for a ValueError, or for what SimpleITK cannot read."""
    try:
        yield
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    except RuntimeError as error:  # SimpleITK's, of many lines
        raise UserError(f"{path}: {_unreadable(path, str(error))}") from None


def _unreadable(path: Path, error: str) -> str:
    if not path.exists():
        return "no such file"
    if "orthonormal" in error:
        return "has axes that are not perpendicular unit vectors; resample it to perpendicular ones"
    return "cannot be read as a volume, or is cut off; export it again"


def _header(path: Path) -> Any:
    import SimpleITK as sitk  # noqa: N813 - as everybody calls it; here: commands that read no volume start faster

    sitk.ProcessObject.SetGlobalWarningDisplay(False)  # it would print to the terminal what is reported here
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    return reader


def _array(path: Path) -> NDArray[Any]:
    import SimpleITK as sitk  # noqa: N813

    return np.asarray(sitk.GetArrayFromImage(_header(path).Execute()))


def write(path: Path, values: NDArray[Any], geometry: Geometry) -> None:
    """Write a volume or a mask, compressed; the ending says as what."""
    import SimpleITK as sitk  # noqa: N813

    image = sitk.GetImageFromArray(np.ascontiguousarray(values))
    image.SetSpacing(geometry.spacing)
    image.SetOrigin(geometry.origin)
    image.SetDirection(geometry.direction)
    try:
        sitk.WriteImage(image, str(path), useCompression=True, compressionLevel=1)
    except RuntimeError:
        raise UserError(f"{path}: could not be written; is the disk full?") from None
