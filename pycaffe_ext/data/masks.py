"""Which pixels of a mask are polyp, without losing one in silence.

A pixel's grey is its largest channel over black, so a coloured, paletted or transparent mask keeps its polyps; the
pixel is polyp above half of the range, 127 of 255. That is right for a mask of two greys, smoothed, enlarged or
compressed. It is wrong where a mask has several objects or classes: what lies below half would vanish. Such a mask is
an error that says which greys were found; the setting MASK says how it is to be read.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from pycaffe_ext.data.reading import Reading
from pycaffe_ext.pictures.picture import Picture

THRESHOLD = 127  # JPEG masks ring around 0 and 255
BLACK = 16  # what compression makes of black stays below
FEW = 16  # a drawn mask has no more greys; a smoothed or compressed one has
NOTABLE = 3  # pixels on each side of an area that no edge makes
RINGING = {False: 8, True: 16}  # pixels around a polyp that compression changes: a block, or two where colour is halved


def polyps(picture: Picture, reading: Reading) -> np.ndarray:
    """(H, W) bool of a mask, True on polyps; ValueError, for `auto`, where greys do not say which.

    auto : `to_mask`, and nothing that the file holds may be lost.   threshold : above half of the range.
    nonzero : above 0, or above 16 in a lossy format.   inverted : not above half.   value:N : the grey N alone; of a
    mask of 1 bit, whose white is 1 or 255 to whoever looks at it, ValueError for another N.
    """
    grey = over_black(picture)
    if reading.mask == "auto":
        mask = to_mask(grey, picture.lossy, picture.full)
        _check_transparency(picture)
        _check_something(picture, mask)
        return mask
    if reading.mask == "nonzero":
        return grey > (BLACK if picture.lossy else 0)
    if reading.value is not None:
        return _of_value(grey, reading.value)
    return (grey > _half(grey, picture.full)) != (reading.mask == "inverted")


def _of_value(grey: np.ndarray, value: int) -> np.ndarray:
    if grey.dtype != bool:
        return grey == value
    if value not in (1, 255):
        raise ValueError(f"it has 1 bit a pixel, so that no grey is {value}")
    return grey


def over_black(picture: Picture) -> np.ndarray:
    """(H, W): the largest channel of each pixel, in front of black where it is transparent."""
    grey = picture.pixels if picture.pixels.ndim == 2 else picture.pixels.max(-1)
    if picture.alpha is None:
        return grey
    return (grey.astype(np.uint32) * picture.alpha // np.uint32(picture.full)).astype(grey.dtype)


def to_mask(grey: np.ndarray, lossy: bool, full: float = 255) -> np.ndarray:
    """(H, W) bool from greys whose white is `full`: True above its half, 127 of 255.

    16 bits and floats may hold 8 bits: then it is above 127 as long as no grey is above 255, or above 0.5 in floats up
    to 1. Where nothing is above: a black mask has no polyp, and neither has one that a lossy format (JPEG) made nearly
    black, at most 16. Without losses, 0 and one other value, such as 0 and 1, mean background and polyp. Raises
    ValueError for anything else, because a threshold would make a mask without polyps of it; for one that would lose
    a part: an area without polyps near it, or a third grey; and for one that looks inverted.
    """
    top, half = _range(grey, full)
    if top > half:
        mask = grey > half
        _check_levels(grey, half, lossy)
        check_lost(grey, mask, half * BLACK / THRESHOLD, RINGING[lossy])
    else:
        mask = _dark(grey, top, half, lossy)
    _check_border(mask)
    return mask


def check_lost(grey: np.ndarray, mask: np.ndarray, dark: float, reach: int) -> None:
    """Raise ValueError if an area above `dark` is not in the mask and lies more than `reach` pixels from it."""
    lost = (grey > dark) & ~mask
    if not lost.any():
        return
    near = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    lost &= cv2.dilate(mask.view(np.uint8), near) == 0
    if _has_area(lost):
        top, count = grey[lost].max(), np.count_nonzero(lost)
        raise ValueError(
            f"{count} pixels away from its polyps are grey, up to {top}"
            if mask.any()
            else f"its brightest grey is {top}, so that it is neither black nor black and white"
        )


def _range(grey: np.ndarray, full: float) -> tuple[float, float]:
    """The brightest grey, and the half that polyps are above."""
    top = grey.max(initial=0)
    if not (grey.min(initial=0) >= 0 and top <= 65535):  # not: NaN compares false
        raise ValueError("its greys are not those of 8 or 16 bits")
    return top, _half(grey, full)


def _half(grey: np.ndarray, full: float) -> float:
    if full == 1 and grey.max(initial=0) <= 1:
        return 0.5
    if 1 < full < 255:
        return full // 2
    return THRESHOLD if grey.max(initial=0) <= 255 else min(full // 2, 32767) if full > 255 else 32767


def _dark(grey: np.ndarray, top: float, half: float, lossy: bool) -> np.ndarray:
    """Where no grey is above half."""
    if top == 0 or (lossy and top <= BLACK):
        return np.zeros(grey.shape, bool)
    if lossy:
        raise ValueError(f"its brightest grey is {top}, so that it is neither black nor black and white")
    if (grey == top).all() or ((grey != 0) & (grey != top)).any():
        raise ValueError(f"its greys are not 0 and one other, and none is above {half} (the brightest: {top})")
    return grey == top


def _check_levels(grey: np.ndarray, half: float, lossy: bool) -> None:
    """Raise ValueError if a drawn mask has two greys of notable area on one side of half."""
    levels = [] if lossy or grey.dtype == bool else _levels(grey)
    if not 2 < len(levels) <= FEW and not (len(levels) == 2 and levels[0] > half):
        return
    notable = [level for level in levels if _has_area(grey == level)]
    if sum(level <= half for level in notable) > 1 or sum(level > half for level in notable) > 1:
        raise ValueError(f"it has more than two greys: {', '.join(map(str, notable))}")


def _check_border(mask: np.ndarray) -> None:
    edges = (mask[0], mask[-1], mask[:, 0], mask[:, -1]) if mask.size else ()
    if edges and all(edge.all() for edge in edges) and not mask.all():
        raise ValueError("it is white all along its border and black inside, as if it were inverted")


def _check_transparency(picture: Picture) -> None:
    """Raise ValueError if what is bright is transparent, in a file that marks polyps by colours."""
    if picture.alpha is None:
        return
    plain = picture.pixels if picture.pixels.ndim == 2 else picture.pixels.max(-1)
    hidden = (plain > _half(plain, picture.full)) & (picture.alpha == 0)
    if np.ptp(plain) > 0 and _has_area(hidden):
        raise ValueError("a part of it is white and transparent; save it without transparency")


def _check_something(picture: Picture, mask: np.ndarray) -> None:
    """Raise ValueError if nothing is left of what the file holds."""
    least = BLACK if picture.lossy else 0
    values = [picture.stored] if picture.alpha is None else [picture.stored, picture.alpha]
    if mask.all() != mask.any() or not mask.size:
        return
    if any(np.ptp(part.reshape(-1, *part.shape[2:]).astype(np.float64), axis=0).max() > least for part in values):
        what = "white" if mask.all() else "black"
        raise ValueError(f"its colours, palette or transparency vary, and the mask that they give is all {what}")


def _levels(grey: np.ndarray) -> Sequence[float]:
    if grey.dtype == np.uint8:
        return np.flatnonzero(np.bincount(grey.ravel(), minlength=256)).tolist()
    return np.unique(grey).tolist()


def _has_area(where: np.ndarray) -> bool:
    """Whether a square of NOTABLE pixels lies in it; outside the picture there is nothing."""
    square = np.ones((NOTABLE, NOTABLE), np.uint8)
    return bool(cv2.erode(where.view(np.uint8), square, borderType=cv2.BORDER_CONSTANT, borderValue=0).any())
