"""Any folder of videos, or of folders of frames, with masks; what shows no polyp lies apart, so that it is said.

A video without masks is never taken for one without polyps: only what lies in without_polyps/ is.
"""

from __future__ import annotations

from pathlib import Path

from pycaffe_ext.data.frames import Frame
from pycaffe_ext.data.names import some
from pycaffe_ext.data.sources.clips import Clip, clips_in, grouped_by_clip, read_clips
from pycaffe_ext.data.sources.decode import SUFFIXES
from pycaffe_ext.data.sources.folders import child, subfolders
from pycaffe_ext.data.sources.listing import walk
from pycaffe_ext.data.sources.source import Source
from pycaffe_ext.errors import UserError

NAMES = (("videos", "masks"), ("Frame", "GT"))  # the second as in the collections for video segmentation


def look(folder: Path) -> str | None:
    for frames, masks in NAMES:
        there = child(folder, frames)
        if there and (child(folder, masks) or (frames == "videos" and child(folder, "without_polyps"))):
            return ""
        if there and frames == "videos":
            return "masks/ and without_polyps/ are missing: say which videos show polyps, and where"
    if _by_clip(folder):
        return ""
    if child(folder, "without_polyps") or any(walk(folder, SUFFIXES, depth=0)):
        return (
            "videos/ is missing: put videos into videos/, their masks into masks/, and videos without polyps into"
            " without_polyps/"
        )
    return None


def read(folder: Path, cache: Path | None, progress: bool) -> list[Frame]:
    clips = _by_clip(folder) or _by_part(folder)
    return grouped_by_clip(read_clips(clips, cache, VIDEOS.slug, progress), folder)


def _by_part(folder: Path) -> list[Clip]:
    """Clips of videos/ and masks/ and without_polyps/."""
    videos = _parts(folder, *(names[0] for names in NAMES))
    masks = _parts(folder, *(names[1] for names in NAMES))
    without = _parts(folder, "without_polyps")
    if bare := sorted(videos.keys() - masks.keys()):
        raise UserError(
            f"{folder}: no masks for {some(bare)} in masks/; what shows no polyp in any frame belongs in"
            " without_polyps/"
        )
    if stray := sorted(masks.keys() - videos.keys()):
        raise UserError(f"{folder}: no video for masks {some(stray)}; add it or remove the masks")
    if twice := sorted(videos.keys() & without.keys()):
        raise UserError(f"{folder}: {some(twice)} both in videos/ and in without_polyps/; keep one of the two")
    if not videos:
        raise UserError(f"{folder}: no video and no folder of frames in videos/ ({', '.join(s[1:] for s in SUFFIXES)})")
    clips = [Clip(name, path, masks[name]) for name, path in videos.items()]
    return clips + [Clip(name, path, None) for name, path in without.items()]


def _parts(folder: Path, *names: str) -> dict[str, Path]:
    found = child(folder, *names)
    return clips_in(found) if found else {}


def _by_clip(folder: Path) -> list[Clip]:
    """Clips NAME/Frame and NAME/GT."""
    found = [(place, child(place, "Frame"), child(place, "GT")) for place in subfolders(folder)]
    return [Clip(place.name, frames, masks) for place, frames, masks in found if frames and masks]


VIDEOS = Source(
    slug="videos",
    title="Any folder of videos with masks",
    counts="whatever is in it; every frame of a video",
    groups="the video, or the line of the video in groups.csv (a patient of several videos)",
    terms="those of the data",
    where="yours",
    layout="""
FOLDER/
  videos/NAME.mp4          avi, mpg, wmv, mov, mkv; or frames, videos/NAME/0001.png
  masks/NAME.avi           a video of as many frames, or a folder of masks, called as the
                           frames, or numbered from 0 or 1 if these are a video
  without_polyps/NAME.mp4  no polyp in any frame: no masks needed
  groups.csv               if wanted: video,group and a line for every video
or Frame/NAME/0001.jpg and GT/NAME/0001.png, or NAME/Frame/ and NAME/GT/""",
    look=look,
    read=read,
)
