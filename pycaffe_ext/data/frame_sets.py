"""Data sets of colonoscopy frames that are informative or not, as users have them on disk: one adapter each.

What is informative is the adapter's choice: a view of the mucosa of grade 2 or 3 on the Boston scale (BBPS) is, one of
grade 0 or 1 or with impacted stool is not. The paper's question, sharp and clear or blurred and covered, is close to it
and not the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pycaffe_ext.data.assigned import KEYS, assigned
from pycaffe_ext.data.class_folders import check_links, named_pictures, with_tables
from pycaffe_ext.data.images import Image
from pycaffe_ext.data.names import by_identifier, identifier
from pycaffe_ext.data.sources import layout
from pycaffe_ext.data.sources.folders import child, plain_name, subfolders
from pycaffe_ext.data.sources.grouping import GROUPS, SPLITS_TABLE, check_no_other_table
from pycaffe_ext.data.sources.listing import walk
from pycaffe_ext.data.sources.source import About
from pycaffe_ext.data.tables import LINE, columns_of
from pycaffe_ext.errors import UserError
from pycaffe_ext.pictures.shown import SUFFIXES

CLASSES = ("uninformative", "informative")
WORDS = (  # as `plain_name` makes them
    (
        *("uninformative", "noninformative", "notinformative", "bad", "poor", "blurred", "blurry", "unclear"),
        *("inadequate", "unusable", "0", "no", "false", "negative"),
    ),
    ("informative", "good", "clear", "sharp", "adequate", "usable", "1", "yes", "true", "positive"),
)
VIEWS = {"bbps01": 0, "impactedstool": 0, "bbps23": 1}
NERTHUS_NAME = re.compile(r"(bowel_\d+)_score_([0-3])-\d+_\d+")


@dataclass(frozen=True)
class FrameSource(About):
    """look : whether a folder has this layout.   read : (folder) -> its images in any order."""

    look: Callable[[Path], bool]
    read: Callable[[Path, bool], list[Image]]


@dataclass(frozen=True)
class FrameSet:
    """source : which layout it is.   folder : the one that has it.   images : sorted by name, labels as in CLASSES."""

    source: FrameSource
    folder: Path
    images: tuple[Image, ...]


def find(folder: str | Path, dataset: str | None = None, keep_damaged: bool = False, whole: bool = False) -> FrameSet:
    """The frames in `folder`, or in its only sub-folder that holds such a set.

    dataset : name in SOURCES; None = recognised by the layout.  groups.csv and splits.csv in the folder win over what
    an adapter knows, see `class_folders`, also for `whole`.  Raises UserError in one line.
    """
    source, home = recognise(folder, dataset)
    images = sorted(source.read(home, keep_damaged), key=lambda image: image.name)
    by_identifier((image.name for image in images), "frame")
    check_no_other_table(home, [image.path for image in images], Path(folder))
    return FrameSet(source, home, tuple(with_tables(home, images, CLASSES, whole)))


def recognise(folder: str | Path, dataset: str | None = None) -> tuple[FrameSource, Path]:
    """The layout and the folder that has it, `folder` or one in it; raises UserError if there is none."""
    expected = (
        "informative/ and uninformative/ with frames, or frames with a CSV file (frame,label), or, with DEGRADE=1, a"
        " data set of polyp frames"
    )
    return layout.recognise(folder, dataset, SOURCES, expected, first_counts=True)


def label_of(word: str, where: str) -> int:
    """0 or 1, as CLASSES, for a word of WORDS in any spelling; raises UserError for another."""
    plain = plain_name(word)
    for label, words in enumerate(WORDS):
        if plain in words:
            return label
    allowed = " or ".join(" = ".join((CLASSES[label], *WORDS[label][1:])) for label in (1, 0))
    raise UserError(f"{where}: label {word!r} is not known; write {allowed}")


def _of_folders(folders: dict[Path, int], slug: str, keep_damaged: bool) -> list[Image]:
    """The images of class folders; a sub-folder in one is a group."""
    check_links(folders)
    images = []
    for place, label in folders.items():
        for inside, path in named_pictures(place).items():
            name = f"{identifier(place.name)}/{inside}"
            parts = path.relative_to(place).parts[:-1]
            images.append(
                Image(
                    name,
                    identifier(parts[0]) if parts else name,
                    slug,
                    path,
                    label,
                    CLASSES[label],
                    keep_damaged=keep_damaged,
                )
            )
    return images


# --- HyperKvasir ------------------------------------------------------------------------------------------------------


def _views(folder: Path) -> dict[Path, int]:
    """The labelled views of the mucosa, wherever in HyperKvasir's tree `folder` is."""
    place = child(folder, "labeled-images") or folder
    place = child(place, "lower-gi-tract") or place
    place = child(place, "quality-of-mucosal-views") or place
    return {path: VIEWS[plain_name(path.name)] for path in subfolders(place) if plain_name(path.name) in VIEWS}


def _read_views(folder: Path, keep_damaged: bool) -> list[Image]:
    return _of_folders(_views(folder), HYPERKVASIR.slug, keep_damaged)


HYPERKVASIR = FrameSource(
    slug="hyperkvasir-views",
    title="HyperKvasir, mucosal views (Borgli et al., Scientific Data 2020)",
    counts="1148 informative (bbps-2-3), 777 not (646 bbps-0-1, 131 impacted-stool); other labels are left out",
    groups="each frame by itself: no video or patient is given; near-duplicates are joined when the set is split",
    terms="CC BY 4.0; cite the paper",
    where="datasets.simula.no/hyper-kvasir",
    layout="""
labeled-images/lower-gi-tract/quality-of-mucosal-views/    or this folder alone
  bbps-0-1/NAME.jpg
  bbps-2-3/NAME.jpg
  impacted-stool/NAME.jpg""",
    look=lambda folder: set(_views(folder).values()) == {0, 1},
    read=_read_views,
)


