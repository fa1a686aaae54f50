"""A folder of frames and masks: what is there, the group of each frame, and whether it fits together.

Layout: `images/NAME.ext` pairs with `masks/NAME.ext` (png, jpg, jpeg, bmp, tif or tiff on either side). Every
frame has a mask; an all-black mask marks a frame without polyps. Frames of one video or patient form a group:
they lie in `images/GROUP/` (mirrored in `masks/GROUP/`), or `groups.csv` (header `frame,group`) says so;
otherwise a frame is a group of its own.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from pycaffe_ext.errors import UserError, explain
from pycaffe_ext.files import digest

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
THREADS = 4
MASK_THRESHOLD = 127  # JPEG masks ring around 0 and 255


@dataclass(frozen=True)
class Frame:
    """One frame on disk.

    name : unique in its data set, without suffix, with the sub-folder if there is one ("video03/0012").
    mask : None only where an adapter knows that the frame has no polyp and no mask file exists.
    group : frames of one group never lie on both sides of a split.
    """

    name: str
    image: Path
    mask: Path | None
    group: str


def find_frames(folder: str | Path, progress: bool = True) -> list[Frame]:
    """Frames of `folder`, sorted by name, each with its mask and its group.

    Raises UserError if the folder or `images/` or `masks/` is missing, there is no image, a frame has no mask
    or a mask no frame, two files share a name, an image's header can't be read, the sizes of image and mask
    differ, or `groups.csv` misses a frame or names an unknown one.
    """
    folder = Path(folder)
    images, masks = _files(folder, "images"), _files(folder, "masks")
    if not images:
        raise UserError(f"{folder / 'images'}: no image in it ({', '.join(s[1:] for s in SUFFIXES)})")
    if bare := sorted(images.keys() - masks.keys()):
        raise UserError(
            f"{folder / 'masks'}: no mask for {_some(bare)}; a frame without polyps needs an all-black mask"
        )
    if stray := sorted(masks.keys() - images.keys()):
        raise UserError(f"{folder / 'images'}: no frame for masks {_some(stray)}; add it or remove the mask")
    frames = [Frame(name, images[name], masks[name], _folder_group(name)) for name in sorted(images)]
    table = folder / "groups.csv"
    if table.exists():
        groups = read_groups(table, images)
        frames = [replace(frame, group=groups[frame.name]) for frame in frames]
    check_sizes(frames, progress)
    return frames


def read_groups(table: str | Path, names: Iterable[str]) -> dict[str, str]:
    """Group of each frame from a CSV file with the header `frame,group`; it lists exactly `names`, once each.

    Raises UserError naming what is missing, unknown, doubled or empty.
    """
    try:
        with open(table, encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{table}: not a CSV file in UTF-8 ({error})") from None
    if not rows or not {"frame", "group"} <= rows[0].keys():
        raise UserError(f"{table}: needs the header `frame,group` and a line for every frame")
    groups: dict[str, str] = {}
    for row in rows:
        if not row["frame"] or not row["group"]:
            raise UserError(f"{table}: a line lacks its frame or its group: {list(row.values())}")
        if row["frame"] in groups:
            raise UserError(f"{table}: frame {row['frame']!r} is listed twice")
        groups[row["frame"]] = row["group"]
    known = set(names)
    if missing := sorted(known - groups.keys()):
        raise UserError(f"{table}: no group for {_some(missing)}; frames are named without suffix")
    if unknown := sorted(groups.keys() - known):
        raise UserError(f"{table}: no such frame: {_some(unknown)}; frames are named without suffix")
    return groups


def check_sizes(frames: Sequence[Frame], progress: bool = True) -> None:
    """Read all headers; raise UserError if one is unreadable or an image and its mask differ in size."""

    def check(frame: Frame) -> None:
        if frame.mask is None:
            image_size(frame.image)
        elif (a := image_size(frame.image)) != (b := image_size(frame.mask)):
            raise UserError(
                f"{frame.mask}: the mask is {b[1]}x{b[0]} (width x height), its frame {frame.image} is"
                f" {a[1]}x{a[0]}; they must be equal"
            )

    map_frames(check, frames, "checking sizes", progress)


def image_size(path: Path) -> tuple[int, int]:
    """(height, width) from the file's header; raises UserError if it is no image."""
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except (OSError, SyntaxError, ValueError) as error:
        raise _unreadable(path, error) from None


