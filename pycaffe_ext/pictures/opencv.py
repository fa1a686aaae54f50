"""Pictures as Caffe's programs read them: what OpenCV decodes, None for what it doesn't."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

JPEG, JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"


def read(path: str | Path, flags: int) -> np.ndarray | None:
    """The picture in a file as cv2.imread with `flags` gives it; None if it can't be read, for whatever reason.

    The bytes are read here, because cv2.imread ends the process at names that are not UTF-8. In a file, libjpeg takes
    the end of the bytes for the end of the picture, and one that is cut off is half a picture; in memory it refuses it.
    """
    try:
        content = Path(path).read_bytes()
    except (OSError, ValueError):  # ValueError: a zero byte in the name
        return None
    return decode(content + JPEG_END * content.startswith(JPEG), flags)


def decode(content: bytes, flags: int) -> np.ndarray | None:
    """The picture in `content`, None if it cannot be decoded.

    OpenCV raises for a header of more than 2^30 pixels, or more than memory holds, instead of returning nothing.
    """
    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), flags) if content else None
    except cv2.error:
        return None
