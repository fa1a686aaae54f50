"""Which data set a folder holds, and its frames."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

from pycaffe_ext.data.frames import Frame, check_sizes, no_polyp, read_mask
from pycaffe_ext.data.names import some
from pycaffe_ext.data.reading import Reading
from pycaffe_ext.data.sources import layout
from pycaffe_ext.data.sources.decode import SUFFIXES as VIDEO_SUFFIXES
from pycaffe_ext.data.sources.folders import ALSO_MASKS, IMAGES, MASKS, plain_name, subfolders
from pycaffe_ext.data.sources.grouping import check_no_other_table, with_identifiers
from pycaffe_ext.data.sources.source import Source
from pycaffe_ext.data.sources.table import GENERAL, SOURCES
from pycaffe_ext.errors import UserError

PARTS = (  # that users mistake for the whole
    *map(plain_name, (*IMAGES, *MASKS, *ALSO_MASKS)),
    "original",
    "videos",
    "sequencedata",
)


def find(
    folder: str | Path,
    dataset: str | None = None,
    cache: Path | None = None,
    progress: bool = True,
    reading: Reading | None = None,
) -> list[Frame]:
    """Frames of the data set in `folder`, or in its only sub-folder that holds one, sorted by name.

    dataset : name in SOURCES; None = recognised by the layout. cache : folder for the frames of videos, which are
    decoded once. reading : how files are read where that is not clear. Frames without polyps are kept. Raises
    UserError, one line, if the layout is unknown, ambiguous or resembles one that it lacks a part of, and naming the
    file if one is missing, unreadable or does not fit.
    """
    source, home = recognise(folder, dataset)
    found = with_identifiers(sorted(source.read(home, cache, progress), key=lambda frame: frame.name))
    frames = [replace(frame, reading=reading or Reading()) for frame in found]
    check_no_other_table(home, [path for one in frames for path in (one.image, one.mask) if path], Path(folder))
    check_sizes([frame for frame in frames if not _decoded(frame, cache)], progress)
    _check_rule(frames, cache)
    _check_polyps(frames)
    return frames


def recognise(folder: str | Path, dataset: str | None = None) -> tuple[Source, Path]:
    """The data set and the folder that has its layout, `folder` or one in it; raises UserError if there is none.

    A folder that nearly has a layout is an error, whatever lies in it: a copy there may be another one.
    """
    folder = Path(folder)
    layout.check_folder(folder)
    choices = layout.choices(dataset, SOURCES)
    for homes in ([folder], subfolders(folder)):
        whole = [(source, home) for home in homes for source in _whole(home, choices)]
        if len(whole) == 1:
            return whole[0]
        if whole:
            raise UserError(_ambiguous(folder, whole))
        for source, home in product(choices, homes):
            if problem := source.look(home):
                raise UserError(_nearly(source, home, problem))
    raise UserError(_unknown(folder, choices))


def _whole(home: Path, choices: list[Source]) -> list[Source]:
    """Data sets with the layout of `home`; a general layout counts where no data set is found, not even nearly."""
    looks = {source.slug: source.look(home) for source in choices}
    special = [source for source in choices if source not in GENERAL and looks[source.slug] is not None]
    return [source for source in special or choices if looks[source.slug] == ""]


def _nearly(source: Source, home: Path, problem: str) -> str:
    return f"{home}: looks like {source.slug}, but {problem}; `make data-help DATASET={source.slug}` shows its layout"


def _ambiguous(folder: Path, whole: list[tuple[Source, Path]]) -> str:
    found = layout.listed(whole)
    if len({home for _, home in whole}) > 1:
        return f"{folder}: holds several data sets ({found}); give one of these folders as DATA="
    return f"{folder}: may be one of several data sets ({found}); say which with DATASET="


def _unknown(folder: Path, choices: list[Source]) -> str:
    names = layout.names_in(folder)
    holds = f"holds {some(names)}" if names else "is empty"
    if plain_name(folder.name) in PARTS and _whole(folder.parent, choices):
        return f"{folder}: {holds}; it is a part of the data set, give the folder above: DATA={folder.parent}"
    if len(choices) == 1:
        slug = choices[0].slug
        return f"{folder}: {holds}, which is not the layout of {slug}; `make data-help DATASET={slug}` shows it"
    videos = " or videos/ and masks/" if any(name.lower().endswith(VIDEO_SUFFIXES) for name in names) else ""
    return f"{folder}: {holds}; expected images/ and masks/{videos}, or the layout of a data set: {layout.HELP}"


def _decoded(frame: Frame, cache: Path | None) -> bool:
    """Whether both files come from videos, whose sizes were compared when they were read."""
    files = [path for path in (frame.image, frame.mask) if path]
    return cache is not None and all(path.is_relative_to(cache) for path in files)


def _check_rule(frames: list[Frame], cache: Path | None) -> None:
    """Raise UserError if MASK= is meant for masks that were made black and white when their video was decoded."""
    rule = frames[0].reading.mask if frames else Reading.mask
    masks = (frame.mask for frame in frames if frame.mask)
    decoded = (mask.parent for mask in masks if cache is not None and mask.is_relative_to(cache))
    if rule != Reading.mask and (video := next(decoded, None)):
        raise UserError(f"MASK={rule} is for masks in files; those of a video are polyp above half ({video.name})")


def _check_polyps(frames: list[Frame]) -> None:
    """Raise UserError if all masks are black; usually the first one is not, and no other is read."""
    if not any(frame.mask is not None and read_mask(frame).any() for frame in frames):
        raise no_polyp(frames)
