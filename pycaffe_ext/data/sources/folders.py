"""Sub-folders of a data set by their names, as copies of it spell them, and what numbers tell about its frames."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from pycaffe_ext.data.sources.grouping import groups_table
from pycaffe_ext.data.sources.listing import left_by_system, walk
from pycaffe_ext.errors import UserError

IMAGES, ALSO_IMAGES = ("images", "image"), ("imgs", "img")
MASKS = ("masks", "mask")
ALSO_MASKS = (  # where no folder is called as above and one of these holds pictures
    "Ground Truth",
    "Ground Truths",
    "GT",
    "segmentations",
    "segmentation",
    "labels",
    "label",
    "annotations",
    "annotation",
)


def subfolders(folder: Path) -> list[Path]:
    """Folders in `folder`, sorted; empty if `folder` is not a directory."""
    inside = folder.iterdir() if folder.is_dir() else []
    return sorted(path for path in inside if path.is_dir() and not left_by_system(path.name))


def plain_name(name: str) -> str:
    """A name without case, spaces, hyphens and underscores: what copies of a data set differ in."""
    return re.sub(r"[\s_-]+", "", name).lower()


def child(folder: Path, *names: str, fits: Callable[[Path], bool] = Path.is_dir) -> Path | None:
    """The sub-folder called one of `names`, which may differ as in `plain_name`; None if there is none.

    Raises UserError if there are two that fit: which of them is meant can't be known.
    """
    wanted = {plain_name(name) for name in names}
    found = [path for path in subfolders(folder) if plain_name(path.name) in wanted and fits(path)]
    if len(found) > 1:
        raise UserError(f"{folder}: holds {found[0].name}/ and {found[1].name}/; keep one of the two")
    return found[0] if found else None


def image_folder(folder: Path) -> Path | None:
    """images/ in `folder`, or imgs/ with pictures."""
    return child(folder, *IMAGES) or child(folder, *ALSO_IMAGES, fits=_holds_pictures)


def mask_folder(folder: Path) -> Path | None:
    """masks/ in `folder`, or the sub-folder with pictures that is called as ALSO_MASKS says."""
    return child(folder, *MASKS) or child(folder, *ALSO_MASKS, fits=_holds_pictures)


def numbered(folder: Path, hints: Sequence[str], sizes: Sequence[int]) -> str | None:
    """Whether images/ and masks/ in `folder` hold a data set whose frames are called by their numbers.

    It is if the folder's name has one of `hints` in it, or the numbers are exactly 1 to one of `sizes`. Answers as
    `Source.look`.
    """
    pictures = image_folder(folder)
    if pictures is None or mask_folder(folder) is None:
        return None
    names = [path.stem for path in walk(pictures)]
    numbers = {int(name) for name in names if name.isdecimal()}
    if any(hint in plain_name(folder.name) for hint in hints):
        known = len(numbers) == len(names) or groups_table(folder) is not None
        return "" if known else "its frames are not called by their numbers; say which belong together in groups.csv"
    return "" if len(numbers) == len(names) and any(numbers == set(range(1, n + 1)) for n in sizes) else None


def number(name: str, path: Path, last: int) -> int:
    """The frame's number; raises UserError unless `name` is one of 1 to `last`."""
    if not name.isdecimal() or not 1 <= int(name) <= last:
        raise UserError(f"{path}: frames of this data set are called by their numbers, 1 to {last}")
    return int(name)


def _holds_pictures(folder: Path) -> bool:
    return any(walk(folder))
