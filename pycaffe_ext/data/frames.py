"""One frame of a data set and how its files are read: pictures, masks, sizes, fingerprints.

Which files belong together is known to `data.sources`. Nothing here keeps pictures: what is read is handed to a
function, a few at a time.

Masks are read the same way whatever they come from. A pixel's grey is its largest channel over black, so a coloured,
paletted or transparent mask keeps its polyps; the pixel is polyp above half of the range, 127 of 255. A file without
anything above that is looked at more closely, because it would silently lose its polyps: see `to_mask`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from pycaffe_ext.data.threads import in_order
from pycaffe_ext.errors import UserError, explain
from pycaffe_ext.files import digest
from pycaffe_ext.progress import bar

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif")
THREADS = 4
MASK_THRESHOLD = 127  # JPEG masks ring around 0 and 255
BLACK = 16  # what compression makes of black stays below
ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}
PNG_DEPTH = 24  # where a PNG file has its bits per channel
ORIENTATION = 274  # EXIF's and TIFF's tag
DIGESTS = "decoded.sha256"  # of the files beside it, as sha256sum writes them; in folders of decoded videos only


@dataclass(frozen=True)
class Frame:
    """One frame on disk.

    name : unique in its data set, without suffix, with the sub-folder if there is one ("video03/0012").
    mask : None only where a data set says that the frame has no polyp and no mask file exists.
    group : frames of one group never lie on both sides of a split.
    source : the data set's name in `data.sources`.
    videos : those that the frame and its mask were decoded from.
    """

    name: str
    image: Path
    mask: Path | None
    group: str
    source: str = ""
    videos: tuple[Path, ...] = ()


def check_sizes(frames: Sequence[Frame], progress: bool = True) -> None:
    """Read all headers; raise UserError if one is unreadable or an image and its mask differ in size or rotation."""

    def check(frame: Frame) -> None:
        image = _header(frame.image)
        mask = image if frame.mask is None else _header(frame.mask)
        if image[:2] != mask[:2]:
            raise UserError(
                f"{frame.mask}: the mask is {mask[1]}x{mask[0]} (width x height), its frame {frame.image} is"
                f" {image[1]}x{image[0]}; they must be equal"
            )
        if image[2] != mask[2]:
            raise UserError(
                f"{frame.image}: its EXIF orientation is {image[2]}, that of its mask {frame.mask} {mask[2]};"
                " pixels are taken as stored: store both upright"
            )

    map_frames(check, frames, "checking sizes", progress)


def image_size(path: Path) -> tuple[int, int]:
    """(height, width) from the file's header; raises UserError if it is no image."""
    return _header(path)[:2]


def read_image(path: str | Path) -> np.ndarray:
    """(H, W, 3) uint8, BGR, as stored: no EXIF rotation, alpha dropped; raises UserError if unreadable or cut off."""
    path = Path(path)
    image = _decode_usual(path) if path.suffix.lower() in (".jpg", ".jpeg", ".png") else None
    return cv2.cvtColor(_decode_colour(path), cv2.COLOR_RGB2BGR) if image is None else image


def read_mask(frame: Frame) -> np.ndarray:
    """(H, W) bool, True on polyps, as `to_mask` decides; all False for a frame without a mask file.

    Raises UserError if the file is unreadable or cut off, or its greys are neither those of a mask nor black.
    """
    if frame.mask is None:
        return np.zeros(image_size(frame.image), bool)
    grey, lossy = _decode_grey(frame.mask)
    try:
        return to_mask(grey, lossy)
    except ValueError as error:
        raise UserError(f"{frame.mask}: {error}; write 0 for background and 255 for polyp") from None


def to_mask(grey: np.ndarray, lossy: bool) -> np.ndarray:
    """(H, W) bool from greys of 8 or 16 bits: True above 127, or above 32767 if a grey is above 255.

    Where nothing is above: a black mask has no polyp, and neither has one that a lossy format (JPEG) made nearly
    black, at most 16. Without losses, 0 and one other value, such as 0 and 1, mean background and polyp. Raises
    ValueError for anything else: a threshold would turn it into a mask without polyps.
    """
    top = int(grey.max(initial=0))
    if int(grey.min(initial=0)) < 0 or top > 65535:
        raise ValueError("its greys are not those of 8 or 16 bits")
    half = MASK_THRESHOLD if top <= 255 else 32767
    if top > half:
        return grey > half
    if top == 0 or (lossy and top <= BLACK):
        return np.zeros(grey.shape, bool)
    if lossy:
        raise ValueError(f"its brightest grey is {top}, so that it is neither black nor black and white")
    if (grey == top).all() or ((grey != 0) & (grey != top)).any():
        raise ValueError(f"its greys are not 0 and one other, and none is above {half} (the brightest: {top})")
    return grey == top


