"""TIFF files through tifffile and, for their compressions, imagecodecs: any layout, any number of bits.

The colours of a file are those that its samples say: three samples are red, green and blue even where the file calls
itself grey, as CVC-ClinicDB's do, which Pillow refuses and OpenCV reads as red three times.
"""

from __future__ import annotations

import logging
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pycaffe_ext.pictures import pillow
from pycaffe_ext.pictures.picture import Damaged, Picture, Refused

if TYPE_CHECKING:
    import tifffile

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
REDUCED, MASK = 1, 4  # bits of NewSubfileType: thumbnails, and pages that say where another one is transparent
LOSSY = ("OJPEG", "JPEG", "JPEG_LOSSY", "JPEG_2000_LOSSY", "WEBP", "ALT_JPEG")
SEPARATE_ALPHA = 2  # associated alpha is in the colours already

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # it remarks on odd tags, without the file's name


def decode(content: bytes) -> Picture:
    """The picture as stored.  Raises Damaged if pixels are missing, Refused for several pages or unknown colours."""
    import tifffile  # here: commands that read no frames start faster

    with tifffile.TiffFile(BytesIO(content)) as file:
        page = _page(file)
        _check_whole(page, len(content))
        stored = page.asarray()
        if page.axes not in ("YX", "YXS", "SYX"):
            raise Refused(f"has the axes {page.axes}; a picture has rows, columns and colours only")
        stored = np.moveaxis(stored, 0, 2) if page.axes == "SYX" else stored
        return _picture(page, stored)


def header(content: bytes) -> tuple[int, int, int]:
    """(height, width, orientation) without decoding."""
    import tifffile

    with tifffile.TiffFile(BytesIO(content)) as file:
        page = _page(file)
        tag = page.tags.get(pillow.ORIENTATION)
        return page.imagelength, page.imagewidth, int(tag.value) if tag else 1


def sixteen_bits(path: Path) -> bool:
    """Whether a sample has 16 bits, without decoding."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        return bool(_page(file).bitspersample == 16)


def _page(file: tifffile.TiffFile) -> Any:
    """The one page; tifffile's types leave open what a page that was read has."""
    pages: list[Any] = list(file.pages)
    whole = [page for page in pages if not page.subfiletype & (REDUCED | MASK)] or pages
    if len(whole) != 1:
        raise Refused(f"has {len(whole)} pages; keep the one that is meant")
    return whole[0]


def _check_whole(page: Any, size: int) -> None:
    """tifffile leaves black what a file does not have."""
    places = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    if len(places) < np.prod(page.chunked) or any(not o or not n or o + n > size for o, n in places):
        raise Damaged("some of its pixels are missing")
    if page.compression == 1 and sum(page.databytecounts) < page.nbytes * page.bitspersample / 8 / page.dtype.itemsize:
        raise Damaged("some of its pixels are missing")


def _picture(page: Any, stored: np.ndarray) -> Picture:
    kind, lossy = page.photometric.name, page.compression.name in LOSSY
    whole = 2**page.bitspersample - 1 if stored.dtype.kind == "u" else pillow.full_of(stored.dtype)
    if kind == "PALETTE":
        colours = page.colormap >> 8 if page.colormap.max() > 255 else page.colormap  # some writers fill 8 of 16 bits
        return Picture(np.moveaxis(colours[::-1, stored].astype(np.uint8), 0, 2), 255, stored)
    if kind == "SEPARATED" and stored.ndim == 3 and stored.shape[2] == 4:
        return Picture(pillow.convert(_eight_bits(stored, whole), "CMYK"), 255, stored, lossy=lossy)
    if kind == "YCBCR" and not lossy:
        return Picture(pillow.convert(_eight_bits(stored, whole), "YCbCr"), 255, stored)
    if kind not in ("MINISBLACK", "MINISWHITE", "RGB", "YCBCR"):
        raise Refused(f"has the colours {kind}; save it in RGB")
    return _samples(page, stored, whole, kind == "MINISWHITE", lossy)


def _samples(page: Any, stored: np.ndarray, full: float, inverted: bool, lossy: bool) -> Picture:
    """Grey or red, green and blue, then perhaps transparency."""
    if stored.ndim == 2:
        pixels, alpha = stored, None
    else:
        count = 3 if stored.shape[2] > 2 else 1
        separate = stored.shape[2] > count and SEPARATE_ALPHA in page.extrasamples
        pixels, alpha = stored[..., count - 1 :: -1], stored[..., count] if separate else None
        pixels = pixels[..., 0] if count == 1 else pixels
    if inverted:
        pixels = ~pixels if pixels.dtype == bool else (full - pixels).astype(pixels.dtype)
    return Picture(pixels, full, stored, alpha, lossy)


def _eight_bits(stored: np.ndarray, full: float) -> np.ndarray:
    return stored if stored.dtype == np.uint8 else (stored.astype(np.float64) * (255 / full)).astype(np.uint8)
