"""Any folder with a sub-folder for each class: the pictures in it, their classes, groups and splits.

A picture's group is what groups.csv says (header `frame,group`); without it the sub-folder of its class folder that it
lies in, as NORMAL/patient12/1.png, and where there is none the picture itself. A sub-folder of the same name in two
classes is one group: the same patient. A class folder that holds nothing but one sub-folder is looked through, not
taken for a patient, unless another class has a sub-folder of its name. splits.csv (`frame,split`, with `group` if
wanted) fixes the splits.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pycaffe_ext.data.assigned import assigned, split_of
from pycaffe_ext.data.fixed import check_every_split, check_one_split
from pycaffe_ext.data.images import Image
from pycaffe_ext.data.items import SPLITS
from pycaffe_ext.data.names import by_identifier, check_look, identifier, some
from pycaffe_ext.data.sources.folders import plain_name, subfolders
from pycaffe_ext.data.sources.grouping import SPLITS_TABLE, check_no_other_table, groups_table, splits_table
from pycaffe_ext.data.sources.layout import check_folder
from pycaffe_ext.data.sources.listing import ending, left_by_system, linked_folders, refuse_broken, refuse_unread, walk
from pycaffe_ext.data.sources.source import About
from pycaffe_ext.errors import UserError
from pycaffe_ext.pictures.shown import SUFFIXES

MOST_CLASSES = 100
SPLIT_NAMES = ("train", "training", "val", "valid", "validation", "dev", "test", "testing")
EXPECTED = "expected a sub-folder for each of 2 to 100 classes, with its pictures in it"


@dataclass(frozen=True)
class ClassFolders:
    """folder : the one whose sub-folders are the classes.   classes : their names, see `class_names`.

    images : sorted by name.
    """

    folder: Path
    classes: tuple[str, ...]
    images: tuple[Image, ...]


def class_names(folder: str | Path, positive: str = "") -> tuple[str, ...]:
    """Names of the classes, in one Unicode form: sorted, but for the `positive` one of two, which comes last.

    Raises UserError as `read` does for another folder.
    """
    return tuple(_class_folders(_home(Path(folder)), positive))


def positive_text(classes: Sequence[str], positive: str = "") -> str:
    """Which of two classes is the positive one, for a reader; "" where there are more."""
    if len(classes) != 2:
        return ""
    return f"positive: {classes[1]} ({'POSITIVE=' if positive else 'the second by alphabet; POSITIVE= chooses'})"


def read(folder: str | Path, keep_damaged: bool = False, whole: bool = False, positive: str = "") -> ClassFolders:
    """The pictures of `folder`, or of its only sub-folder where that one holds the classes.

    whole : the set is tested on as a whole: it needs no groups for three splits, and its own splits do not count.
    positive : as in `class_names`; it is class 1.
    Raises UserError in one line: what was expected and what was found, files that can't be read, classes that look
    alike, a table that does not fit, and a class with too few pictures or groups for three splits.
    """
    home = _home(Path(folder))
    classes = _class_folders(home, positive)
    check_links(classes.values())
    images = [
        Image(f"{name}/{stem}", group, home.resolve().name, path, label, name, keep_damaged=keep_damaged)
        for label, (name, top) in enumerate(_tops(classes).items())
        for stem, (path, group) in _pictures(top, name).items()
    ]
    images = sorted(images, key=lambda image: image.name)
    by_identifier((image.name for image in images), "picture")
    check_no_other_table(home, [image.path for image in images], Path(folder))
    images = with_tables(home, images, tuple(classes), whole)
    return ClassFolders(home, tuple(classes), tuple(images))


def with_tables(home: Path, images: Sequence[Image], classes: Sequence[str], whole: bool = False) -> list[Image]:
    """The images with the groups of groups.csv in `home`, and with the splits of splits.csv, where these are there.

    Groups may also be a column of splits.csv.  whole : as in `read`.  Raises UserError that names the file that does
    not fit, or a class with too few groups for three splits.
    """
    names = {image.name: image.path for image in images}
    table, fixed = groups_table(home), splits_table(home)
    splits = assigned(fixed, ("split",), names) if fixed else {}
    rows = assigned(table, ("group",), names) if table else splits
    groups = {name: row["group"] for name, row in rows.items() if row.get("group")}
    found = [replace(image, group=identifier(groups.get(image.name, image.group))) for image in images]
    check_look((image.group, f"picture {image.name}") for image in found if image.group != image.name)
    if whole:
        return found
    if fixed is None:
        check_enough(home, classes, found)
        return found
    found = [replace(image, split=split_of(fixed, splits[image.name])) for image in found]
    check_every_split(fixed, found)
    check_one_split(fixed, found)
    return found


def check_enough(place: Path, classes: Sequence[str], images: Sequence[Image]) -> None:
    """Raise UserError that names a class with fewer groups than splits."""
    count = Counter(image.label for image in images)
    groups = Counter(label for label, _ in {(image.label, image.group) for image in images})
    for label, name in enumerate(classes):
        if groups[label] < len(SPLITS):
            raise UserError(
                f"{place}: class {name!r} has {count[label]} pictures in {groups[label]} groups (patients); training,"
                f" validation and test need a group each: add pictures, or leave this class out"
            )


def _home(folder: Path) -> Path:
    check_folder(folder, "a folder with a sub-folder for each class")
    _check_broken(folder)
    inside = subfolders(folder)
    if len(inside) == 1 and len(subfolders(inside[0])) > 1 and not any(walk(folder, SUFFIXES, depth=0)):
        _check_broken(inside[0])
        return inside[0]
    return folder


def _check_broken(home: Path) -> None:
    """Raise UserError for a link to nothing that may be a class."""
    for path in sorted(home.iterdir()):
        if not left_by_system(path.name) and ending(path) not in SUFFIXES:
            refuse_broken(path)


def _class_folders(home: Path, positive: str = "") -> dict[str, Path]:
    """name -> folder of each class, in the order of `class_names`."""
    inside = subfolders(home)
    _check_layout(home, inside)
    names = by_identifier((path.name for path in inside), "class folder")
    check_look(((name, "a folder") for name in names), "classes")
    for path in inside:
        if not any(walk(path, SUFFIXES)):
            raise UserError(
                f"{path}: no picture in it; every folder in {home} is a class: fill it, or move it elsewhere"
            )
    return {name: home / names[name] for name in _ordered(home, sorted(names), positive)}


def _ordered(home: Path, names: list[str], positive: str) -> list[str]:
    if not positive:
        return names
    last = identifier(positive)
    if last not in names:
        raise UserError(f"POSITIVE={positive}: no class of {home}; its classes: {some(names, 5)}")
    if len(names) != 2:
        raise UserError(f"POSITIVE={positive}: of two classes only; {home} has {len(names)}: {some(names, 5)}")
    return [*(name for name in names if name != last), last]


def _check_layout(home: Path, inside: Sequence[Path]) -> None:
    plain = [plain_name(path.name) for path in inside]
    if {"images", "masks"} <= set(plain):
        raise UserError(f"{home}: holds images/ and masks/, a set for `make polyp`; {EXPECTED}")
    if inside and set(plain) <= set(SPLIT_NAMES):
        raise UserError(
            f"{home}: {_listed(inside)} are splits, not classes; {EXPECTED}: put the pictures of each class together,"
            f" write their splits into {SPLITS_TABLE} (frame,split), or give one of these folders as DATA="
        )
    if not 2 <= len(inside) <= MOST_CLASSES:
        loose = sum(1 for _ in walk(home, SUFFIXES, depth=0))
        found = f"{len(inside)} sub-folders" if len(inside) != 1 else f"one sub-folder, {inside[0].name}/,"
        raise UserError(f"{home}: {EXPECTED}; found {found} and {loose} pictures beside")


def check_links(folders: Iterable[Path]) -> None:
    """Raise UserError for a link in one of the class folders that brings pictures of another in, or leads in a circle.

    A class folder, or one in it, may be a link to any other place.
    """
    real = {place: Path(os.path.realpath(place)) for place in folders}
    for place, own in real.items():
        for link in linked_folders(place):
            target = Path(os.path.realpath(link))
            for other, there in real.items():
                if other != place and (there.is_relative_to(target) or target.is_relative_to(there)):
                    what = "is in" if target.is_relative_to(there) and target != there else "is or holds"
                    raise UserError(
                        f"{link}: a symbolic link to {target}, which {what} the class folder {other.name}/; its"
                        f" pictures would be of class {place.name} too: remove the link"
                    )
            if link != place and (own.is_relative_to(target) or _parent(link).is_relative_to(target)):
                raise UserError(f"{link}: a symbolic link to {target}, a folder that it lies in; remove the link")


def _parent(path: Path) -> Path:
    return Path(os.path.realpath(path.parent))


def _listed(folders: Iterable[Path]) -> str:
    return some([f"{path.name}/" for path in folders])


def _pictures(top: Path, class_name: str) -> dict[str, tuple[Path, str]]:
    """name -> (path, group) of the pictures of a class, whose patients are the sub-folders of `top`."""
    pictures = {}
    for name, path in named_pictures(top).items():
        folders = path.relative_to(top).parts[:-1]
        pictures[name] = (path, identifier(folders[0]) if folders else f"{class_name}/{name}")
    return pictures


def named_pictures(top: Path) -> dict[str, Path]:
    """The pictures below `top` by their path in it, without ending; two of one name keep theirs.

    Raises UserError for a file that may be a picture and is not read, and for two names that look the same.
    """
    found = []
    for path in walk(top, None):
        refuse_broken(path)
        if ending(path) in SUFFIXES:
            found.append(path)
        else:
            refuse_unread(path, SUFFIXES)
    inside = [path.relative_to(top) for path in found]
    whole = list(by_identifier((path.as_posix() for path in inside), "picture"))
    names = [identifier(path.with_suffix("").as_posix()) for path in inside]
    before: list[str] = []
    while names != before:  # again: a.png, which kept its ending for a.tif, may be another one's name without it
        before, count = names, Counter(names)
        names = [name if count[name] == 1 else full for name, full in zip(names, whole, strict=True)]
    return dict(zip(names, found, strict=True))


def _tops(classes: Mapping[str, Path]) -> dict[str, Path]:
    """class -> the folder whose sub-folders are its patients: its own, or one within that holds everything.

    A lone sub-folder is a patient if another class has one of its name, unless each class has it and nothing else.
    """
    tops = dict(classes)
    while True:
        names = Counter(identifier(path.name) for place in tops.values() for path in subfolders(place))
        lone = {name: only for name, place in tops.items() if (only := _only_folder(place)) is not None}
        alone = Counter(identifier(path.name) for path in lone.values())
        through = {
            name: path
            for name, path in lone.items()
            if names[identifier(path.name)] == 1 or alone[identifier(path.name)] == len(tops)
        }
        if not through:
            return tops
        tops.update(through)


def _only_folder(place: Path) -> Path | None:
    """The sub-folder of a folder that holds no other, and no picture."""
    inside = subfolders(place)
    return inside[0] if len(inside) == 1 and not any(walk(place, SUFFIXES, depth=0)) else None


CLASS_FOLDERS = About(
    slug="class-folders",
    title="Any folder with a sub-folder for each class",
    counts="whatever is in it: every picture that OpenCV or Pillow reads; those with 16 bits all of 12 or all of 16",
    groups="the sub-folder in a class folder (a patient), or the line of the picture in groups.csv; else each picture"
    " by itself",
    terms="those of the data",
    where="yours",
    layout="""
FOLDER/
  CLASS/NAME.jpg           or CLASS/PATIENT/NAME.jpg
  groups.csv               if wanted: frame,group and a line for every picture
  splits.csv               if wanted: frame,split with a line for every picture""",
)
