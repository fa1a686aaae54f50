"""Pictures as a viewer shows them, in 8 bits and three colours, whatever the file stores.

Rules where viewers differ, the same for every file:

- More than 8 bits: the format's full range becomes 0 to 255. A picture in 16 bits that stays below 4096 is taken for
  one of 12 bits, as X-ray and ultrasound machines write them; by the full range it would be nearly black. No file says
  which it is, so a data set that has both kinds is refused: see `data.depths`.
- Floats are taken where they lie within 0 to 1; signed numbers are refused, because no white is stored with them.
- Transparency: over black, like the border of an endoscope's picture.
- The first picture of an animation (GIF, WebP, PNG). A TIFF of several pages is refused: its pages are different
  pictures, and which one is meant is not known.
- Colour profiles and gamma are not applied; CMYK and YCCK become RGB by Pillow's plain formula.

Caffe's own programs read otherwise, see `opencv`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.pictures import stored
from pycaffe_ext.pictures.picture import Picture, Refused

SUFFIXES = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".bmp", ".dib", ".tif", ".tiff", ".webp", ".gif"),
    *(".jp2", ".j2k", ".jpf", ".jpx", ".avif", ".pbm", ".pgm", ".ppm", ".pnm", ".tga", ".psd", ".pcx", ".ras"),
)
TWELVE_BITS = 4095


def shown(path: Path, keep_damaged: bool = False) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 BGR, upright, by the rules above.

    keep_damaged : take what is left of a damaged JPEG.
    Raises UserError that names the file if it is unreadable, cut off or damaged, or its white is not known.
    """
    picture = stored.read(path, keep_damaged, first=True)
    with stored.naming(path):
        return as_shown(picture)


def as_shown(picture: Picture) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 BGR of a decoded picture; raises Refused for numbers whose white is not known."""
    white = _white(picture)
    if picture.pixels.dtype == np.uint8 and picture.alpha is None and white == 255:
        light = picture.pixels
    else:
        scaled = picture.pixels.astype(np.float64) * (255 / white)
        light = np.rint(_over_black(scaled, picture)).astype(np.uint8)
    return np.ascontiguousarray(light if light.ndim == 3 else light[..., None].repeat(3, axis=2))


def highest(path: Path, keep_damaged: bool = False) -> int | None:
    """The highest value of a picture that is stored with 16 bits a channel, which says its white (`bits_of`); None of
    any other, of which only the header is read.  Raises UserError as `shown`."""
    if not stored.sixteen_bits(path):
        return None
    picture = stored.read(path, keep_damaged, first=True)
    return int(picture.pixels.max(initial=0)) if picture.full == stored.DEEP else None


def bits_of(highest: int) -> int:
    """12 or 16: how many of its 16 bits a picture with this highest value is taken to use."""
    return 12 if highest <= TWELVE_BITS else 16


def _white(picture: Picture) -> float:
    """The value that becomes 255."""
    pixels = picture.pixels
    if pixels.dtype.kind == "f":
        if not ((pixels >= 0) & (pixels <= 1)).all():  # NaN is refused too
            raise Refused("has floats outside 0 to 1; save it with 8 or 16 bits a channel")
        return 1
    if pixels.dtype.kind not in "bu":
        raise Refused(
            f"has {pixels.dtype} pixels, and no white is stored with signed numbers; save it with 8 or 16 bits"
        )
    twelve = picture.full == stored.DEEP and bits_of(int(pixels.max(initial=0))) == 12
    return TWELVE_BITS if twelve else picture.full


def _over_black(light: NDArray[np.float64], picture: Picture) -> NDArray[np.float64]:
    if picture.alpha is None:
        return light
    opacity = picture.alpha.astype(np.float64) / picture.full
    return light * (opacity if light.ndim == 2 else opacity[..., None])
