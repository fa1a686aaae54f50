"""Clips: videos or folders of frames, each with a video or a folder of masks, or known to show no polyp."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pycaffe_ext.data.frames import SUFFIXES, Frame, image_size
from pycaffe_ext.data.names import identifier
from pycaffe_ext.data.sources import decode
from pycaffe_ext.data.sources.grouping import groups_table, read_groups
from pycaffe_ext.data.sources.listing import files, images, left_by_system, refuse_unread
from pycaffe_ext.data.sources.pairing import pair
from pycaffe_ext.errors import UserError

Files = dict[str, tuple[Path, "Path | None"]]  # frame -> (image, mask)


@dataclass(frozen=True)
class Clip:
    """frames, mask : a video, or a folder of pictures; mask None = no frame of it shows a polyp."""

    name: str
    frames: Path
    mask: Path | None


def clips_in(folder: Path) -> dict[str, Path]:
    """Videos and sub-folders in `folder` by name; raises UserError if two share a name, or a picture lies loose."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if left_by_system(path.name):
            continue
        if not path.is_dir() and path.suffix.lower() in SUFFIXES:
            raise UserError(f"{path}: a picture beside videos; the frames of a video go into a folder of their own")
        if not path.is_dir() and path.suffix.lower() not in decode.SUFFIXES:
            refuse_unread(path, decode.SUFFIXES)
            continue
        name = identifier(path.name if path.is_dir() else path.stem)
        if name in found:
            raise UserError(f"{path}: same name as {found[name].name}; keep one of the two")
        found[name] = path
    return found


def read_clips(clips: Sequence[Clip], cache: Path | None, source: str, progress: bool) -> list[Frame]:
    """Frames of all clips, each clip a group: CLIP/NAME of a folder, CLIP/000000 and so on of a video.

    Raises UserError as `decode.decode` does, and if a clip and its masks differ in size, rotation, or number or names
    of frames.
    """
    to_decode = [(path, path is clip.mask) for clip in clips for path in _videos_of(clip)]
    if to_decode and cache is None:
        raise UserError(f"{to_decode[0][0]}: a video needs a folder for its decoded frames")
    for clip in clips:
        _check_turned(clip)
    folders = decode.decode(to_decode, cache, progress) if cache else []
    decoded = {path: folder for (path, _), folder in zip(to_decode, folders, strict=True)}
    frames = []
    for clip in clips:
        videos = _videos_of(clip)
        for name, (image, mask) in _files_of(clip, decoded).items():
            frames.append(Frame(f"{clip.name}/{name}", image, mask, clip.name, source, videos))
    return frames


def grouped_by_clip(frames: list[Frame], folder: Path) -> list[Frame]:
    """The frames with the groups of `folder`/groups.csv (`video,group`), where there is one."""
    table = groups_table(folder)
    if table is None:
        return frames
    groups = read_groups(table, {frame.group for frame in frames}, "video")
    return [replace(frame, group=groups[frame.group]) for frame in frames]


def _videos_of(clip: Clip) -> tuple[Path, ...]:
    return tuple(path for path in (clip.frames, clip.mask) if path is not None and not path.is_dir())


def _check_turned(clip: Clip) -> None:
    videos = _videos_of(clip)
    if len(videos) < 2:
        return
    a, b = map(decode.probe, videos)
    if a.turned != b.turned:
        raise UserError(
            f"{clip.mask}: is to be turned by {b.turned} degrees, its video by {a.turned}; pixels are taken as stored:"
            " store both upright"
        )


def _files_of(clip: Clip, decoded: dict[Path, Path]) -> Files:
    frames = decoded.get(clip.frames, clip.frames)
    if clip.mask is None:
        return {name: (path, None) for name, path in images(frames).items()}
    masks = decoded.get(clip.mask, clip.mask)
    if clip.frames.is_dir() and clip.mask.is_dir():
        return dict(pair(frames, masks))
    return _by_order(clip, _in_order(clip.frames, frames), _in_order(clip.mask, masks))


def _in_order(given: Path, folder: Path) -> list[tuple[str, Path]]:
    """(name, picture) of a clip's frames from the first on; files of a folder have to be numbered without gaps."""
    found = files(folder)
    numbers = {name: int(match[1]) for name in found if (match := re.search(r"(\d+)\D*$", name))}
    if len(numbers) < len(found):
        raise UserError(f"{given}: beside a video, pictures have to be called by the numbers of its frames")
    ordered = sorted(found, key=numbers.__getitem__)
    places = [numbers[name] for name in ordered]
    if places and (places[0] > 1 or places != list(range(places[0], places[0] + len(places)))):
        raise UserError(
            f"{given}: beside a video, pictures are numbered from 0 or 1 without a gap; these run from"
            f" {places[0]} to {places[-1]} and are {len(places)}"
        )
    return [(name, found[name]) for name in ordered]


def _by_order(clip: Clip, frames: list[tuple[str, Path]], masks: list[tuple[str, Path]]) -> Files:
    if len(frames) != len(masks):
        raise UserError(
            f"{clip.mask}: has {len(masks)} masks, {clip.frames} has {len(frames)} frames; each frame needs its own"
        )
    a, b = image_size(frames[0][1]), image_size(masks[0][1])
    if a != b:
        raise UserError(
            f"{clip.mask}: the masks are {b[1]}x{b[0]} (width x height), the frames of {clip.frames} are {a[1]}x{a[0]};"
            " they must be equal"
        )
    return {name: (image, mask) for (name, image), (_, mask) in zip(frames, masks, strict=True)}
