"""One frame of a data set and how its files are read: pictures, masks, sizes, fingerprints.

Which files belong together is known to `data.sources`. Nothing here keeps pictures: what is read is handed to a
function, a few at a time.

Pictures are taken as viewers show them, turned as their EXIF says; `pictures.stored` decodes them, `masks` says which
pixels of a mask are polyp.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from pycaffe_ext.data import masks
from pycaffe_ext.data.items import Item, fixed_mark
from pycaffe_ext.data.reading import MASKS, Reading
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import digest
from pycaffe_ext.pictures import shown, stored
from pycaffe_ext.progress import bar
from pycaffe_ext.threads import in_order

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif")
THREADS = 4
DIGESTS = "decoded.sha256"  # of the files beside it, as sha256sum writes them; in folders of decoded videos only


PLAIN = Reading()


@dataclass(frozen=True)
class Frame:
    """One frame on disk.

    name : unique in its data set, without suffix, with the sub-folder if there is one ("video03/0012").
    mask : None only where a data set says that the frame has no polyp and no mask file exists.
    group : frames of one group never lie on both sides of a split.
    source : the data set's name in `data.sources`.   reading : how its files are read where that is not clear.
    videos : those that the frame and its mask were decoded from.
    split : "train", "val" or "test" where the user fixed it, else "".
    """

    name: str
    image: Path
    mask: Path | None
    group: str
    source: str = ""
    videos: tuple[Path, ...] = ()
    reading: Reading = PLAIN
    split: str = ""

    def picture(self) -> np.ndarray:
        """(H, W, 3) uint8, BGR."""
        return read_frame(self)

    def highest(self) -> int | None:
        """Of a picture stored with 16 bits a channel, None of any other."""
        return shown.highest(self.image, self.reading.keeps_damaged)

    def content(self) -> str:
        """A line that changes with the name, the group, the fixed split or the bytes of the picture and its mask."""
        mask = _digest(self.mask) if self.mask else "none"
        return f"{self.name}\0{self.group}\0{_digest(self.image)}\0{mask}{fixed_mark(self.split)}\n"


def check_sizes(frames: Sequence[Frame], progress: bool = True) -> None:
    """Read all headers; raise UserError if one is unreadable or an image and its mask differ in size or rotation."""

    def check(frame: Frame) -> None:
        if frame.mask is None:
            stored.header(frame.image)
        else:
            _check_pair(frame, stored.header(frame.image), stored.header(frame.mask))

    map_frames(check, frames, "checking sizes", progress)


def _check_pair(frame: Frame, image: stored.Header, mask: stored.Header) -> None:
    """Where only one of the two is to be turned, their sizes have to tell that the other one was drawn upright."""
    turned = (
        f"its EXIF orientation is {image.orientation}, that of its mask {frame.mask} {mask.orientation}"
        if image.orientation != mask.orientation
        else ""
    )
    if image.size != mask.size:
        raise UserError(
            f"{frame.mask}: the mask is {mask.size[1]}x{mask.size[0]} (width x height), its frame {frame.image} is"
            f" {image.size[1]}x{image.size[0]}; they must be equal" + (f" ({turned})" if turned else "")
        )
    if turned and image[:2] == mask[:2]:
        raise UserError(f"{frame.image}: {turned}; which way they fit is not known: store both upright")


def image_size(path: Path) -> tuple[int, int]:
    """(height, width), upright, from the file's header; raises UserError if it is not an image."""
    return stored.header(path).size


def read_image(path: str | Path, keep_damaged: bool = False) -> np.ndarray:
    """(H, W, 3) uint8, BGR, upright, alpha dropped; raises UserError if unreadable, cut off or damaged."""
    return stored.frame(Path(path), keep_damaged)


def read_frame(frame: Frame) -> np.ndarray:
    """(H, W, 3) uint8, BGR: the frame's picture as `read_image` gives it, a damaged one if its `reading` keeps it."""
    return read_image(frame.image, frame.reading.keeps_damaged)


def read_mask(frame: Frame) -> np.ndarray:
    """(H, W) bool, True on polyps, as `masks.polyps` decides; all False for a frame without a mask file.

    Raises UserError if the file is unreadable, cut off or damaged, or its greys do not say what is polyp.
    """
    if frame.mask is None:
        return np.zeros(image_size(frame.image), bool)
    picture = stored.read(frame.mask)
    try:
        return masks.polyps(picture, frame.reading)
    except ValueError as error:
        raise UserError(
            f"{frame.mask}: {error}; write 0 for background and 255 for polyp, or set MASK= to"
            f" {', '.join(MASKS[1:-1])} or {MASKS[-1]} (make help)"
        ) from None


def damaged_frames(frames: Sequence[Frame], progress: bool = True) -> list[str]:
    """Names of the frames that are damaged and kept; decodes all of them if there can be any."""
    if not any(frame.reading.keeps_damaged for frame in frames):
        return []

    def damage(frame: Frame) -> str:
        return stored.read(frame.image, frame.reading.keeps_damaged).damage

    found = map_frames(damage, frames, "looking for damage", progress)
    return [frame.name for frame, what in zip(frames, found, strict=True) if what]


def polyp_pixels(frames: Sequence[Frame], progress: bool = True) -> np.ndarray:
    """(n,) int64: polyp pixels of each frame; raises UserError if no frame has any."""
    counts = map_frames(lambda frame: np.count_nonzero(read_mask(frame)), frames, "reading masks", progress)
    areas = np.array(counts, np.int64)
    if not areas.any():
        raise no_polyp(frames)
    return areas


def no_polyp(frames: Sequence[Frame]) -> UserError:
    """What is said when all masks of `frames` are black."""
    files = [frame.mask for frame in frames if frame.mask]
    where = files[0].parent if files else "the data set"
    return UserError(f"{where}: no polyp in any of {len(files)} masks (grey > {masks.THRESHOLD})")


def fingerprint(items: Sequence[Item], progress: bool = True) -> str:
    """Hexadecimal sha256 over names, groups and the bytes of all files; the place on disk does not matter."""
    total = hashlib.sha256()
    for line in map_frames(lambda item: item.content(), items, "hashing files", progress):
        total.update(line.encode(errors="surrogateescape"))
    return total.hexdigest()


def map_frames(function: Callable[[Any], Any], frames: Sequence[Any], title: str, progress: bool = True) -> list[Any]:
    """`function` of every frame (or other item), in order, on a few threads; a bar appears after two seconds."""
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