def read_image(path: str | Path) -> np.ndarray:
    """(H, W, 3) uint8, BGR, as stored (no EXIF rotation); raises UserError if unreadable or cut off."""
    path = Path(path)
    image = _decode_jpeg(path) if path.suffix.lower() in (".jpg", ".jpeg") else None
    return cv2.cvtColor(_decode(path, "RGB"), cv2.COLOR_RGB2BGR) if image is None else image


def read_mask(frame: Frame) -> np.ndarray:
    """(H, W) bool, True on polyps: grey value above 127; all False for a frame without a mask file."""
    if frame.mask is None:
        return np.zeros(image_size(frame.image), bool)
    return _decode(frame.mask, "L") > MASK_THRESHOLD


def polyp_pixels(frames: Sequence[Frame], progress: bool = True) -> np.ndarray:
    """(n,) int64: polyp pixels of each frame; raises UserError if no frame has any."""
    counts = map_frames(lambda frame: np.count_nonzero(read_mask(frame)), frames, "reading masks", progress)
    areas = np.array(counts, np.int64)
    if not areas.any():
        where = frames[0].mask.parent if frames and frames[0].mask else "the data set"
        raise UserError(f"{where}: no polyp in any of {len(frames)} masks (grey > {MASK_THRESHOLD})")
    return areas


def fingerprint(frames: Sequence[Frame], progress: bool = True) -> str:
    """Hexadecimal sha256 over names, groups and the bytes of all files; the place on disk does not matter."""

    def describe(frame: Frame) -> str:
        mask = digest(frame.mask) if frame.mask else "none"
        return f"{frame.name}\0{frame.group}\0{digest(frame.image)}\0{mask}\n"

    total = hashlib.sha256()
    for line in map_frames(describe, frames, "hashing frames", progress):
        total.update(line.encode())
    return total.hexdigest()


def map_frames(
    function: Callable[[Frame], Any], frames: Sequence[Frame], title: str, progress: bool = True
) -> list[Any]:
    """`function` of every frame, in order, on a few threads; a bar appears after two seconds."""
    with ThreadPoolExecutor(THREADS) as pool:
        results = pool.map(function, frames)
        try:
            bar = tqdm(results, title, len(frames), unit="frame", disable=not progress, delay=2, leave=False)
            return list(bar)
        finally:
            pool.shutdown(cancel_futures=True)


def _files(folder: Path, part: str) -> dict[str, Path]:
    """Image files below folder/part by name; hidden files and other suffixes are passed over."""
    root = folder / part
    if not root.is_dir():
        missing = root if folder.is_dir() else folder
        raise UserError(f"{missing}: no such folder; a data set is a folder with images/ and masks/")
    found: dict[str, Path] = {}
    for path in sorted(root.rglob("*")):
        if path.suffix.lower() not in SUFFIXES or path.name.startswith(".") or not path.is_file():
            continue
        name = path.relative_to(root).with_suffix("").as_posix()
        if name in found:
            raise UserError(f"{path}: same name as {found[name].name}; keep one of the two")
        found[name] = path
    return found


def _folder_group(name: str) -> str:
    return name.rpartition("/")[0] or name


def _decode_jpeg(path: Path) -> np.ndarray | None:
    """What `_decode` makes of a whole colour JPEG, as BGR, in less than half the time; None for any other file.

    OpenCV fills up what is missing of a file that was cut off, so it gets none that does not end as a JPEG does.
    """
    try:
        content = path.read_bytes()
        with Image.open(BytesIO(content)) as image:
            usual = image.format == "JPEG" and image.mode == "RGB" and content.endswith(b"\xff\xd9")
    except (OSError, SyntaxError, ValueError) as error:
        raise _unreadable(path, error) from None
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    return cv2.imdecode(np.frombuffer(content, np.uint8), flags) if usual else None


def _decode(path: Path, mode: str) -> np.ndarray:
    try:
        with Image.open(path) as image:
            return np.array(image.convert(mode))
    except (OSError, SyntaxError, ValueError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> UserError:
    if isinstance(error, OSError) and error.errno:
        return UserError(explain(error))
    return UserError(f"{path}: not a readable image, or cut off; replace it")


def _some(names: Sequence[str], most: int = 3) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
