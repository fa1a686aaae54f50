"""Frames and masks from their files: upright, whole, and an error in one line that names the file otherwise.

simplejpeg decodes JPEG, because it reports libjpeg's warnings; OpenCV PNG, because it is fast and refuses what is
incomplete; tifffile TIFF, because it reads what is stored; Pillow the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pycaffe_ext.errors import UserError, explain
from pycaffe_ext.pictures import jpeg, pillow, png, tiff
from pycaffe_ext.pictures.picture import Damaged, Picture, Refused

MOST = 1 << 30  # pixels, as OpenCV allows; a header that names more is a mistake or an attack
DEEP = 65535
DARK = 4096  # in 16 bits: what stays below uses 12 of them, and would be nearly black in 8


class Header(NamedTuple):
    """height, width : as stored.   orientation : EXIF's, 1 is upright."""

    height: int
    width: int
    orientation: int

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the picture as viewers show it."""
        turned = self.orientation in (5, 6, 7, 8)
        return (self.width, self.height) if turned else (self.height, self.width)


def header(path: Path) -> Header:
    """What a file says of its picture, without decoding it.  Raises UserError if it is not a picture."""
    with naming(path):
        return _header(path.read_bytes())


def sixteen_bits(path: Path) -> bool:
    """Whether a picture is stored with 16 bits a channel, as its header says; False for what is no picture."""
    try:
        with path.open("rb") as file:
            start = file.read(png.BITS + 1)
        if start.startswith(png.MAGIC):
            return start[png.BITS] == 16
        if start.startswith(tiff.MAGIC):
            return tiff.sixteen_bits(path)
        return not start.startswith(jpeg.MAGIC) and pillow.sixteen_bits(path)
    except Exception:  # whoever decodes it says what is wrong with it
        return False


def read(path: Path, keep_damaged: bool = False, first: bool = False) -> Picture:
    """The picture in a file, upright.  Raises UserError, naming the file, if it is not a picture, truncated or damaged.

    keep_damaged : take what is left of a damaged JPEG, and say so in its `damage`; other formats leave nothing.
    first : take the first picture of an animation, which is refused otherwise.
    """
    with naming(path):
        content = path.read_bytes()
        found = _header(content, first)
        if found.height * found.width > MOST:
            raise Refused(f"names {found.width} x {found.height} pixels, more than {MOST}; replace it")
        return _decoded(content, keep_damaged, first).upright(found.orientation)


def to_bgr(picture: Picture) -> np.ndarray:
    """(H, W, 3) uint8, BGR: transparency is dropped, more than 8 bits are cut to 8.

    Raises Refused for floats and signed numbers, whose white is unknown, and for a picture in 16 bits that uses 12
    of them or fewer.
    """
    pixels = picture.pixels
    if pixels.dtype.kind not in "bu" or picture.full > DEEP:
        raise Refused(f"has {pixels.dtype} pixels; write frames with 8 bits a channel")
    if picture.full == DEEP:
        if (top := int(pixels.max(initial=0))) < DARK:
            raise Refused(f"has 16 bits a channel and nothing above {top}; write frames with 8 bits a channel")
        pixels = pixels >> 8
    elif pixels.dtype == bool:
        pixels = pixels.view(np.uint8) * np.uint8(255)
    elif picture.full != 255:
        pixels = pixels.astype(np.float32) * (255 / picture.full)
    pixels = pixels if pixels.ndim == 3 else pixels[..., None].repeat(3, axis=2)
    return np.ascontiguousarray(pixels, np.uint8)


def frame(path: Path, keep_damaged: bool = False) -> np.ndarray:
    """(H, W, 3) uint8, BGR, of a file, as `read` and `to_bgr` say; raises UserError that names the file."""
    picture = read(path, keep_damaged)
    with naming(path):
        return to_bgr(picture)


def _header(content: bytes, first: bool = False) -> Header:
    if content.startswith(tiff.MAGIC):
        return Header(*tiff.header(content))
    height, width, orientation = pillow.header(content, first)
    return Header(height, width, png.orientation(content) if content.startswith(png.MAGIC) else orientation)


def _decoded(content: bytes, keep_damaged: bool, first: bool) -> Picture:
    try:
        return _strict(content, first)
    except Damaged as error:
        if not (keep_damaged and error.partly):
            raise
        pixels = jpeg.decode_damaged(content)
        if pixels is None:
            raise Damaged(str(error)) from None
        return Picture(pixels, 255, pixels, lossy=True, damage=str(error))


def _strict(content: bytes, first: bool) -> Picture:
    if content.startswith(tiff.MAGIC):
        return tiff.decode(content)
    if content.startswith(png.MAGIC):
        return png.decode(content, first)
    pixels = jpeg.decode(content) if content.startswith(jpeg.MAGIC) else None
    return pillow.decode(content) if pixels is None else Picture(pixels, 255, pixels, lossy=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn whatever a decoder raises into a UserError that names the file.

    The libraries raise what their parsers stumble over: SyntaxError, struct.error, KeyError, zlib.error, their own.
    """
    try:
        yield
    except UserError:
        raise
    except Refused as error:
        raise UserError(f"{path}: {error}") from None
    except Damaged as error:
        or_keep = ", or keep such frames with DAMAGED=keep" if error.partly else ""
        raise UserError(f"{path}: cut off or damaged ({error}); replace it{or_keep}") from None
    except MemoryError:
        raise UserError(f"{path}: does not fit into memory; store it smaller") from None
    except OSError as error:
        raise (UserError(explain(error)) if error.errno else _unreadable(path)) from None
    except Exception:
        raise _unreadable(path) from None


def _unreadable(path: Path) -> UserError:
    return UserError(f"{path}: not a readable image, or cut off; replace it")
