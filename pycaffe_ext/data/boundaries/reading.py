"""Grey pixels of an ultrasound image, from a picture or a DICOM file, and the spacing that a DICOM file states.

More than 8 bits: DICOM's own window where there is one, else the full range of its bits; pictures as
`pictures.shown` says (16 bits by their full range, those that stay below 4096 as 12 bits; of one set, all alike).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data.boundaries.burned_in import Grey, Mask
from pycaffe_ext.errors import UserError
from pycaffe_ext.pictures import shown, stored
from pycaffe_ext.pictures.picture import Refused

DICOM = (".dcm", ".dicom", ".ima")
SUFFIXES = (*shown.SUFFIXES, *DICOM)
COLOURED = 24  # grey levels between the largest and the smallest channel of a coloured pixel
DOPPLER = 0.005  # share of coloured pixels from which an image is no B-mode image
UNEQUAL = 0.01  # pixels whose sides differ by more are not square
CENTIMETRES = 3  # DICOM's code of a region's unit


@dataclass(frozen=True)
class Scan:
    """grey : (H, W) uint8.   coloured : (H, W) bool, what is drawn in colour.   mm_per_pixel : as DICOM states it."""

    grey: Grey
    coloured: Mask
    mm_per_pixel: float | None = None


def read(path: Path) -> Scan:
    """Raise UserError, naming the file, if it cannot be read, has several frames, or shows colour Doppler."""
    if path.suffix.lower() in DICOM:
        with stored.naming(path):
            return _checked(_read_dicom(path), path)
    return _checked(_scan(shown.shown(path)), path)


def highest(path: Path) -> int | None:
    """The highest value of a picture stored with 16 bits a channel; None of any other, and of a DICOM file."""
    return None if path.suffix.lower() in DICOM else shown.highest(path)


def stated_spacing(path: Path) -> float:
    """Millimetres a pixel as a DICOM file states it; raises UserError for one that does not."""
    with stored.naming(path):
        spacing = _spacing(_dataset(path))
    if spacing is None:
        raise UserError(
            f"{path}: no spacing in this DICOM file (neither ultrasound regions in cm nor PixelSpacing); give mm per"
            " pixel in calibration.csv"
        )
    return spacing


def size_of(path: Path) -> tuple[int, int]:
    """(height, width) without decoding."""
    if path.suffix.lower() not in DICOM:
        return stored.header(path).size
    with stored.naming(path):
        found = _dataset(path)
        return int(found.Rows), int(found.Columns)


def _checked(scan: Scan, path: Path) -> Scan:
    share = float(scan.coloured.mean())
    if share > DOPPLER:
        raise UserError(
            f"{path}: {100 * share:.1f} % of its pixels are coloured, as in colour Doppler; B-mode images in grey are"
            " needed"
        )
    return scan


def _scan(colours: NDArray[np.uint8], mm_per_pixel: float | None = None) -> Scan:
    """colours : (H, W, 3) uint8."""
    coloured = np.asarray(np.ptp(colours, axis=2) > COLOURED)
    grey = colours if np.array_equal(colours[..., 0], colours[..., 1]) else colours.mean(axis=2, keepdims=True)
    return Scan(np.ascontiguousarray(np.rint(grey[..., 0]), np.uint8), coloured, mm_per_pixel)


def _dataset(path: Path) -> Any:
    import pydicom  # here: commands that read no DICOM start faster
    from pydicom.errors import InvalidDicomError

    try:
        return pydicom.dcmread(path)
    except InvalidDicomError:
        raise Refused("not a DICOM file; replace it") from None


def _read_dicom(path: Path) -> Scan:
    found = _dataset(path)
    frames = int(found.get("NumberOfFrames", 1) or 1)
    if frames > 1:
        raise Refused(f"has {frames} frames; export the one that is meant")
    try:
        palette = found.PhotometricInterpretation == "PALETTE COLOR"
        pixels = _coloured(found) if palette else found.pixel_array
    except Exception as error:  # pydicom and its plug-ins raise what they like
        raise Refused(f"its pixels cannot be decoded ({' '.join(str(error).split())[:120]})") from None
    if pixels.ndim == 3:
        bits = 8 * pixels.itemsize if palette else int(found.BitsStored)
        return _scan(_eight_bits(pixels, bits), _spacing(found))
    grey = _windowed(pixels, found)
    return _scan(np.repeat(grey[..., None], 3, axis=2), _spacing(found))


def _coloured(found: Any) -> NDArray[Any]:
    """(H, W, 3) of indices into a palette, in 8 or 16 bits as the palette has them."""
    from pydicom.pixels.processing import apply_color_lut

    return np.asarray(apply_color_lut(found.pixel_array, found))


def _eight_bits(pixels: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    white = 2**bits - 1
    return np.rint(pixels.astype(np.float64) * (255 / white)).astype(np.uint8)


def _windowed(pixels: NDArray[Any], found: Any) -> NDArray[np.uint8]:
    """DICOM's linear window (PS3.3 C.11.2.1.2) where there is one, else the range of the stored bits."""
    slope, offset = float(found.get("RescaleSlope", 1)), float(found.get("RescaleIntercept", 0))
    values = pixels.astype(np.float64) * slope + offset
    centre, width = (_first(found.get(name)) for name in ("WindowCenter", "WindowWidth"))
    if centre is not None and width is not None and width > 1:
        low, high = centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2
    else:
        signed, bits = int(found.get("PixelRepresentation", 0)), int(found.BitsStored)
        least = -(2 ** (bits - 1)) if signed else 0
        low, high = (edge * slope + offset for edge in (least, least + 2**bits - 1))
    light = np.clip((values - low) / (high - low), 0, 1)
    light = 1 - light if found.PhotometricInterpretation == "MONOCHROME1" else light
    return np.rint(255 * light).astype(np.uint8)


def _first(value: Any) -> float | None:
    """The first of several windows."""
    if value is None or value == "":
        return None
    return float(value[0] if np.ndim(value) else value)


def _spacing(found: Any) -> float | None:
    """Of the first region in centimetres, else PixelSpacing; raises Refused for pixels that are not square."""
    for region in found.get("SequenceOfUltrasoundRegions") or ():
        units = {int(region.get(f"PhysicalUnits{axis}Direction", 0)) for axis in "XY"}
        if units == {CENTIMETRES}:
            return _square(10 * abs(float(region.PhysicalDeltaY)), 10 * abs(float(region.PhysicalDeltaX)))
    spacing = found.get("PixelSpacing")
    return _square(float(spacing[0]), float(spacing[1])) if spacing else None


def _square(down: float, across: float) -> float:
    if not (0 < down < np.inf and 0 < across < np.inf):
        raise Refused(f"states a spacing of {down:g} x {across:g} mm; give mm per pixel in calibration.csv")
    if abs(down - across) > UNEQUAL * down:
        raise Refused(f"has pixels of {down:g} x {across:g} mm; resample it to square ones")
    return down