# --- Nerthus ----------------------------------------------------------------------------------------------------------


def _scores(folder: Path) -> dict[Path, int]:
    return {path: int(int(path.name) >= 2) for path in subfolders(folder) if path.name in ("0", "1", "2", "3")}


def _is_nerthus(folder: Path) -> bool:
    first = [next(walk(place, SUFFIXES, depth=0), None) for place in _scores(folder)]
    return bool(first) and all(path is not None and NERTHUS_NAME.fullmatch(path.stem) for path in first)


def _read_nerthus(folder: Path, keep_damaged: bool) -> list[Image]:
    check_links(_scores(folder))
    images = []
    for place, label in _scores(folder).items():
        for name, path in named_pictures(place).items():
            match = NERTHUS_NAME.fullmatch(path.stem)
            if not match or match[2] != place.name:
                raise UserError(f"{path}: frames in {place.name}/ are called bowel_N_score_{place.name}-N_NUMBER")
            images.append(
                Image(
                    f"{place.name}/{name}",
                    match[1],
                    NERTHUS.slug,
                    path,
                    label,
                    CLASSES[label],
                    keep_damaged=keep_damaged,
                )
            )
    return images


NERTHUS = FrameSource(
    slug="nerthus",
    title="Nerthus (Pogorelov et al., MMSys 2017)",
    counts="5525 frames of 21 videos in the four grades of the Boston scale: 2 and 3 are informative, 0 and 1 are not",
    groups="the video, from the file's name (bowel_20)",
    terms="research and education; cite the paper",
    where="datasets.simula.no/nerthus",
    layout="""
nerthus-dataset-frames/
  0/bowel_1_score_0-0_00000001.jpg
  1/  2/  3/bowel_20_score_3-1_00000001.jpg""",
    look=_is_nerthus,
    read=_read_nerthus,
)


# --- any frames -------------------------------------------------------------------------------------------------------


def _class_folders(folder: Path) -> dict[Path, int]:
    found = {}
    for path in subfolders(folder):
        for label, words in enumerate(WORDS):
            if plain_name(path.name) in words:
                found[path] = label
    return found


def _read_class_folders(folder: Path, keep_damaged: bool) -> list[Image]:
    folders = _class_folders(folder)
    if other := [path for path in subfolders(folder) if path not in folders and any(walk(path, SUFFIXES))]:
        raise UserError(
            f"{other[0]}: neither informative nor uninformative by its name; rename it or move it elsewhere"
        )
    return _of_folders(folders, FOLDERS.slug, keep_damaged)


FOLDERS = FrameSource(
    slug="frame-folders",
    title="Any folder of class folders",
    counts="whatever is in it",
    groups="the sub-folder (a video), or the line of the frame in groups.csv; else each frame by itself",
    terms="those of the data",
    where="yours",
    layout="""
FOLDER/
  informative/NAME.jpg     or informative/VIDEO/NAME.jpg; also good, clear, sharp
  uninformative/NAME.jpg   also non-informative, bad, blurred, unclear, inadequate
  groups.csv               if wanted: frame,group and a line for every frame
  splits.csv               if wanted: frame,split with a line for every frame""",
    look=lambda folder: set(_class_folders(folder).values()) == {0, 1},
    read=_read_class_folders,
)


def _label_table(folder: Path) -> Path | None:
    """The CSV file in `folder` with columns for frame and label; raises UserError if there are several."""
    tables = [path for path in sorted(folder.glob("*.csv")) if path.name not in (GROUPS, SPLITS_TABLE)]
    found = [path for path in tables if path.is_file() and _has_labels(path)]
    if len(found) > 1:
        raise UserError(f"{found[1]}: has labels, as {found[0].name} does; keep one of the two")
    return found[0] if found else None


def _has_labels(table: Path) -> bool:
    columns = columns_of(table)
    return "label" in columns and bool(columns & set(KEYS))


def _read_table(folder: Path, keep_damaged: bool) -> list[Image]:
    table = _label_table(folder)
    if table is None:
        raise UserError(f"{folder}: no CSV file with the header frame,label in it")
    paths = named_pictures(folder)
    images = []
    for name, row in assigned(table, ("label",), paths, every=False).items():
        label = label_of(row["label"], f"{table}: line {row[LINE]}")
        parts = paths[name].relative_to(folder).parts[:-1]
        group = row.get("group") or (identifier(parts[0]) if parts else name)
        images.append(Image(name, group, TABLE.slug, paths[name], label, CLASSES[label], keep_damaged=keep_damaged))
    return images


TABLE = FrameSource(
    slug="frame-table",
    title="Any folder of frames with a CSV file of labels",
    counts="the frames that the file names; others are left out and counted",
    groups="the column group (a video), or the sub-folder, or groups.csv; else each frame by itself",
    terms="those of the data",
    where="yours",
    layout="""
FOLDER/
  NAME.jpg                 or VIDEO/NAME.jpg
  labels.csv               or another name: frame,label or frame,label,group; label is
                           informative or uninformative (1 or 0, good or bad ...)""",
    look=lambda folder: _label_table(folder) is not None,
    read=_read_table,
)

SOURCES = {source.slug: source for source in (HYPERKVASIR, NERTHUS, TABLE, FOLDERS)}
