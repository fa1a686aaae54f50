"""PNG files: checksums first, then OpenCV, which refuses a stream that ends early; Pillow for palettes and few bits."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
from PIL import Image

from pycaffe_ext.pictures import opencv, pillow
from pycaffe_ext.pictures.picture import Damaged, Picture, Refused

MAGIC = b"\x89PNG\r\n\x1a\n"
BITS = 24  # where the file says how many bits a sample has
PALETTE = 3  # colour type


def decode(content: bytes, first: bool = False) -> Picture:
    """The picture as stored.  Raises Damaged for a wrong checksum and for missing pixels.

    An animation is Refused, unless its `first` picture will do.
    """
    parts = chunks(content)
    if not first and parts.get(b"acTL", b"")[:4] > b"\0\0\0\1":
        raise Refused("has several pictures in it; store each as a file of its own")
    pixels = opencv.decode(content, cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise Damaged("its pixels are not complete")
    bits, colour = parts[b"IHDR"][8:10]
    if bits < 8 or colour == PALETTE or b"tRNS" in parts:
        return pillow.decode(content)
    full = np.iinfo(pixels.dtype).max
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        return Picture(pixels[..., :3], full, pixels, pixels[..., 3])
    return Picture(pixels, full, pixels)


def orientation(content: bytes) -> int:
    """That of the eXIf chunk, wherever it stands; 1 without one.  Pillow would decode the pixels to look for it."""
    exif = Image.Exif()
    exif.load(_chunks(content, strict=False).get(b"eXIf", b""))
    return exif.get(pillow.ORIENTATION, 1)


def chunks(content: bytes) -> dict[bytes, bytes]:
    """The chunks by name, the first of each.  Raises Damaged if one has a wrong checksum or the last is missing."""
    return _chunks(content, strict=True)


def _chunks(content: bytes, strict: bool) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    place, file = len(MAGIC), memoryview(content)
    while b"IEND" not in found:
        if place + 12 > len(file):
            if strict:
                raise Damaged("it ends early")
            break
        (length,) = struct.unpack_from(">I", file, place)
        name, data, check = bytes(file[place + 4 : place + 8]), file[place + 8 : place + 8 + length], place + 8 + length
        if strict and bytes(file[check : check + 4]) != struct.pack(">I", zlib.crc32(file[place + 4 : check])):
            raise Damaged(f"wrong checksum in chunk {name.decode('latin-1')!r}")
        found.setdefault(name, b"" if name == b"IDAT" else bytes(data))
        place = check + 4
    return found
