"""JPEG files through simplejpeg, which reports libjpeg's warnings of this very file; OpenCV and Pillow print them.

Bytes that no decoder looks at are no damage: those behind the end, between the segments in front of the pixels, and
zeros in front of the end, with which some recorders fill up. Any other warning is: libjpeg then guesses pixels.
"""

from __future__ import annotations

import cv2
import numpy as np

from pycaffe_ext.pictures import opencv
from pycaffe_ext.pictures.picture import Damaged

MAGIC = b"\xff\xd8\xff"
END = b"\xff\xd9"
SCAN = 0xDA  # the marker that the pixels follow
WARNINGS = ("Corrupt JPEG data", "Premature end", "Invalid SOS", "Inconsistent progression")
INKS = ("CMYK", "YCCK")


def decode(content: bytes) -> np.ndarray | None:
    """(H, W, 3) uint8, BGR; None for inks and for what libjpeg-turbo can't decode.  Raises Damaged on a warning."""
    try:
        return _strict(content)
    except Damaged:
        return _strict(_tidied(content))


def decode_damaged(content: bytes) -> np.ndarray | None:
    """What OpenCV makes of a damaged file, (H, W, 3) uint8, BGR; None if that is nothing."""
    return opencv.decode(content + END, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)


def _strict(content: bytes) -> np.ndarray | None:
    import simplejpeg  # here: commands that read no frames start faster

    try:
        pixels = simplejpeg.decode_jpeg(content, "BGR")
        return None if simplejpeg.decode_jpeg_header(content)[2] in INKS else pixels
    except ValueError as error:
        if str(error).startswith(WARNINGS):
            raise Damaged(str(error), partly=True) from None
        return None


def _tidied(content: bytes) -> bytes:
    """Without what lies between the segments in front of the pixels, and without most zeros in front of the end."""
    parts, place = [content[:2]], 2
    while (place := content.find(b"\xff", place)) >= 0 and place + 4 <= len(content):
        marker = content[place + 1]
        if marker in (0x00, 0xFF):
            place += 1
            continue
        if marker == SCAN:
            return b"".join(parts) + _without_padding(content[place:])
        after = place + 2 + int.from_bytes(content[place + 2 : place + 4])
        parts.append(content[place:after])
        place = after
    return content


def _without_padding(scan: bytes) -> bytes:
    end = scan.rfind(END)
    return scan if end < 0 else scan[:end].rstrip(b"\0") + b"\0\0" + scan[end:]  # two: FF 00 is one byte of pixels
