"""ASU-Mayo Clinic colonoscopy videos: their names say `wp`, with polyps, or `np`, no polyps; masks are called GT.

Masks are a video, or a folder of pictures, with the name of theirs and GT in it, or with its very name in a folder
called GT or Ground Truth. The videos for testing come without masks and cannot be read: it is not known where they
show polyps.
"""

from __future__ import annotations

import re
from pathlib import Path

from pycaffe_ext.data.frames import SUFFIXES, Frame
from pycaffe_ext.data.names import identifier, some
from pycaffe_ext.data.sources import decode
from pycaffe_ext.data.sources.clips import Clip, grouped_by_clip, read_clips
from pycaffe_ext.data.sources.listing import refuse_unread, walk
from pycaffe_ext.data.sources.source import Source
from pycaffe_ext.errors import UserError

MASKS = {"gt", "mask", "masks"}
KINDS = {"frame", "frames", "image", "images", "video", "videos"}
DEPTH = 3  # sub-folders


def look(folder: Path) -> str | None:
    names = {name for path in _clips(folder) for name in _words(path, folder)}
    if not names & {"wp", "np"}:
        return None
    return "" if "wp" in names else "no video in it has wp (with polyps) in its name"


def read(folder: Path, cache: Path | None, progress: bool) -> list[Frame]:
    for path in walk(folder, None, DEPTH):
        if path.suffix.lower() not in (*decode.SUFFIXES, *SUFFIXES):
            refuse_unread(path, decode.SUFFIXES)
    shown, masks = _sorted_out(folder)
    if stray := sorted(masks.keys() - shown.keys()):
        raise UserError(f"{masks[stray[0]]}: no video for these masks; add it or remove them")
    if bare := [path for name, path in shown.items() if "wp" in name.split("_") and name not in masks]:
        raise UserError(f"{bare[0]}: shows polyps (wp) and has no masks; they are called like it, with GT")
    if unsaid := [path.name for name, path in shown.items() if not {"wp", "np"} & set(name.split("_"))]:
        raise UserError(f"{folder}: neither wp nor np in the name of {some(unsaid)}; move aside what has no masks")
    clips = [Clip(name, path, masks.get(name)) for name, path in shown.items()]
    return grouped_by_clip(read_clips(clips, cache, ASU_MAYO.slug, progress), folder)


def _sorted_out(folder: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """Videos and masks by what their names have in common; raises UserError if two of a kind share it."""
    shown: dict[str, Path] = {}
    masks: dict[str, Path] = {}
    for path in _clips(folder):
        words = {word for part in path.relative_to(folder).parts for word in _split(part)}
        kind, name = masks if words & MASKS else shown, "_".join(_words(path, folder))
        if name in kind:
            raise UserError(f"{path}: same name as {kind[name]}; keep one of the two")
        kind[name] = path
    return shown, masks


def _clips(folder: Path) -> list[Path]:
    """Videos below `folder`, and folders that hold pictures."""
    videos = list(walk(folder, decode.SUFFIXES, DEPTH))
    return videos + sorted({path.parent for path in walk(folder, SUFFIXES, DEPTH)} - {folder})


def _words(path: Path, folder: Path) -> list[str]:
    """What a clip and its masks are both called: of their own name, or of that of the nearest folder that has one."""
    for part in reversed(path.relative_to(folder).parts):
        if words := [word for word in _split(part) if word not in MASKS | KINDS]:
            return words
    return []


def _split(part: str) -> list[str]:
    """The words in a file's or folder's name, in lower case, without a video's suffix."""
    stem, dot, suffix = part.rpartition(".")
    name = stem if dot + suffix.lower() in decode.SUFFIXES else part
    return re.findall(r"[^\s_.-]+", re.sub(r"(?i)ground[\s_-]*truth", "gt", identifier(name)).lower())


ASU_MAYO = Source(
    slug="asu-mayo",
    title="ASU-Mayo Clinic Colonoscopy Video Database (Tajbakhsh et al., TMI 2016)",
    counts="38 videos: 20 for training with masks, of which 10 show a polyp; 18 for testing without masks",
    groups="the video",
    terms="copyrighted; on request, under the licence that its page names; cite the paper",
    where="polyp.grand-challenge.org/AsuMayo",
    layout="""
ASU-Mayo/                  in any sub-folders
  ..._wp_2.wmv             with polyps; or avi, mp4 ..., or a folder of frames
  ..._wp_2_GT.wmv          its masks: the same name and GT; or the same name in GT/
  ..._np_5.wmv             no polyps in any frame: no masks needed""",
    look=look,
    read=read,
)