def polyp_pixels(frames: Sequence[Frame], progress: bool = True) -> np.ndarray:
    """(n,) int64: polyp pixels of each frame; raises UserError if no frame has any."""
    counts = map_frames(lambda frame: np.count_nonzero(read_mask(frame)), frames, "reading masks", progress)
    areas = np.array(counts, np.int64)
    if not areas.any():
        raise no_polyp(frames)
    return areas


def no_polyp(frames: Sequence[Frame]) -> UserError:
    """What is said when all masks of `frames` are black."""
    masks = [frame.mask for frame in frames if frame.mask]
    where = masks[0].parent if masks else "the data set"
    return UserError(f"{where}: no polyp in any of {len(masks)} masks (grey > {MASK_THRESHOLD})")


def fingerprint(frames: Sequence[Frame], progress: bool = True) -> str:
    """Hexadecimal sha256 over names, groups and the bytes of all files; the place on disk does not matter."""

    def describe(frame: Frame) -> str:
        mask = _digest(frame.mask) if frame.mask else "none"
        return f"{frame.name}\0{frame.group}\0{_digest(frame.image)}\0{mask}\n"

    total = hashlib.sha256()
    for line in map_frames(describe, frames, "hashing frames", progress):
        total.update(line.encode(errors="surrogateescape"))
    return total.hexdigest()


def map_frames(
    function: Callable[[Frame], Any], frames: Sequence[Frame], title: str, progress: bool = True
) -> list[Any]:
    """`function` of every frame, in order, on a few threads; a bar appears after two seconds."""
    results = in_order(function, frames, THREADS)
    return list(bar(results, title, len(frames), "frame", progress))


def _digest(path: Path) -> str:
    """Of the file's bytes: as written down when a video was decoded, else computed."""
    return _written_digests(path.parent).get(path.name) or digest(path)


@lru_cache(maxsize=8)
def _written_digests(folder: Path) -> dict[str, str]:
    try:
        lines = (folder / DIGESTS).read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    return {name: value for value, name in (line.split("  ", 1) for line in lines)}


def _header(path: Path) -> tuple[int, int, int]:
    """(height, width, EXIF orientation) without decoding; 1 is upright."""
    try:
        with Image.open(path) as image:
            turned = image.getexif().get(ORIENTATION, 1) if image.format in ("JPEG", "TIFF") else 1
            return image.height, image.width, turned
    except (OSError, SyntaxError, ValueError) as error:
        raise _unreadable(path, error) from None


def _decode_usual(path: Path) -> np.ndarray | None:
    """What `_decode_colour` makes of a whole JPEG or PNG of 8-bit colours, as BGR, in 40 to 60 % of the time.

    None for any other file. OpenCV fills up what is missing of a file that was cut off, so it gets none that does not
    end as its format does.
    """
    try:
        content = path.read_bytes()
        with Image.open(BytesIO(content)) as image:
            usual = image.mode == "RGB" and content.endswith(ENDS.get(image.format, b"\0none"))
            usual = usual and (image.format == "JPEG" or content[PNG_DEPTH] == 8)
    except (OSError, SyntaxError, ValueError) as error:
        raise _unreadable(path, error) from None
    if not usual:
        return None
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        raise _unreadable(path, ValueError())
    return pixels


def _decode_colour(path: Path) -> np.ndarray:
    """(H, W, 3) uint8, RGB."""
    try:
        with Image.open(path) as image:
            if image.mode[0] in "IF":
                raise UserError(f"{path}: {image.mode} pixels; write frames with 8 bits a channel")
            return np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise _unreadable(path, error) from None


def _decode_grey(path: Path) -> tuple[np.ndarray, bool]:
    """(H, W) whole numbers, the largest channel of each pixel over black; and whether the format loses detail."""
    try:
        with Image.open(path) as image:
            lossy = image.format == "JPEG"
            if image.mode in ("P", "PA", "LA", "RGBA", "La", "RGBa") or "transparency" in image.info:
                pixels = np.array(image.convert("RGBA"), np.uint16)
                return pixels[..., :3].max(-1) * pixels[..., 3] // 255, lossy
            if image.mode[0] not in "LIR":
                image = image.convert("L" if image.mode in ("1", "F") else "RGB")
            pixels = np.array(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise _unreadable(path, error) from None
    return pixels if pixels.ndim == 2 else pixels.max(-1), lossy


def _unreadable(path: Path, error: Exception) -> UserError:
    if isinstance(error, OSError) and error.errno:
        return UserError(explain(error))
    return UserError(f"{path}: not a readable image, or cut off; replace it")
