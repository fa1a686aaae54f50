"""JPEG files through simplejpeg, which reports libjpeg's warnings of this very file; OpenCV and Pillow print them.

Bytes that no decoder reads do not count as damage: those behind the end, between the segments in front of the pixels,
and zeros in front of the end, with which some recorders fill up. Any other warning does:
libjpeg then guesses pixels. So do zeros among the pixels, where libjpeg warns in two of three cases only.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from pycaffe_ext.pictures import opencv
from pycaffe_ext.pictures.picture import Damaged

MAGIC, END = opencv.JPEG, opencv.JPEG_END
SCAN = 0xDA  # the marker that the pixels follow
TABLES = 0xC4
BASELINE = (0xC0, 0xC1)
HOLE = bytes(32)
WARNINGS = ("Corrupt JPEG data", "Premature end", "Invalid SOS", "Inconsistent progression")
INKS = ("CMYK", "YCCK")


def decode(content: bytes) -> np.ndarray | None:
    """(H, W, 3) uint8, BGR; None for inks and for what libjpeg-turbo can't decode.  Raises Damaged."""
    head, scan = _parts(content)
    if _has_hole(head, scan):
        raise Damaged("zeros among its pixels", partly=True)
    try:
        return _strict(content)
    except Damaged as error:
        if not scan:
            raise
        return _without_filling(head, scan, error)


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


def _parts(content: bytes) -> tuple[list[bytes], bytes]:
    """The segments in front of the pixels, and the pixels up to the end of the picture, b"" if there is no end."""
    head, place = [content[:2]], 2
    while (place := content.find(b"\xff", place)) >= 0 and place + 4 <= len(content):
        marker = content[place + 1]
        if marker in (0x00, 0xFF):
            place += 1
            continue
        if marker == SCAN:
            end = content.find(END, place)
            return head, content[place:end] if end > 0 else b""
        after = place + 2 + int.from_bytes(content[place + 2 : place + 4])
        head.append(content[place:after])
        place = after
    return head, b""


def _has_hole(head: list[bytes], scan: bytes) -> bool:
    """Whether a part of the pixels was overwritten with zeros, as by a disk, which often decodes without a warning.

    It is so where the code of zeros means anything but `nothing more in this block`: no encoder repeats that so often.
    Progressive files are full of zeros.
    """
    if not any(segment[1] in BASELINE for segment in head) or HOLE not in scan.rstrip(b"\0"):
        return False
    return any(symbol != 0 for segment in head if segment[1] == TABLES for symbol in _zeros_mean(segment[4:]))


def _zeros_mean(tables: bytes) -> Iterator[int]:
    """What a code of zeros means in each table of a DHT segment that is about more than a block's mean."""
    while len(tables) > 17:
        if tables[0] >> 4:
            yield tables[17]
        tables = tables[17 + sum(tables[1:17]) :]


def _without_filling(head: list[bytes], scan: bytes, error: Damaged) -> np.ndarray | None:
    """The picture without bytes between its segments and without zeros in front of its end, if that mends it.

    The last byte of the pixels may be a zero itself.
    """
    pixels = scan.rstrip(b"\0")
    for zeros in range(min(len(scan) - len(pixels), 2) + 1):
        try:
            return _strict(b"".join(head) + pixels + bytes(zeros) + END)
        except Damaged:
            continue
    raise error
